# SPDX-License-Identifier: MIT
"""What may be read in one transaction on PostgreSQL, and in which order.

Not a backend itself: `postgresql.py` opens the connections.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from time import monotonic
from typing import Any

from .postgresql_connection import ANSWER_SECONDS, LOST, Connection, Fault, binary, quoted
from .postgresql_statements import Statements

Position = tuple[bytes, str]
"""(key, id), in the order of an index."""

GRACE_SECONDS = 5.0  # of the server, to answer that a time limit is over
MAX_KEY_BYTES = 2_000  # of a key in `entries.key`, the rest is in `entries.rest`: an index row holds 2,704


class Reading:
    """A transaction and what may be read in it; it belongs to one thread at a time.

    It begins with its first statement, in the same round trip.

    Args:
        statements: their texts.
        begin: what opens it.
        connect: gives a connection that works, without waiting for a server, at the first statement or if the
            line is broken then.
    """

    def __init__(self, statements: Statements, begin: str, connect: Callable[[], Connection]) -> None:
        self._statements = statements
        self.begin, self.end = begin, "ROLLBACK"
        self._connect = connect
        self.connection: Connection | None = None
        self.begun, self.begun_at = False, 0.0
        self.deadline = inf
        self._timeout_milliseconds = 0  # what the server was told; 0 is no limit

    def execute(self, sql: str) -> list[tuple[str | None, ...]]:
        """The rows of a statement of SQL, as text."""
        result = self.ask(sql)
        columns = range(result.nfields)
        cells = ((result.get_value(row, column) for column in columns) for row in range(result.ntuples))
        return [tuple(None if cell is None else cell.decode() for cell in row) for row in cells]

    def ask(self, statement: str) -> Any:
        """Run a statement in the transaction; returns its result.

        Raises:
            Fault: ECONNRESET, when the line broke after the transaction had begun; and any other.
        """
        connection = self.connection
        text = f"{self._prologue()}{statement}"
        told = self._timeout_milliseconds
        seconds = told / 1000 + GRACE_SECONDS if told else ANSWER_SECONDS
        if connection is None or not self.begun:
            return self._first(connection or self._connect(), text, seconds)
        return connection.run(text, seconds)

    def _first(self, connection: Connection, text: str, seconds: float) -> Any:
        self.connection, self.begun, self.begun_at = connection, True, monotonic()
        try:
            return connection.run(text, seconds)
        except Fault as fault:
            if fault.errno != LOST:
                raise
        connection.close()
        self.connection = self._connect()  # nothing was read yet: an idle line that had broken is no fault
        return self.connection.run(text, seconds)

    def _prologue(self) -> str:
        """What has to be said before the next statement: BEGIN, and how long it may take."""
        begin = "" if self.begun else self.begin
        told = self._timeout_milliseconds
        if self.deadline == inf:
            self._timeout_milliseconds = 0
            return f"{begin}SET LOCAL statement_timeout = 0; " if told else begin
        left = max(1, int((self.deadline - monotonic()) * 1000))
        if told and told * 3 // 4 <= left <= told:
            return begin
        self._timeout_milliseconds = left
        return f"{begin}SET LOCAL statement_timeout = {left}; "

    # -- documents and entries, as the server has them

    def get(self, id: str) -> tuple[str, str] | None:
        result = self.ask(self._statements("get", quoted(id)))
        return document(result.get_value(0, 0)) if result.ntuples else None

    def scan(self, start: str, stop: str, *, reverse: bool, limit: int) -> list[tuple[str, str]]:
        return [(id, json) for id, (_, json) in self._stored(start, stop, reverse, limit)]

    def scan_index(
        self, index: int, start: Position, stop: Position, *, reverse: bool, limit: int
    ) -> list[tuple[bytes, str, str]]:
        found: list[tuple[bytes, str, str]] = []
        piece = Piece(start, stop, reverse)
        while piece.more and len(found) < limit:
            rows = self._entries(index, piece, limit - len(found))
            found += [(key, id, json) for (key, id), (_, json) in rows]
        return found[:limit]

    def count(self, start: str, stop: str, limit: int) -> int:
        result = self.ask(self._statements("count", quoted(start), quoted(stop), limit))
        return int(result.get_value(0, 0))

    def entries(self, start: tuple[int, bytes, str], limit: int) -> list[tuple[int, bytes, str]]:
        number, key, id = start
        place = (number, binary(key[:MAX_KEY_BYTES]), quoted(id))
        result = self.ask(self._statements("all_entries", *place, limit))
        get, found = result.get_value, []
        for n in range(result.ntuples):
            rest = get(n, 3)
            found.append(
                (int(get(n, 0)), _bytes(get(n, 1)) + (_bytes(rest) if rest else b""), get(n, 2).decode())
            )
        return found

    def _stored(self, start: str, stop: str, reverse: bool, limit: int) -> list[tuple[str, tuple[str, str]]]:
        name = "scan_back" if reverse else "scan"
        value = self.ask(self._statements(name, quoted(start), quoted(stop), limit))
        get = value.get_value
        return [(get(n, 0).decode(), document(get(n, 1))) for n in range(value.ntuples)]

    def _entries(self, index: int, piece: Piece, limit: int) -> list[tuple[Position, tuple[str, str]]]:
        """The entries of a piece of an index that begins where the last one ended, with their documents; an
        entry without a document is left out."""
        rows = self._entry_rows(index, piece.start, piece.stop, piece.reverse, limit)
        last = rows[-1][0] if len(rows) == limit else None
        long = any(len(key) == MAX_KEY_BYTES for (key, _), _, _ in rows)
        # All whose keys begin so are put in order here
        if last is not None and len(last[0]) == MAX_KEY_BYTES:
            key = last[0]
            rows = [row for row in rows if row[0][0] != key]
            end = (_end_of_prefix(key), "")
            rows += self._entry_rows(index, (key, ""), end, piece.reverse, None)
            last = (key, "") if piece.reverse else end
        elif last is not None and not piece.reverse:
            last = (last[0], last[1] + "\x01")  # no text that is stored lies between the two
        piece.go_on_from(last)
        found = [((key + rest, id), value) for (key, id), value, rest in rows if value is not None]
        if long:
            found.sort(key=lambda row: row[0], reverse=piece.reverse)
            found = [row for row in found if piece.wanted(row[0])]
        return found

    def _entry_rows(
        self, index: int, start: Position, stop: Position, reverse: bool, limit: int | None
    ) -> list[tuple[Position, tuple[str, str] | None, bytes]]:
        bounds = (binary(start[0]), quoted(start[1]), binary(stop[0]), quoted(stop[1]))
        name = "entries_back" if reverse else "entries"
        result = self.ask(self._statements(name, index, *bounds, "NULL" if limit is None else limit))
        get, out = result.get_value, []
        for n in range(result.ntuples):
            value, rest = get(n, 2), get(n, 3)
            position = (_bytes(get(n, 0)), get(n, 1).decode())
            out.append((position, value and document(value), _bytes(rest) if rest else b""))
        return out


class Piece:
    """How far the reading of a range of an index has come.

    Its bounds are keys as they are stored, or ends of all keys that begin alike: on the same side of an entry
    whether its whole key is looked at or the part that is stored.
    """

    def __init__(self, start: Position, stop: Position, reverse: bool) -> None:
        self._wanted_start, self._wanted_stop = start, stop
        self.start = (start[0][:MAX_KEY_BYTES], "") if len(start[0]) >= MAX_KEY_BYTES else start
        self.stop = (_end_of_prefix(stop[0][:MAX_KEY_BYTES]), "") if len(stop[0]) >= MAX_KEY_BYTES else stop
        self.reverse = reverse
        self.more = start < stop
        self.read = (start, stop)

    def go_on_from(self, position: Position | None) -> None:
        """The next piece begins at a position, or there is none; `read` is what the last one covered."""
        start, stop = self.start, self.stop
        if position is None:
            self.more = False
        elif self.reverse:
            self.stop = start = position
        else:
            self.start = stop = position
        self.read = (max(start, self._wanted_start), min(stop, self._wanted_stop))

    def wanted(self, position: Position) -> bool:
        return self._wanted_start <= position < self._wanted_stop


def _end_of_prefix(key: bytes) -> bytes:
    """The least key above all that begin with this one."""
    kept = key.rstrip(b"\xff")
    return kept[:-1] + bytes([kept[-1] + 1]) if kept else key + b"\xff" * 8_192


def document(value: bytes) -> tuple[str, str]:
    table, _, json = value.decode().partition("\x1e")
    return table, json


def _bytes(value: bytes) -> bytes:
    return bytes.fromhex(value[2:].decode())
