# SPDX-License-Identifier: MIT
"""Queries: ranges, order, filters, ends and pages, against the same worked out by hand in Python."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cmp_to_key
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minihttp.data.database import Database
from minihttp.data.schema import Schema, Table
from minihttp.data.validators import v
from minihttp.errors import DocumentError
from minihttp.limits import Limits
from minihttp.values import UNSET, Int64, compare

SCHEMA = Schema(
    items=Table(v.any()).index("by_a_b", ["a", "b"]).index("by_city", ["address.city"]),
    other=Table(v.any()),
)
# Values of every type, with the traps: NUL, prefixes, astral characters, -0, missing.
VALUES: list[Any] = [
    *[UNSET, None, Int64(-1), Int64(2), -math.inf, -1.5, -0.0, 0, 2, math.inf, math.nan, False, True],
    *["", "a", "a\0", "a\0b", "ab", "é", "😀", b"", b"\0", [], [1], [1, 2], {}, {"k": 1}],
]


@pytest.fixture
def db(open_database: Callable[..., Database]) -> Database:
    return open_database(SCHEMA)


def fill(db: Database, documents: list[dict[str, Any]], table: str = "items") -> list[str]:
    return db.write(lambda t: [t.db.insert(table, document) for document in documents])


def run(db: Database, build: Callable[[Any], Any]) -> Any:
    return db.read(lambda t: build(t.db.query("items")))


def refused(db: Database, build: Callable[[Any], Any]) -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        run(db, build)
    return caught.value


# ---------------------------------------------------------------- ranges


@pytest.fixture(scope="module")
def crossed() -> Iterator[tuple[Database, list[dict[str, Any]]]]:
    """A table with every pair of some values, and its documents."""
    from storage_backends.sqlite import DocumentBackend

    database = Database(DocumentBackend(":memory:"), SCHEMA)
    documents = [{"a": a, "b": b, "n": n} for a in VALUES for n, b in enumerate(VALUES[::4])]
    fill(database, documents)
    yield database, database.read(lambda t: t.db.query("items").collect())
    database.close()


def holds(operator: str, document: dict[str, Any], field: str, value: Any) -> bool:
    order = compare(document.get(field, UNSET), value)
    return {"eq": order == 0, "gt": order > 0, "gte": order >= 0, "lt": order < 0, "lte": order <= 0}[
        operator
    ]


@st.composite
def ranges(draw: st.DrawFn) -> list[tuple[str, str, Any]]:
    fields = ["a", "b", "_creationTime", "_id"]
    equal = draw(st.integers(0, 2))
    steps = [("eq", field, draw(st.sampled_from(VALUES))) for field in fields[:equal]]
    sides = draw(st.lists(st.sampled_from([("gt", "gte"), ("lt", "lte")]), max_size=2, unique=True))
    times = st.integers(-2, 400).map(lambda n: 1_700_000_000_000 + n / 1000)
    bound = st.sampled_from(VALUES) | times if fields[equal] == "_creationTime" else st.sampled_from(VALUES)
    return steps + [(draw(st.sampled_from(side)), fields[equal], draw(bound)) for side in sides]


@given(ranges(), st.booleans())
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_ranges_are_what_comparison_says(
    crossed: tuple[Database, list[dict[str, Any]]], steps: list[tuple[str, str, Any]], down: bool
) -> None:
    database, documents = crossed

    def bounded(q: Any) -> Any:
        for operator, field, value in steps:
            q = getattr(q, operator)(field, value)
        return q

    found = run(
        database, lambda q: q.with_index("by_a_b", bounded).order("desc" if down else "asc").collect()
    )
    wanted = [d for d in documents if all(holds(op, d, field, value) for op, field, value in steps)]
    wanted.sort(key=cmp_to_key(_by_index), reverse=down)
    assert [d["_id"] for d in found] == [d["_id"] for d in wanted]


def _by_index(x: dict[str, Any], y: dict[str, Any]) -> int:
    for field in ("a", "b", "_creationTime", "_id"):
        order = compare(x.get(field, UNSET), y.get(field, UNSET))
        if order:
            return order
    return 0


def test_creation_time_and_id_can_be_ranged_over(db: Database) -> None:
    ids = fill(db, [{"a": 1, "n": n} for n in range(5)])
    times = [d["_creationTime"] for d in run(db, lambda q: q.collect())]
    numbers = lambda name, build: [d["n"] for d in run(db, lambda q: q.with_index(name, build).collect())]
    assert numbers("by_creation_time", lambda q: q.gt("_creationTime", times[1])) == [2, 3, 4]
    assert numbers("by_creation_time", lambda q: q.gte("_creationTime", times[1])) == [1, 2, 3, 4]
    assert numbers("by_creation_time", lambda q: q.lt("_creationTime", times[1])) == [0]
    assert numbers("by_creation_time", lambda q: q.lte("_creationTime", times[1])) == [0, 1]
    assert numbers("by_creation_time", lambda q: q.eq("_creationTime", times[3]).gte("_id", ids[3])) == [3]
    assert numbers("by_creation_time", lambda q: q.gt("_creationTime", None)) == [0, 1, 2, 3, 4]
    assert numbers("by_creation_time", lambda q: q.gt("_creationTime", "")) == []
    assert numbers(
        "by_creation_time", lambda q: q.gt("_creationTime", -math.inf).lt("_creationTime", 1e300)
    ) == [*range(5)]
    assert numbers("by_id", lambda q: q.eq("_id", ids[2])) == [2]
    assert numbers("by_id", lambda q: q.gt("_id", ids[2]).lte("_id", ids[3])) == [3]
    assert numbers("by_id", lambda q: q.gt("_id", None)) == [*range(5)]
    assert numbers("by_id", lambda q: q.gt("_id", b"")) == []
    assert numbers("by_a_b", lambda q: q.eq("a", 1).eq("b", UNSET).eq("_creationTime", times[3])) == [3]
    assert numbers("by_a_b", lambda q: q.eq("a", 1).eq("b", UNSET).gt("_creationTime", times[3])) == [4]


def test_nested_paths(db: Database) -> None:
    fill(db, [{"address": {"city": "Rome"}}, {"address": "Rome"}, {}, {"address": {"city": {"x": 1}}}])
    found = run(db, lambda q: q.with_index("by_city", lambda q: q.eq("address.city", "Rome")).collect())
    assert [d["address"] for d in found] == [{"city": "Rome"}]
    assert (
        len(run(db, lambda q: q.with_index("by_city", lambda q: q.eq("address.city", UNSET)).collect())) == 2
    )


@pytest.mark.parametrize(
    ("build", "code", "message"),
    [
        (
            lambda q: q.eq("b", 1),
            "InvalidIndexRange",
            "items.by_a_b but the query didn't use the index fields in order",
        ),
        (lambda q: q.gt("b", 1), "InvalidIndexRange", "in order"),
        (lambda q: q.eq("a", 1).eq("a", 1), "InvalidIndexRange", "in order"),
        (lambda q: q.gt("a", 1).eq("b", 1), "InvalidIndexRange", "in order"),
        (lambda q: q.eq("a", 1).gt("a", 1), "InvalidIndexRange", "in order"),
        (lambda q: q.gt("a", 1).gte("a", 2), "AlreadyDefinedBound", "has a lower bound already: a"),
        (lambda q: q.lte("a", 1).lt("a", 2), "AlreadyDefinedBound", "has an upper bound already: a"),
        (lambda q: q.gt("a", 1).lt("b", 2), "BoundsOnMultipleFields", "not on a and b"),
        (lambda q: q.eq("c", 1), "FieldNotInIndex", "Index items.by_a_b has no field 'c'"),
        (lambda q: None, "InvalidIndexRange", "must return the range"),
        (lambda q: q.eq("a", 1) or q.eq("a", 2), "InvalidIndexRange", "knows no and, or, not"),
    ],
    ids=range(11),
)
def test_ranges_that_cannot_be(db: Database, build: Any, code: str, message: str) -> None:
    error = refused(db, lambda q: q.with_index("by_a_b", build).collect())
    assert error.code == code
    assert message in str(error)


def test_an_unknown_index(db: Database) -> None:
    assert str(refused(db, lambda q: q.with_index("nope"))) == "Index items.nope not found."


# ---------------------------------------------------------------- the chain


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


# ---------------------------------------------------------------- filters


@pytest.mark.parametrize(
    ("build", "numbers"),
    [
        (lambda q: q.lt(q.field("x"), 2), [0, 1, 2]),  # missing and null are below every number
        (lambda q: q.eq(q.field("x"), UNSET), [0]),
        (lambda q: q.eq(q.field("x"), None), [1]),
        (lambda q: q.gt(q.field("x"), 3), [4, 5]),
        (lambda q: q.gte(q.field("x"), 3), [3, 4, 5]),
        (lambda q: q.lte(q.field("x"), 1), [0, 1, 2]),
        (lambda q: q.neq(q.field("x"), "a"), [0, 1, 2, 3, 5]),
        (lambda q: q.eq(q.field("o.k"), 1), [5]),
        (lambda q: q.and_(q.gt(q.field("x"), 0), q.lt(q.field("x"), 4)), [2, 3]),
        (lambda q: q.or_(q.eq(q.field("n"), 0), q.eq(q.field("n"), 5)), [0, 5]),
        (lambda q: q.not_(q.eq(q.field("n"), 0)), [1, 2, 3, 4, 5]),
        (lambda q: q.eq(q.mod(q.field("n"), 2), 1), [1, 3, 5]),
        (lambda q: q.eq(q.add(q.mul(q.field("n"), 2), 1), 7), [3]),
        (lambda q: q.eq(q.neg(q.sub(q.field("n"), 1)), -4), [5]),
        (lambda q: q.gt(q.div(q.field("n"), 0), 5), [0, 1, 2, 3, 4, 5]),  # inf, and NaN is above it
        (lambda q: True, [0, 1, 2, 3, 4, 5]),
        (lambda q: q.and_(), [0, 1, 2, 3, 4, 5]),
        (lambda q: q.or_(), []),
    ],
    ids=range(18),
)
def test_filters(db: Database, build: Any, numbers: list[int]) -> None:
    xs = [{}, {"x": None}, {"x": 1}, {"x": 3}, {"x": "a"}, {"x": [], "o": {"k": 1}}]
    fill(db, [{**x, "n": n} for n, x in enumerate(xs)])
    assert [d["n"] for d in run(db, lambda q: q.filter(build).collect())] == numbers


def test_int64_arithmetic_truncates_and_wraps(db: Database) -> None:
    fill(db, [{"x": Int64(-7), "max": Int64(2**63 - 1), "min": Int64(-(2**63))}])
    for build in (
        lambda q: q.eq(q.div(q.field("x"), Int64(2)), Int64(-3)),
        lambda q: q.eq(q.mod(q.field("x"), Int64(2)), Int64(-1)),
        lambda q: q.eq(q.add(q.field("max"), Int64(1)), q.field("min")),
        lambda q: q.eq(q.neg(q.field("min")), q.field("min")),
        lambda q: q.eq(q.div(q.field("min"), Int64(-1)), q.field("min")),
    ):
        assert len(run(db, lambda q, build=build: q.filter(build).collect())) == 1


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda q: q.add(q.field("x"), 1), "add needs two int64 or two float64, not undefined and 1"),
        (lambda q: q.add(Int64(1), 1), "add needs two int64 or two float64, not Int64(1) and 1"),
        (lambda q: q.add(True, 1), "add needs two int64 or two float64, not true and 1"),
        (lambda q: q.div(Int64(1), Int64(0)), "div of 1 by zero"),
        (lambda q: q.neg("a"), 'neg needs an int64 or a float64, not "a"'),
        (lambda q: q.and_(1), "and needs booleans, not 1"),
        (lambda q: q.not_(q.field("x")), "not needs booleans, not undefined"),
        (lambda q: q.field("n"), "filter needs booleans, not 1"),
        (lambda q: q.eq(q.field("a..b"), 1), "field needs a field path"),
        (lambda q: q.eq(q.field(5), 1), "field needs a field path"),
        (lambda q: q.eq(q.field("n"), 2) and q.eq(q.field("n"), 1), "write q.and_"),
        (lambda q: not q.eq(q.field("n"), 1), "q.not_"),
        (lambda q: q.field("n") == 1, "field(n) has no value before there is a document"),
        (lambda q: q.field("n") != 2, "q.neq"),
        (lambda q: q.eq("n", 2), "write q.field(name)"),
        (lambda q: q.and_(q.eq(q.field("n"), 1), q.gt("n", 0)), 'gt("n",0) is the same for every document'),
    ],
    ids=range(16),
)
def test_filters_that_cannot_be(db: Database, build: Any, message: str) -> None:
    fill(db, [{"n": 1}])
    error = refused(db, lambda q: q.filter(build).collect())
    assert (error.code, message in str(error)) == ("InvalidFilter", True), str(error)


def test_too_many_filters(open_database: Callable[..., Database]) -> None:
    db = open_database(SCHEMA, limits=Limits(max_filter_operators=2))
    true = lambda q: True
    assert run(db, lambda q: q.filter(true).filter(true).collect()) == []
    assert "at most 2 operators" in str(refused(db, lambda q: q.filter(true).filter(true).filter(true)))


# ---------------------------------------------------------------- pages


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
