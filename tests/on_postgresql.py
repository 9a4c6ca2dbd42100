# SPDX-License-Identifier: MIT
"""Run suites once more on PostgreSQL: `CI_DOCUMENTS=postgresql pytest tests/data tests/functions`.

Every `:memory:` and every path of an sqlite database becomes a schema of a server, also in the servers that
tests start. Tests marked `sqlite` are left out: they look into, lock, damage, patch or measure that engine.
Making a schema takes longer than most tests: one that is done with is emptied and used again.
"""

from __future__ import annotations

import itertools
import os
from functools import cache
from typing import Any

import psycopg

import minihttp.app.services
import storage_backends.sqlite
from storage_backends.postgresql import DocumentBackend
from tests.postgresql_server import postgresql, schema_for

_MEMORY = ":memory:"
_OF_PARENT = "TESTS_POSTGRESQL"  # in the environment of processes that a test starts
_TABLES = ("documents", "entries", "writers", "snapshots")
_free: list[str] = []
"""Schemas with the tables of a database and nothing in them."""
_in_use: dict[str, int] = {}
"""Of each schema of a path how often it is open here."""
_numbers = itertools.count()


class OnPostgreSQL(DocumentBackend):
    def __init__(self, location: str, **options: Any) -> None:
        self._is_nameless = location == _MEMORY
        self._schema = _nameless() if self._is_nameless else _schema_of(os.path.abspath(location))
        super().__init__(_location(self._schema))

    def close(self) -> None:
        was_open = not self._closed
        super().close()
        if was_open and all(writers._closed for writers in (*self._writers, self._lockers)):
            if self._is_nameless:
                _empty(self._schema)
            else:
                _in_use[self._schema] -= 1


def forget() -> None:
    """The test has ended: nobody opens its databases any more. One that somebody may still have is left."""
    for schema in [schema for schema, times in _in_use.items() if not times]:
        del _in_use[schema]
        if not _execute(f'SELECT 1 FROM "{schema}".writers LIMIT 1'):
            _empty(schema)


def _nameless() -> str:
    return _free.pop() if _free else schema_for(f"{os.getpid()} {next(_numbers)}")


def _schema_of(path: str) -> str:
    schema = schema_for(path)
    if schema not in _in_use:
        _in_use[schema] = 0
        if _free and not _execute(f"SELECT 1 FROM pg_namespace WHERE nspname = '{schema}'"):
            _execute(f'ALTER SCHEMA "{_free.pop()}" RENAME TO "{schema}"')
    _in_use[schema] += 1
    return schema


def _empty(schema: str) -> None:
    _execute("; ".join(f'DELETE FROM "{schema}".{table}' for table in _TABLES))
    _free.append(schema)


def _execute(statement: str) -> list[Any]:
    cursor = _connection().execute(statement.encode())
    return cursor.fetchall() if cursor.description else []


@cache
def _connection() -> psycopg.Connection[Any]:
    url = os.environ[_OF_PARENT].partition("?")[0]
    return psycopg.connect(f"postgresql:{url}", autocommit=True)


def _location(schema: str) -> str:
    return os.environ[_OF_PARENT].format(schema)


if _OF_PARENT not in os.environ:
    # From this thread: the server ends with the thread that has started it.
    os.environ[_OF_PARENT] = postgresql().location("{}")
storage_backends.sqlite.DocumentBackend = OnPostgreSQL  # type: ignore[assignment,misc]
# The files of a test are in the folder of its database, which an app of several machines has to name.
minihttp.app.services._refuse_files_of_one_machine = lambda *stores: None  # type: ignore[assignment]
