# SPDX-License-Identifier: MIT
"""Pages: with an end, with limits on what is read, and with the dictionary that Convex's clients send."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minihttp.data.database import Database
from minihttp.data.schema import Schema, Table
from minihttp.data.validators import v
from minihttp.errors import DocumentError, SchemaError, ValidationError
from minihttp.limits import Limits
from storage_backends.sqlite import DocumentBackend

SCHEMA = Schema(items=Table({"a": v.number()}).index("by_a", ["a"]))
Build = Callable[[Any], Any]


def database(**limits: float) -> Database:
    return Database(DocumentBackend(":memory:"), SCHEMA, limits=Limits(**limits))


def fill(db: Database, values: list[float]) -> list[str]:
    return db.write(lambda t: [t.db.insert("items", {"a": value}) for value in values])


def page(db: Database, build: Build, **options: Any) -> dict[str, Any]:
    found: dict[str, Any] = db.read(lambda t: build(t.db.query("items")).paginate(options))
    return found


def values(found: dict[str, Any]) -> list[float]:
    return [document["a"] for document in found["page"]]


ORDERS: dict[str, Build] = {
    "created": lambda q: q,
    "created, latest first": lambda q: q.order("desc"),
    "by a": lambda q: q.with_index("by_a"),
    "by a, highest first": lambda q: q.with_index("by_a").order("desc"),
    "a range of a": lambda q: q.with_index("by_a", lambda q: q.gte("a", 2).lt("a", 7)),
    "filtered": lambda q: q.with_index("by_a").filter(lambda q: q.neq(q.field("a"), 4)),
}


@given(
    st.sampled_from(sorted(ORDERS)),
    st.lists(st.integers(0, 9), max_size=25),
    st.integers(1, 8),
    st.lists(st.tuples(st.sampled_from(["insert", "delete"]), st.integers(0, 30)), max_size=25),
)
def test_pages_with_an_end_hold_exactly_what_is_up_to_it(
    order: str, first: list[int], num_items: int, changes: list[tuple[str, int]]
) -> None:
    """Pages are read, documents come and go, and the same pages are read again, each up to its old end."""
    build = ORDERS[order]
    with closing(database()) as db:
        fill(db, [float(value) for value in first])
        cursors: list[str | None] = [None]
        while True:
            read = page(db, build, numItems=num_items, cursor=cursors[-1])
            cursors.append(read["continueCursor"])
            if read["isDone"]:
                break
        where = db.read(lambda t: [d["_id"] for d in build(t.db.query("items")).collect()])
        for change, number in changes:
            here = db.read(lambda t: [d["_id"] for d in t.db.query("items").collect()])
            if change == "insert":
                fill(db, [float(number % 10)])
            elif here:
                gone = here[number % len(here)]
                db.write(lambda t, id=gone: t.db.delete(id))
        ends = list(itertools.pairwise(cursors))
        again = [page(db, build, numItems=num_items, cursor=start, endCursor=end) for start, end in ends]
        now = db.read(lambda t: build(t.db.query("items")).collect())
        rest = page(db, build, numItems=1_000, cursor=cursors[-1])
        joined = [document for read in again for document in read["page"]] + rest["page"]
        assert joined == now  # together they are the whole, and nothing stands in two of them
        for (_, end), read in zip(ends, again, strict=True):
            assert read["continueCursor"] == end
        kept = {document["_id"] for document in now}
        number_of = {id: n // num_items for n, id in enumerate(where)}  # the page that each was on at first
        for number, read in enumerate(again):
            old = [document["_id"] for document in read["page"] if document["_id"] in number_of]
            if order != "filtered":
                assert old == [id for id in where if number_of[id] == number and id in kept]


def test_a_page_with_an_end_is_done_when_nothing_comes_after_it() -> None:
    with closing(database()) as db:
        fill(db, [1, 2, 3, 4])
        by_a = ORDERS["by a"]
        first = page(db, by_a, numItems=2, cursor=None)
        second = page(db, by_a, numItems=2, cursor=first["continueCursor"])
        assert (first["isDone"], second["isDone"]) == (False, True)
        end = second["continueCursor"]
        again = page(db, by_a, numItems=1, cursor=first["continueCursor"], endCursor=end)
        assert (values(again), again["isDone"]) == ([3, 4], True)
        fill(db, [2.5, 5])
        again = page(db, by_a, numItems=1, cursor=first["continueCursor"], endCursor=end)
        assert (values(again), again["isDone"], again["continueCursor"]) == ([2.5, 3, 4], False, end)
        assert values(page(db, by_a, numItems=1, cursor=end, endCursor=first["continueCursor"])) == []


@pytest.mark.parametrize("order", ORDERS)
def test_the_end_of_an_empty_table_is_before_everything(order: str) -> None:
    with closing(database()) as db:
        end = page(db, ORDERS[order], numItems=2, cursor=None)["continueCursor"]
        fill(db, [2, 3])
        read = page(db, ORDERS[order], numItems=2, cursor=None, endCursor=end)
        assert (read["page"], read["isDone"], read["splitCursor"]) == ([], False, None)


def split(db: Database, build: Build, start: str | None, read: dict[str, Any], **options: Any) -> list[float]:
    """What `usePaginatedQuery` does: a page that must be split is read as two, until all are whole."""
    if read["pageStatus"] != "SplitRequired":
        return values(read)
    found: list[float] = []
    for begin, end in ((start, read["splitCursor"]), (read["splitCursor"], read["continueCursor"])):
        found += split(db, build, begin, page(db, build, cursor=begin, endCursor=end, **options), **options)
    return found


@given(st.integers(2, 60), st.integers(1, 9), st.sampled_from(["maximumRowsRead", "maximumBytesRead"]))
def test_a_page_that_cannot_be_read_whole_is_split(count: int, most: int, limit: str) -> None:
    by_a = ORDERS["by a"]
    with closing(database()) as db:
        fill(db, [float(n) for n in range(count)])
        end = page(db, by_a, numItems=count, cursor=None)["continueCursor"]
        options = {"numItems": 1, limit: most if limit == "maximumRowsRead" else most * 60}
        read = page(db, by_a, cursor=None, endCursor=end, **options)
        if limit == "maximumRowsRead":
            assert len(read["page"]) == min(count, most)
            assert read["pageStatus"] == ("SplitRequired" if count > most else None)
            assert read["isDone"] is (count <= most)
        assert split(db, by_a, None, read, **options) == list(range(count))


def test_a_page_without_an_end_is_short_after_so_many_rows() -> None:
    rare = lambda q: q.filter(lambda q: q.eq(q.field("a"), 9))
    with closing(database()) as db:
        fill(db, [float(n) for n in range(10)])
        cursor, found = None, []
        for _ in range(4):
            read = page(db, rare, numItems=5, cursor=cursor, maximumRowsRead=3)
            found.append((values(read), read["isDone"], read["pageStatus"]))
            cursor = read["continueCursor"]
        assert found == [([], False, None)] * 3 + [([9], True, None)]


def test_a_page_that_comes_close_to_the_limit_says_so() -> None:
    with closing(database(max_read_documents=20)) as db:
        fill(db, [float(n) for n in range(16)])
        assert page(db, ORDERS["by a"], numItems=15, cursor=None)["pageStatus"] is None
        read = page(db, ORDERS["by a"], numItems=16, cursor=None)
        assert read["pageStatus"] == "SplitRecommended"
        first = page(db, ORDERS["by a"], numItems=1, cursor=None, endCursor=read["splitCursor"])
        assert values(first) == [0, 1, 2, 3, 4, 5, 6, 7]


def test_the_dictionary_of_a_client_and_the_keywords_are_one() -> None:
    sent = {"numItems": 2.0, "cursor": None, "id": 7, "endCursor": None, "maximumRowsRead": None}
    with closing(database()) as db:
        fill(db, [1, 2, 3])
        by_hand = db.read(lambda t: t.db.query("items").paginate(num_items=2))
        assert page(db, lambda q: q, **sent) == by_hand
        assert set(by_hand) == {"page", "isDone", "continueCursor", "splitCursor", "pageStatus"}


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, r"`options\.numItems` must be a positive number\. Received `"),
        ({"numItems": 0}, "Must request at least 1 document while paginating"),
        ({"numItems": math.nan}, r"`options\.numItems` must be a positive number"),
        ({"numItems": 1, "maximumRowsRead": -1}, r"`options\.maximumRowsRead` must be a positive number"),
        ({"numItems": 1, "maximumBytesRead": "1"}, r"`options\.maximumBytesRead` must be a positive number"),
        ({"numItems": 1, "size": 3}, "is not one of `options`: numItems, cursor"),
        ({"numItems": 1, "endCursor": "x"}, "is not one of this query"),
        ({"numItems": 1, "endCursor": 5}, "is not one of this query"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], text: str) -> None:
    with closing(database()) as db, pytest.raises(DocumentError, match=text):
        page(db, lambda q: q, **options)


def test_the_validators_of_pages() -> None:
    options = v.pagination_opts()
    sent = {"numItems": 10.0, "cursor": None, "id": 3.0, "endCursor": "x", "maximumRowsRead": 5.0}
    assert options.check(sent) == sent
    for wrong in ({"numItems": 10}, {"cursor": None}, {"numItems": "1", "cursor": None}, {**sent, "x": 1}):
        with pytest.raises(ValidationError):
            options.check(wrong)
    result = v.pagination_result(v.object({"a": v.number()}))
    read = {"page": [{"a": 1.0}], "isDone": True, "continueCursor": "x"}
    assert result.check(read) == read
    whole = {**read, "splitCursor": None, "pageStatus": "SplitRequired"}
    assert result.check(whole) == whole
    with pytest.raises(ValidationError):
        result.check({**read, "pageStatus": "Split"})
    with pytest.raises(SchemaError):
        v.pagination_result(None)  # type: ignore[arg-type]
