# SPDX-License-Identifier: MIT
"""Filters: what they hold, and those that cannot be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from minihttp.data.database import Database
from minihttp.limits import Limits
from minihttp.values import UNSET, Int64
from tests.data.queries import SCHEMA, db, fill, refused, run

__all__ = ["db"]


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
