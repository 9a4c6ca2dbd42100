# SPDX-License-Identifier: MIT
"""Databases for the tests of this room, closed at their end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from minihttp.data.database import Database
from minihttp.data.schema import Schema
from storage_backends.sqlite import DocumentBackend

Open = Callable[..., Database]


class Clock:
    """Unix seconds that stand still until a test moves them."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def open_database(clock: Clock) -> Iterator[Open]:
    """`open_database(schema, location=":memory:", …)`: a database on SQLite."""
    opened: list[Database] = []

    def open_(schema: Schema | None = None, location: str = ":memory:", **options: Any) -> Database:
        backend = DocumentBackend(location)
        try:
            opened.append(Database(backend, schema, clock=clock, **options))
        except BaseException:
            backend.close()
            raise
        return opened[-1]

    yield open_
    for database in opened:
        database.close()
