# SPDX-License-Identifier: MIT
"""Queries: order, ends and pages, against the same worked out by hand in Python."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minihttp.data.database import Database
from minihttp.errors import DocumentError
from tests.data.queries import SCHEMA, crossed, db, fill, refused, run

__all__ = ["crossed", "db"]


def test_an_unknown_index(db: Database) -> None:
    assert str(refused(db, lambda q: q.with_index("nope"))) == "Index items.nope not found."


def test_order_and_ends(db: Database) -> None:
    fill(db, [{"n": n} for n in range(5)])
    numbers = lambda build: [d["n"] for d in run(db, build)]
    assert numbers(lambda q: q.collect()) == numbers(lambda q: q.order("asc").collect()) == [0, 1, 2, 3, 4]
    assert numbers(lambda q: q.order("desc").take(2)) == [4, 3]
    assert numbers(lambda q: q.full_table_scan().take(2.0)) == [0, 1]
    assert run(db, lambda q: q.take(0)) == []
    assert numbers(lambda q: q.take(1e300)) == [0, 1, 2, 3, 4]
    assert run(db, lambda q: q.first())["n"] == 0
    assert run(db, lambda q: q.filter(lambda q: q.eq(q.field("n"), 9)).first()) is None
    assert run(db, lambda q: q.filter(lambda q: q.eq(q.field("n"), 3)).unique())["n"] == 3
    assert run(db, lambda q: q.filter(lambda q: q.eq(q.field("n"), 9)).unique()) is None


def test_unique_names_the_table_and_the_ids(db: Database) -> None:
    ids = fill(db, [{}, {}])
    error = refused(db, lambda q: q.unique())
    assert (
        str(error)
        == f"unique() query returned more than one result from table items:\n [{ids[0]}, {ids[1]}, ...]"
    )


@pytest.mark.parametrize("n", [-1, 1.5, "2", None, True, math.nan, math.inf], ids=repr)
def test_take_wants_a_whole_number(db: Database, n: Any) -> None:
    assert "Arg 1 `n` to `take` must be a non-negative integer" in str(refused(db, lambda q: q.take(n)))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda q: q.order("up"), 'order must be "asc" or "desc", not "up"'),
        (lambda q: q.order([]), "order must be"),
        (lambda q: q.with_index([]), "Index items.[] not found"),
        (lambda q: q.order("asc").order("asc"), "Queries may only specify order at most once"),
        (lambda q: q.with_index("by_a_b").with_index("by_a_b"), "only name an index once"),
        (lambda q: [q.filter(lambda q: True), q.filter(lambda q: True)], "can only be chained once"),
        (lambda q: [q.collect(), q.order("asc")], "can't be chained after iteration begins"),
        (lambda q: [q.collect(), q.collect()], "This query is closed and can't emit any more values."),
        (lambda q: [q.order("asc"), q.collect()], "This query is closed"),
    ],
    ids=range(9),
)
def test_chains_that_cannot_be(db: Database, build: Any, message: str) -> None:
    assert message in str(refused(db, build))


def test_reading_stops_when_the_caller_stops(open_database: Callable[..., Database]) -> None:
    db = open_database(SCHEMA)
    fill(db, [{"n": n} for n in range(200)])

    def some(t: Any) -> int:
        for document in t.db.query("items"):
            if document["n"] == 2:
                return t.documents_read
        return -1

    assert db.read(some) == 3
    assert db.read(lambda t: [t.db.query("items").first(), t.documents_read][1]) == 1


@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_a_transaction_may_write_while_it_iterates(db: Database, direction: str) -> None:
    fill(db, [{"a": n, "seen": False} for n in range(150)])

    def walk(t: Any) -> int:
        seen = 0
        for document in t.db.query("items").with_index("by_a_b", lambda q: q.gte("a", 0)).order(direction):
            t.db.patch(document["_id"], {"seen": True, "a": -1})
            seen += 1
        return seen

    assert db.write(walk) == 150
    assert all(d["seen"] for d in run(db, lambda q: q.collect()))


def test_a_transaction_reads_its_own_writes(db: Database) -> None:
    def write(t: Any) -> list[Any]:
        by = lambda a: [
            d["n"] for d in t.db.query("items").with_index("by_a_b", lambda q: q.eq("a", a)).collect()
        ]
        id = t.db.insert("items", {"a": 1, "n": 1})
        found = [by(1)]
        t.db.patch(id, {"a": 2})
        found += [by(1), by(2), t.reader.get(id)["a"]]
        t.db.delete(id)
        return [*found, by(2), t.db.get(id)]

    assert db.write(write) == [[1], [], [1], 2, [], None]


def test_an_unknown_table_is_empty_without_a_schema(open_database: Callable[..., Database]) -> None:
    db = open_database(None)
    assert db.read(lambda t: t.db.query("nope").collect()) == []
    with pytest.raises(DocumentError, match="must be 1 to 64 letters"):
        db.read(lambda t: t.db.query("no such"))


def test_a_table_that_is_not_in_the_schema_cannot_be_queried(db: Database) -> None:
    with pytest.raises(DocumentError, match="not in the schema; did you mean"):
        db.read(lambda t: t.db.query("itemz"))


def pages(db: Database, build: Callable[[Any], Any], num_items: int) -> list[list[int]]:
    """Every page's numbers, each page in a transaction of its own."""
    found, cursor, done = [], None, False
    while not done:
        page = run(db, lambda q: build(q).paginate(num_items=num_items, cursor=cursor))  # noqa: B023
        found.append([d["n"] for d in page["page"]])
        cursor, done = page["continueCursor"], page["isDone"]
    return found


CHAINS: list[Callable[[Any], Any]] = [
    lambda q: q,
    lambda q: q.order("desc"),
    lambda q: q.with_index("by_a_b", lambda q: q.eq("a", 1)),
    lambda q: q.with_index("by_a_b", lambda q: q.gte("a", 0)).order("desc"),
    lambda q: q.filter(lambda q: q.eq(q.mod(q.field("n"), 3), 0)),
]


@pytest.mark.parametrize("build", CHAINS, ids=range(5))
@pytest.mark.parametrize("num_items", [1, 3, 40, 41, 100])
def test_pages_join_to_the_whole(db: Database, build: Callable[[Any], Any], num_items: int) -> None:
    fill(db, [{"a": n % 2, "n": n} for n in range(40)])
    whole = [d["n"] for d in run(db, lambda q: build(q).collect())]
    found = pages(db, build, num_items)
    assert [n for page in found for n in page] == whole
    assert all(len(page) == num_items for page in found[:-1])


def test_cursors_survive_inserts_and_deletes(db: Database) -> None:
    by_a = lambda q: q.with_index("by_a_b", lambda q: q.gte("a", 0))
    ids = fill(db, [{"a": n, "n": n} for n in range(10)])
    first = run(db, lambda q: by_a(q).paginate(num_items=4))
    # The document that the cursor stands on, and the next
    db.write(lambda t: [t.db.delete(ids[n]) for n in (3, 4)])
    fill(db, [{"a": 1.5, "n": 100}, {"a": 4.5, "n": 101}])
    rest = run(db, lambda q: by_a(q).paginate(num_items=40, cursor=first["continueCursor"]))
    assert [d["n"] for d in rest["page"]] == [101, 5, 6, 7, 8, 9]
    assert rest["isDone"] is True


def test_an_empty_table_and_the_page_after_the_last(db: Database) -> None:
    empty = run(db, lambda q: q.paginate(num_items=3))
    assert (empty["page"], empty["isDone"]) == ([], True)
    fill(db, [{"n": 1}])
    page = run(db, lambda q: q.paginate(num_items=3, cursor=empty["continueCursor"]))
    assert [d["n"] for d in page["page"]] == [1]
    after = run(db, lambda q: q.paginate(num_items=3, cursor=page["continueCursor"]))
    assert (after["page"], after["isDone"]) == ([], True)


def test_one_page_in_a_transaction(db: Database) -> None:
    fill(db, [{}, {}])

    def two(t: Any) -> Any:
        page = t.db.query("items").paginate(num_items=1)
        return t.db.query("items").paginate(num_items=1, cursor=page["continueCursor"])

    with pytest.raises(DocumentError, match="only one page") as caught:
        db.read(two)
    assert caught.value.code == "MultiplePaginatedDatabaseQueries"
    assert len(run(db, lambda q: q.paginate(num_items=1e300))["page"]) == 2


@pytest.mark.parametrize("num_items", [0, -1, 1.5, None, "3", True, math.nan], ids=repr)
def test_num_items_that_cannot_be(db: Database, num_items: Any) -> None:
    error = refused(db, lambda q: q.paginate(num_items=num_items))
    wanted = (
        "Must request at least 1 document"
        if num_items == 0
        else "`options.numItems` must be a positive number"
    )
    assert wanted in str(error)


def test_cursors_of_other_queries_and_other_databases(open_database: Callable[..., Database]) -> None:
    db, other = open_database(SCHEMA), open_database(SCHEMA)
    fill(db, [{"a": 1, "n": n} for n in range(4)])
    fill(db, [{"n": n} for n in range(4)], "other")
    cursor = run(db, lambda q: q.paginate(num_items=1))["continueCursor"]
    for database, build in (
        (other, lambda q: q),
        (db, lambda q: q.order("desc")),
        (db, lambda q: q.with_index("by_a_b")),
        (db, lambda q: q.filter(lambda q: True)),
        (db, lambda q: q.with_index("by_creation_time", lambda q: q.gt("_creationTime", 5))),
    ):
        assert refused(
            database, lambda q, build=build: build(q).paginate(num_items=1, cursor=cursor)
        ).code == ("InvalidCursor")
    with pytest.raises(DocumentError):
        db.read(lambda t: t.db.query("other").paginate(num_items=1, cursor=cursor))
    assert len(run(db, lambda q: q.paginate(num_items=2, cursor=cursor))["page"]) == 2


@given(
    st.text(max_size=80) | st.binary(max_size=80).map(lambda b: __import__("base64").b64encode(b).decode())
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_garbled_cursors(crossed: tuple[Database, Any], cursor: str) -> None:
    assert refused(crossed[0], lambda q: q.paginate(num_items=1, cursor=cursor)).code == "InvalidCursor"


@pytest.mark.parametrize("cursor", [5, b"x", [], "\ud800"], ids=repr)
def test_cursors_of_another_type(db: Database, cursor: Any) -> None:
    assert refused(db, lambda q: q.paginate(num_items=1, cursor=cursor)).code == "InvalidCursor"


def test_a_changed_cursor(db: Database) -> None:
    fill(db, [{"n": n} for n in range(4)])
    cursor = run(db, lambda q: q.paginate(num_items=2))["continueCursor"]
    changes = [cursor[:i] + ("A" if cursor[i] != "A" else "B") + cursor[i + 1 :] for i in range(0, 60, 5)]
    for changed in (*changes, cursor + "\n", "!" + cursor, cursor + "AAAA", cursor[:-4]):
        assert refused(db, lambda q, c=changed: q.paginate(num_items=1, cursor=c)).code == "InvalidCursor"
