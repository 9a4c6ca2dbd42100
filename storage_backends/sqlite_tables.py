# SPDX-License-Identifier: MIT
"""The two tables of a document database in SQLite, and the statements that read and write them.

Not a backend itself: `sqlite.py` opens the connections and commits.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from functools import lru_cache
from itertools import chain, repeat
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
        self._cursor = connection.cursor()
        self.deadline = inf
        connection.set_progress_handler(lambda: monotonic() > self.deadline, _PROGRESS_STEPS)

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> list[Any]:
        try:
            return self._cursor.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise fault(error) from error

    _read = execute  # for rows of the two tables

    def get(self, id: str) -> tuple[str, str] | None:
        rows = self._read(_GET, (id,))
        return rows[0] if rows else None

    def scan(self, start: str, stop: str, *, reverse: bool, limit: int) -> list[tuple[str, str]]:
        parts = self._parts(_SCAN[reverse], (start, stop, limit))
        return list(zip(parts[::2], parts[1::2], strict=True))

    def scan_index(
        self, index: int, start: tuple[bytes, str], stop: tuple[bytes, str], *, reverse: bool, limit: int
    ) -> list[tuple[bytes, str, str]]:
        if start[0] == stop[0]:  # of one key, which need not be read
            parts = self._parts(_SCAN_KEY[reverse], (index, *start, stop[1], limit))
            return list(zip(repeat(start[0]), parts[::2], parts[1::2]))
        parts = self._parts(_SCAN_INDEX[reverse], (index, *start, *stop, limit))
        return list(zip(map(bytes.fromhex, parts[::3]), parts[1::3], parts[2::3], strict=True))

    def count(self, start: str, stop: str, limit: int) -> int:
        [(found,)] = self._read(_COUNT, (start, stop, limit))
        return int(found)

    def entries(self, start: tuple[int, bytes, str], limit: int) -> list[tuple[int, bytes, str]]:
        return self._read(_ENTRIES, (*start, limit))

    def _parts(self, sql: str, parameters: Sequence[object]) -> list[str]:
        """The columns of all rows, one after the other."""
        [(text,)] = self._read(sql, parameters)
        return [] if text is None else text.split(_SEPARATOR)


_SEPARATOR = "\x1e"  # JSON text has no control characters
_COUNT = "SELECT count(*) FROM (SELECT 1 FROM documents WHERE id >= ? AND id < ? LIMIT ?)"
_ENTRIES = 'SELECT * FROM entries WHERE ("index", key, id) >= (?, ?, ?) ORDER BY "index", key, id LIMIT ?'
_GET = 'SELECT "table", json FROM documents WHERE id = ?'


def _joined(rows: str, *columns: str, order: Sequence[str] = ("id",)) -> list[str]:
    """The statements that read some rows, forwards and backwards.

    All rows come in one piece: sqlite3 gives the interpreter lock away for each row, and with other threads
    at work it is long in coming back.
    """
    joined = " || char(30) || ".join(columns)
    orders = (", ".join(order), ", ".join(f"{column} DESC" for column in order))
    return [
        f"SELECT group_concat({joined}, char(30)) FROM (SELECT {rows} ORDER BY {by} LIMIT ?)"  # noqa: S608
        for by in orders
    ]


_INDEXED = 'FROM entries e CROSS JOIN documents d ON d.id = e.id WHERE e."index" = ?'
_SCAN = _joined("id, json FROM documents WHERE id >= ? AND id < ?", "id", "json")
_SCAN_INDEX = _joined(
    f"e.key, e.id, d.json {_INDEXED} AND (e.key, e.id) >= (?, ?) AND (e.key, e.id) < (?, ?)",
    *("hex(key)", "id", "json"),
    order=("e.key", "e.id"),
)
_SCAN_KEY = _joined(
    f"e.id, d.json {_INDEXED} AND e.key = ? AND e.id >= ? AND e.id < ?", "id", "json", order=("e.id",)
)

_DOCUMENT, _ENTRY = "documents", "entries"
_MAX_ROWS = 32  # of one statement


@lru_cache(maxsize=2 * _MAX_ROWS)
def _insert(table: str, rows: int) -> str:
    return f"INSERT OR REPLACE INTO {table} VALUES " + ",".join(["(?, ?, ?)"] * rows)  # noqa: S608


class _Scope:
    """A sub-transaction: where its rows begin among the pending, and whether SQLite knows of it.

    Not a generator: one that is interrupted on the way in would be closed, and undo things, at any time.
    """

    __slots__ = ("_depth", "_writing", "mark", "savepoint")

    def __init__(self, writing: Writing) -> None:
        self._writing = writing
        self.savepoint = False

    def __enter__(self) -> None:
        self._writing._refuse_if_lost()
        self.mark = len(self._writing._pending)
        self._depth = len(self._writing._scopes)
        self._writing._scopes.append(self)

    def __exit__(self, kind: type[BaseException] | None, *exc_info: object) -> None:
        writing = self._writing
        del writing._scopes[self._depth :]
        if kind is not None:
            del writing._pending[self.mark :]
        if self.savepoint and writing.connection.in_transaction:
            if kind is not None:
                writing.execute("ROLLBACK TO nested")
            writing.execute("RELEASE nested")


class Writing(Reading):
    """The one write connection inside a transaction.

    What is put waits until something is read or committed; then many rows are one statement, since each
    statement gives the interpreter lock away. SQLite hears of a sub-transaction only if it must.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        self._pending: list[tuple[tuple[str, str, str], list[tuple[int, bytes, str]]]] = []
        self._scopes: list[_Scope] = []

    # -- the transaction

    def begin(self) -> None:
        self._scopes.clear()
        self.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        self._send()
        self.execute("COMMIT")

    def roll_back(self) -> None:
        self._pending.clear()
        if self.connection.in_transaction:
            self.execute("ROLLBACK")

    def lock(self, ids: Collection[str]) -> Collection[str]:
        return ids  # nobody else writes meanwhile

    def trust(self, id: str, table: str, json: str) -> None:
        pass  # what is read is in memory

    def nested(self) -> AbstractContextManager[None]:
        return _Scope(self)

    # -- reading one's own writes

    def _read(self, sql: str, parameters: Sequence[object] = ()) -> list[Any]:
        self._send()
        return self.execute(sql, parameters)

    # -- writing

    def put(
        self,
        id: str,
        table: str,
        json: str,
        add: Iterable[tuple[int, bytes]],
        remove: Iterable[tuple[int, bytes]],
    ) -> None:
        self._refuse_if_lost()
        self._remove_entries(id, remove)
        self._pending.append(((id, table, json), [(index, key, id) for index, key in add]))

    def insert(self, id: str, table: str, json: str, add: Iterable[tuple[int, bytes]]) -> bool:
        self._refuse_if_lost()
        waits = any(document[0] == id for document, _ in self._pending)
        if waits or self.execute(_GET, (id,)):  # what is pending need not be written for that
            return False
        self.put(id, table, json, add, ())
        return True

    def delete(self, id: str, remove: Iterable[tuple[int, bytes]]) -> None:
        self._remove_entries(id, remove)
        self._send("DELETE FROM documents WHERE id = ?", ((id,),))

    def add_entries(self, rows: Iterable[tuple[int, bytes, str]]) -> None:
        self._send("INSERT OR REPLACE INTO entries VALUES (?, ?, ?)", rows)

    def remove_entries(self, rows: Iterable[tuple[int, bytes, str]]) -> None:
        self._send('DELETE FROM entries WHERE "index" = ? AND key = ? AND id = ?', rows)

    def _remove_entries(self, id: str, remove: Iterable[tuple[int, bytes]]) -> None:
        rows = [(index, key, id) for index, key in remove]
        if rows:
            self.remove_entries(rows)

    def _refuse_if_lost(self) -> None:
        """Some faults roll everything back: what follows would be committed on its own."""
        if not self.connection.in_transaction:
            raise Fault(errno.EIO, "the transaction was rolled back by an earlier fault")

    def _send(self, sql: str | None = None, parameters: Iterable[Sequence[object]] = ()) -> None:
        """Write what is pending, each row in its own sub-transaction; then run a statement that writes.

        A write that fails loses the transaction: whoever catches its error, and those whose rows waited,
        would have a part of them committed.
        """
        if not self._pending and sql is None:
            return
        self._refuse_if_lost()
        pending, self._pending = self._pending, []
        sent = 0
        try:
            for scope in self._scopes:
                if not scope.savepoint and (sql is not None or scope.mark < len(pending)):
                    self._insert(pending[sent : scope.mark])
                    sent = scope.mark
                    self.execute("SAVEPOINT nested")
                    scope.savepoint = True
                scope.mark = 0
            self._insert(pending[sent:])
            if sql is not None:
                self.connection.executemany(sql, parameters)
        except BaseException as error:
            self.roll_back()
            if isinstance(error, sqlite3.Error):
                raise fault(error) from error
            raise

    def _insert(self, pending: list[tuple[tuple[str, str, str], list[tuple[int, bytes, str]]]]) -> None:
        documents = [document for document, _ in pending]
        entries = [entry for _, added in pending for entry in added]
        for table, rows in ((_DOCUMENT, documents), (_ENTRY, entries)):
            for start in range(0, len(rows), _MAX_ROWS):
                some = rows[start : start + _MAX_ROWS]
                self.execute(_insert(table, len(some)), list(chain.from_iterable(some)))
