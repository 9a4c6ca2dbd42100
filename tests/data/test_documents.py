# SPDX-License-Identifier: MIT
"""`ctx.db`: insert, get, patch, replace, delete, and everything they refuse."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest

from minihttp.data.database import Database
from minihttp.data.schema import Schema, Table
from minihttp.data.validators import v
from minihttp.errors import DocumentError, LimitError, ValidationError
from minihttp.limits import Limits
from minihttp.values import UNSET, Int64

USERS = Table(
    {"name": v.string(), "nick": v.optional(v.string()), "age": v.optional(v.nullable(v.number()))}
).index("by_name", ["name"])
SCHEMA = Schema(users=USERS, posts=Table({"author": v.id("users"), "body": v.any()}))
SYSTEM = {"_storage": Table(v.any()), "_jobs": Table(v.any()).index("by_queue", ["queue"])}


@pytest.fixture
def db(open_database: Callable[..., Database]) -> Database:
    return open_database(SCHEMA, system=SYSTEM)


@pytest.fixture
def free(open_database: Callable[..., Database]) -> Database:
    """A database without a schema."""
    return open_database()


def insert(db: Database, table: str, document: Any) -> str:
    return db.write(lambda t: t.db.insert(table, document))


def get(db: Database, *where: str) -> Any:
    return db.read(lambda t: t.db.get(*where))


def refused(db: Database, kind: type[Exception], run: Callable[[Any], object], message: str) -> None:
    """`run(ctx.db)` raises `kind` with that message."""
    with pytest.raises(kind) as caught:
        db.write(lambda t: run(t.db))
    assert message in str(caught.value)


def test_a_document_comes_back_with_its_id_and_time(db: Database) -> None:
    id = insert(db, "users", {"name": "Ada", "nick": None, "age": None})
    document = get(db, id)
    assert document == {**document, "_id": id, "name": "Ada", "age": None}
    assert "nick" not in document
    assert document["_creationTime"] == pytest.approx(1_700_000_000_000, abs=1)


def test_every_kind_of_value_is_kept(free: Database) -> None:
    values = {
        "i": Int64(2**63 - 1),
        "b": b"\0\xff",
        "nan": float("inf"),
        "z": -0.0,
        "n": [None, {"x": "é\0😀"}],
    }
    document = get(free, insert(free, "anything", {**values, "gone": UNSET, "t": (1, True)}))
    assert {name: document[name] for name in values} == values
    assert type(document["i"]) is Int64 and str(document["z"]) == "-0.0"
    assert document["t"] == [1, True] and "gone" not in document


def test_creation_times_strictly_increase(db: Database) -> None:
    ids = db.write(lambda t: [t.db.insert("users", {"name": str(i)}) for i in range(5)])
    times = [get(db, id)["_creationTime"] for id in ids]
    assert times == sorted(set(times))
    assert ids == sorted(ids)


def test_get_gives_none_for_what_is_not_there(db: Database) -> None:
    id = insert(db, "users", {"name": "A"})
    db.write(lambda t: t.db.delete(id))
    assert get(db, id) is None
    assert get(db, "users", id) is None


def test_each_view_refuses_ids_of_the_other_as_convex_does(db: Database) -> None:
    id = insert(db, "users", {"name": "A"})
    stored = db.write(lambda t: t.system.insert("_storage", {"size": 1}))
    hidden = db.write(lambda t: t.system.insert("_jobs", {"queue": "x"}))
    for system in (stored, hidden):
        refused(db, DocumentError, lambda d, id=system: d.get(id), "can only be accessed from db.system.get")
        refused(db, DocumentError, lambda d, id=system: d.patch(id, {}), "are read-only")
        refused(db, DocumentError, lambda d, id=system: d.replace(id, {}), "are read-only")
    refused(db, DocumentError, lambda d: d.system.get(id), "takes the id of a system table")


def test_get_with_a_table_refuses_ids_of_another(db: Database) -> None:
    id = insert(db, "users", {"name": "A"})
    assert get(db, "users", id)["name"] == "A"
    with pytest.raises(DocumentError) as caught:
        get(db, "posts", id)
    assert caught.value.code == "InvalidTable"
    assert 'expected to be an Id<"posts">, got Id<"users"> instead.' in str(caught.value)


@pytest.mark.parametrize("operation", ["get", "patch", "replace", "delete"])
@pytest.mark.parametrize(
    ("id", "message"),
    [
        (1, "expected string but got 'int': 1"),
        (None, "expected string but got 'NoneType'"),
        ("nonsense", 'Unable to decode ID: "nonsense"'),
        ("\ud800" * 32, "Unable to decode ID"),
    ],
    ids=repr,
)
def test_what_is_not_an_id(db: Database, operation: str, id: Any, message: str) -> None:
    more = [{"name": "B"}] if operation in ("patch", "replace") else []
    refused(
        db,
        DocumentError,
        lambda ctx_db: getattr(ctx_db, operation)(id, *more),
        f"Invalid argument `id` for `db.{operation}`, {message}",
    )


def test_patch_merges_and_removes(db: Database) -> None:
    id = insert(db, "users", {"name": "A", "nick": "a", "age": 1})
    db.write(lambda t: t.db.patch(id, {"name": "B", "nick": None, "age": None}))
    assert {**get(db, id), "_id": 0, "_creationTime": 0} == {
        "_id": 0,
        "_creationTime": 0,
        "name": "B",
        "age": None,
    }
    db.write(lambda t: t.db.patch("users", id, {"age": UNSET}))
    assert "age" not in get(db, id)


def test_patch_replaces_objects_and_arrays_whole(free: Database) -> None:
    id = insert(free, "t", {"o": {"a": 1, "b": 2}, "l": [1, 2]})
    free.write(lambda t: t.db.patch(id, {"o": {"c": 3}, "l": []}))
    document = get(free, id)
    assert (document["o"], document["l"]) == ({"c": 3}, [])


def test_without_a_schema_none_is_null(free: Database) -> None:
    id = insert(free, "t", {"a": None, "b": 1})
    free.write(lambda t: t.db.patch(id, {"b": None}))
    assert get(free, id)["a"] is None and get(free, id)["b"] is None


def test_replace_keeps_id_and_time(db: Database) -> None:
    id = insert(db, "users", {"name": "A", "nick": "a"})
    before = get(db, id)
    db.write(lambda t: t.db.replace(id, {**before, "name": "B", "nick": None}))
    assert get(db, id) == {"_id": id, "_creationTime": before["_creationTime"], "name": "B"}
    refused(db, ValidationError, lambda d: d.replace(id, {"_id": "x", "name": "C"}), "cannot change _id")
    refused(db, ValidationError, lambda d: d.patch(id, {"_creationTime": 1}), "cannot change _creationTime")


def test_writing_a_document_that_is_gone(db: Database) -> None:
    id = insert(db, "users", {"name": "A"})
    db.write(lambda t: t.db.delete(id))
    for run, message in (
        (lambda d: d.delete(id), f"Delete on nonexistent document ID {id}"),
        (lambda d: d.patch(id, {"name": "B"}), f"Update on nonexistent document ID {id}"),
        (lambda d: d.replace(id, {"name": "B"}), f"Replace on nonexistent document ID {id}"),
    ):
        refused(db, DocumentError, run, message)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (
            {},
            'in table "users" because it does not match the schema: Object is missing',
        ),
        ({"name": 5}, "Path: .name"),
        ({"name": "A", "extra": 1}, "Object contains extra field `extra`"),
        (
            {"name": "A", "_id": "x"},
            "Field name \"_id\" starts with '_', which is reserved for system fields",
        ),
        ({"name": "A", "_x": 1}, "is reserved for system fields"),
        ({"name": "\ud800"}, "unpaired surrogate"),
        ([], "takes a document as a dict, not []"),
        ("text", "takes a document as a dict"),
        (None, "takes a document as a dict"),
    ],
    ids=repr,
)
def test_documents_that_cannot_be_stored(db: Database, document: Any, message: str) -> None:
    refused(db, ValidationError, lambda d: d.insert("users", document), message)
    assert db.read(lambda t: t.db.query("users").collect()) == []


def test_values_are_checked_without_a_schema_too(free: Database) -> None:
    refused(
        free, ValidationError, lambda d: d.insert("t", {"a": {"b": [datetime.date(2026, 1, 1)]}}), ".a.b[0]"
    )
    refused(free, ValidationError, lambda d: d.insert("t", {"$a": 1}), "starts with a '$', which is reserved")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("nope", 'Table "nope" is not in the schema.'),
        ("_storage", "System tables (prefixed with `_`) are read-only."),
        ("_nope", "are read-only."),
        ("", "is not in the schema"),
        (5, "is not in the schema"),
        (None, "is not in the schema"),
    ],
    ids=repr,
)
def test_tables_that_cannot_be_written(db: Database, table: Any, message: str) -> None:
    refused(db, DocumentError, lambda d: d.insert(table, {"name": "A"}), message)


def test_without_a_schema_a_table_comes_into_being(free: Database) -> None:
    insert(free, "new", {"a": 1})
    assert len(free.read(lambda t: t.db.query("new").collect())) == 1
    refused(free, DocumentError, lambda d: d.insert("a b", {}), "must be 1 to 64 letters")


def test_schema_validation_off(open_database: Callable[..., Database]) -> None:
    db = open_database(Schema(schema_validation=False, users=USERS))
    insert(db, "users", {"name": 5, "extra": 1})
    insert(db, "other", {})
    found = db.read(lambda t: t.db.query("users").with_index("by_name", lambda q: q.eq("name", 5)).collect())
    assert len(found) == 1


def test_system_tables_from_the_user_s_side(db: Database) -> None:
    stored = db.write(lambda t: t.system.insert("_storage", {"size": 1}))
    job = db.write(lambda t: t.system.insert("_jobs", {"queue": "q"}))
    assert db.read(lambda t: t.db.system.get(stored))["size"] == 1
    assert db.read(lambda t: t.db.system.get("_storage", stored))["size"] == 1
    assert len(db.read(lambda t: t.db.system.query("_storage").collect())) == 1
    assert db.read(lambda t: t.db.system.get(job)) is None
    assert db.read(lambda t: t.db.system.query("_scheduled_functions").collect()) == []
    refused(db, DocumentError, lambda d: d.system.query("_jobs"), "There is no system table")
    refused(db, DocumentError, lambda d: d.system.query("users"), "There is no system table")
    refused(
        db, DocumentError, lambda d: d.query("_storage"), "System tables can only be accessed from db.system"
    )
    refused(db, DocumentError, lambda d: d.delete(stored), "System tables (prefixed with `_`) are read-only.")
    assert not hasattr(db.write(lambda t: t.db.system), "insert")


def test_normalize_id(db: Database) -> None:
    id = insert(db, "users", {"name": "A"})
    normalize = lambda table, text: db.read(lambda t: t.db.normalize_id(table, text))
    assert normalize("users", id) == id
    assert [normalize("users", text) for text in ("", "garbage", id[:-1], id.upper(), 5, None)] == [None] * 6
    assert normalize("posts", id) is None
    with pytest.raises(DocumentError, match=r"can only be accessed from db.system"):
        normalize("_storage", id)
    stored = db.write(lambda t: t.system.insert("_storage", {}))
    assert db.read(lambda t: t.db.system.normalize_id("_storage", stored)) == stored


def test_a_query_s_db_has_no_writes(db: Database) -> None:
    reader = db.read(lambda t: t.db)
    assert not any(hasattr(reader, name) for name in ("insert", "patch", "replace", "delete"))
    reader = db.write(lambda t: t.reader)
    assert not hasattr(reader, "insert")


# ---------------------------------------------------------------- limits (`docs/convex.md` §3)

SMALL = Limits(
    max_document_bytes=200,
    max_read_documents=5,
    max_read_bytes=400,
    max_read_ranges=6,
    max_write_documents=4,
    max_write_bytes=500,
    max_array_length=3,
)


@pytest.mark.parametrize(
    ("run", "code", "number"),
    [
        (lambda d: d.insert("t", {"x": "é" * 100}), "DocumentTooLarge", "208 bytes > maximum size 200"),
        (lambda d: [d.insert("t", {}) for _ in range(5)], "TooManyWrites", "4"),
        (lambda d: [d.insert("t", {"x": "y" * 180}) for _ in range(3)], "TooManyBytesWritten", "500"),
        (lambda d: [d.query("t").first() for _ in range(7)], "TooManyReads", "6"),
        (lambda d: d.query("full").collect(), "TooManyDocumentsRead", "5"),
        (
            lambda d: d.query("full").filter(lambda q: q.eq(q.field("n"), 9)).collect(),
            "TooManyDocumentsRead",
            "5",
        ),
        (lambda d: d.query("big").collect(), "TooManyBytesRead", "400"),
    ],
    ids=range(7),
)
def test_limits_refuse_with_their_number_and_nothing_is_written(
    open_database: Callable[..., Database], tmp_path: Any, run: Callable[[Any], Any], code: str, number: str
) -> None:
    filler = open_database(None, str(tmp_path / "app.db"))
    for _ in range(7):
        insert(filler, "full", {"n": 1})
        insert(filler, "big", {"x": "y" * 100})
    filler.close()
    db = open_database(None, str(tmp_path / "app.db"), limits=SMALL)

    def swallowed(t: Any) -> None:
        t.db.insert("before", {})
        try:
            run(t.db)
        except LimitError as error:
            if code == "DocumentTooLarge":
                raise
            assert error.code == code

    with pytest.raises(LimitError) as caught:
        db.write(swallowed)
    assert caught.value.code == code
    assert number in str(caught.value)
    assert db.read(lambda t: t.db.query("before").collect() + t.db.query("t").collect()) == []


def test_limits_of_shape(open_database: Callable[..., Database]) -> None:
    db = open_database(None, limits=SMALL)
    refused(
        db, ValidationError, lambda d: d.insert("t", {"a": [1, 2, 3, 4]}), "too long (4 > maximum length 3)"
    )
    deep: Any = 1
    for _ in range(16):
        deep = {"a": deep}
    insert(db, "t", deep)
    refused(
        db, ValidationError, lambda d: d.insert("t", {"a": deep}), "nested too deeply (maximum nesting 16)"
    )


def test_system_tables_are_not_held_to_the_limits(open_database: Callable[..., Database]) -> None:
    db = open_database(None, system=SYSTEM, limits=SMALL)
    db.write(lambda t: [t.system.insert("_jobs", {"queue": "q" * 300, "list": [1] * 9}) for _ in range(9)])
    assert len(db.read(lambda t: t.system.query("_jobs").collect())) == 9


def test_a_transaction_that_only_reads_has_no_writers(db: Database) -> None:
    kinds = [type(view).__name__ for view in db.read(lambda t: (t.reader, t.db, t.system))]
    assert kinds == ["Reader", "Reader", "Reader"]
    kinds = [type(view).__name__ for view in db.write(lambda t: (t.reader, t.db, t.system))]
    assert kinds == ["Reader", "Writer", "Writer"]
