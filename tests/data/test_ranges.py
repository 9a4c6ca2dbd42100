# SPDX-License-Identifier: MIT
"""Ranges of an index: what they hold, and those that cannot be."""

from __future__ import annotations

import math
from functools import cmp_to_key
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minihttp.data.database import Database
from minihttp.values import UNSET, compare
from tests.data.queries import VALUES, crossed, db, fill, refused, run

__all__ = ["crossed", "db"]


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
