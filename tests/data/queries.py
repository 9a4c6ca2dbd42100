# SPDX-License-Identifier: MIT
"""What the tests of queries share: tables with a value of every kind."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from minihttp.data.database import Database
from minihttp.data.schema import Schema, Table
from minihttp.data.validators import v
from minihttp.errors import DocumentError
from minihttp.values import UNSET, Int64

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


@pytest.fixture(scope="module")
def crossed() -> Iterator[tuple[Database, list[dict[str, Any]]]]:
    """A table with every pair of some values, and its documents."""
    from storage_backends.sqlite import DocumentBackend

    database = Database(DocumentBackend(":memory:"), SCHEMA)
    documents = [{"a": a, "b": b, "n": n} for a in VALUES for n, b in enumerate(VALUES[::4])]
    fill(database, documents)
    yield database, database.read(lambda t: t.db.query("items").collect())
    database.close()
