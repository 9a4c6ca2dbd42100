# SPDX-License-Identifier: MIT
"""The two tables of a document database in SQLite, and the statements that read and write them.

Not a backend itself: `sqlite.py` opens the connections and commits.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from math import inf
from time import monotonic
from typing import Any

from .sqlite_connection import Fault, fault

TABLES = (
    'CREATE TABLE documents (id TEXT PRIMARY KEY, "table" TEXT NOT NULL, json TEXT NOT NULL) WITHOUT ROWID',
    'CREATE TABLE entries ("index" INTEGER, key BLOB, id TEXT, PRIMARY KEY ("index", key, id)) WITHOUT ROWID',
)
_PROGRESS_STEPS = 10_000  # instructions of SQLite's machine between two looks at the clock: < 1 ms


class Reading:
    """A connection and what may be read through it; it belongs to one thread at a time."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.deadline = inf
        connection.set_progress_handler(lambda: monotonic() > self.deadline, _PROGRESS_STEPS)

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> list[Any]:
        try:
            return self.connection.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise fault(error) from error

    def get(self, id: str) -> tuple[str, str] | None:
        try:
            row: tuple[str, str] | None = self.connection.execute(_GET, (id,)).fetchone()
        except sqlite3.Error as error:
            raise fault(error) from error
        return row

    def scan(self, start: str, stop: str, *, reverse: bool, limit: int) -> list[tuple[str, str]]:
        parts = self._parts(_SCAN[reverse], (start, stop, limit))
        return list(zip(parts[::2], parts[1::2], strict=True))

    def scan_index(
        self, index: int, start: tuple[bytes, str], stop: tuple[bytes, str], *, reverse: bool, limit: int
    ) -> list[tuple[bytes, str, str]]:
        parts = self._parts(_SCAN_INDEX[reverse], (index, *start, *stop, limit))
        return list(zip(map(bytes.fromhex, parts[::3]), parts[1::3], parts[2::3], strict=True))

    def _parts(self, sql: str, parameters: Sequence[object]) -> list[str]:
        """The columns of all rows, one after the other."""
        [(text,)] = self.execute(sql, parameters)
        return [] if text is None else text.split(_SEPARATOR)


_SEPARATOR = "\x1e"  # JSON text has no control characters
_GET = 'SELECT "table", json FROM documents WHERE id = ?'
# All rows come in one piece: sqlite3 gives the interpreter lock away for each row, and with other threads at
# work it is long in coming back.
_JOINED = "SELECT group_concat({columns}, char(30)) FROM (SELECT {rows} ORDER BY {order} LIMIT ?)"
_SCAN = [
    _JOINED.format(
        columns="id || char(30) || json",
        rows="id, json FROM documents WHERE id >= ? AND id < ?",
        order=order,
    )
    for order in ("id", "id DESC")
]
_SCAN_INDEX = [
    _JOINED.format(
        columns="hex(key) || char(30) || id || char(30) || json",
        rows="e.key, e.id, d.json FROM entries e CROSS JOIN documents d ON d.id = e.id "
        'WHERE e."index" = ? AND (e.key, e.id) >= (?, ?) AND (e.key, e.id) < (?, ?)',
        order=order,
    )
    for order in ("e.key, e.id", "e.key DESC, e.id DESC")
]


class Writing(Reading):
    """The one write connection inside a transaction."""

    def _write(self, sql: str, parameters: Iterable[Sequence[object]]) -> None:
        self._refuse_if_lost()
        try:
            self.connection.executemany(sql, parameters)
        except sqlite3.Error as error:
            raise fault(error) from error

    def _refuse_if_lost(self) -> None:
        """Some faults roll everything back: what follows would be committed on its own."""
        if not self.connection.in_transaction:
            raise Fault(errno.EIO, "the transaction was rolled back by an earlier fault")

    def put(
        self,
        id: str,
        table: str,
        json: str,
        add: Iterable[tuple[int, bytes]],
        remove: Iterable[tuple[int, bytes]],
    ) -> None:
        self._remove_entries(id, remove)
        self._write("INSERT OR REPLACE INTO documents VALUES (?, ?, ?)", ((id, table, json),))
        self.add_entries([(index, key, id) for index, key in add])

    def delete(self, id: str, remove: Iterable[tuple[int, bytes]]) -> None:
        self._remove_entries(id, remove)
        self._write("DELETE FROM documents WHERE id = ?", ((id,),))

    def drop_index(self, index: int) -> None:
        self._write('DELETE FROM entries WHERE "index" = ?', ((index,),))

    def add_entries(self, rows: Iterable[tuple[int, bytes, str]]) -> None:
        self._write("INSERT OR REPLACE INTO entries VALUES (?, ?, ?)", rows)

    def _remove_entries(self, id: str, remove: Iterable[tuple[int, bytes]]) -> None:
        rows = [(index, key, id) for index, key in remove]
        if rows:
            self._write('DELETE FROM entries WHERE "index" = ? AND key = ? AND id = ?', rows)

    @contextmanager
    def nested(self) -> Iterator[None]:
        self._refuse_if_lost()
        self.execute("SAVEPOINT nested")
        try:
            yield
        except BaseException:
            if self.connection.in_transaction:
                self.execute("ROLLBACK TO nested")
                self.execute("RELEASE nested")
            raise
        self.execute("RELEASE nested")
