# SPDX-License-Identifier: MIT
"""One serializable transaction on PostgreSQL: what it writes waits in memory until its commit.

So a write costs no round trip of its own, and reads look through what was written. Not a backend itself:
`postgresql_writers.py` commits.
"""

from __future__ import annotations

import errno
from bisect import bisect_left, insort
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager
from heapq import merge
from itertools import groupby, islice
from math import inf
from operator import itemgetter
from typing import Any, TypeVar

from .postgresql_connection import LOST, Connection, Fault, binary, quoted
from .postgresql_statements import Statements
from .postgresql_tables import MAX_KEY_BYTES, Piece, Position, Reading, document

K = TypeVar("K", str, Position)

_MAX_CACHED_BYTES = 4 * 1024 * 1024
_MAX_CARRIED, _MAX_CARRIED_CHARACTERS = 64, 4_096  # documents from one transaction to the next
_COMMIT_SECONDS = 10.0  # after which the line of a server that does not answer is taken to be broken
_MAX_EXTRA_ROWS = 256  # read beyond the limit, to make up for rows that this transaction has removed


class _Written(dict[K, Any]):
    """What a transaction has written, by key; None stands for what was undone. In order when asked for."""

    def __init__(self) -> None:
        super().__init__()
        self._order: list[K] | None = None

    def declare(self, key: K) -> None:
        """Give a new key its place."""
        if self._order is not None and key not in self:
            insort(self._order, key)
        self[key] = None

    def between(self, start: K, stop: K) -> list[K]:
        """The keys with `start <= key < stop`."""
        if self._order is None:
            self._order = sorted(self)
        return self._order[bisect_left(self._order, start) : bisect_left(self._order, stop)]

    def merge(self, rows: list[tuple[K, Any]], start: K, stop: K, reverse: bool) -> Iterator[tuple[K, Any]]:
        """Rows of the server with what was written between the same bounds, in one order."""
        keys = self.between(start, stop)
        stored = (row for row in rows if self.get(row[0]) is None)
        written = ((key, value) for key in (reversed(keys) if reverse else keys) if (value := self[key]))
        return merge(stored, written, key=lambda row: row[0], reverse=reverse) if keys else iter(rows)


_GONE = False  # of a document or an entry that this transaction has deleted


class _Scope:
    """A sub-transaction: how long the list of what can be undone was at its begin.

    Not a generator: one that is interrupted on the way in would be closed, and undo things, at any time.
    """

    __slots__ = ("_mark", "_writing")

    def __init__(self, writing: Writing) -> None:
        self._writing = writing

    def __enter__(self) -> None:
        self._writing.refuse_if_lost()
        self._mark = len(self._writing.undo)

    def __exit__(self, kind: type[BaseException] | None, *exc_info: object) -> None:
        if kind is not None:
            self._writing.undo_to(self._mark)


class Writing(Reading):
    """A serializable transaction.

    Attributes:
        lost: the fault by which the server has given the transaction up, if it has.
        trusting: whether a document may be taken to be what somebody says.
        asking: whether the server is asked for something now.
    """

    def __init__(self, statements: Statements, begin: str, connect: Callable[[], Connection]) -> None:
        super().__init__(statements, begin, connect)
        self.lost: Fault | None = None
        self.asking, self.trusting = False, True
        self._carried: dict[str, tuple[str, str]] = {}
        self.reset()

    def carry(self, on: bool) -> None:
        """Whether the next transaction takes what this one has written to be so still, until its first
        question to the server, which asks that too, or its commit."""
        written = islice(self._documents.items(), _MAX_CARRIED if on else 0)
        self._carried = {id: row for id, row in written if row and len(row[1]) <= _MAX_CARRIED_CHARACTERS}

    def reset(self) -> None:
        """Forget everything: the next statement begins a new transaction."""
        self.begun, self.lost, self.deadline, self._timeout_milliseconds = False, None, inf, 0
        self._documents: _Written[str] = _Written()
        self._entries_of: dict[int, _Written[Position]] = {}
        self._read: dict[str, tuple[str, str] | None] = {}
        self._read_bytes = 0
        self._trusted: dict[str, str] = {}
        self._supposed: list[str] = []  # what of that was carried
        self.undo: list[tuple[Any, Any, Any]] = []

    def undo_to(self, mark: int) -> None:
        while len(self.undo) > mark:
            mapping, key, before = self.undo[-1]
            mapping[key] = before
            del self.undo[-1]

    def nested(self) -> AbstractContextManager[None]:
        return _Scope(self)

    def refuse_if_lost(self) -> None:
        if self.lost is not None:
            raise Fault(errno.EIO, "the transaction was rolled back by an earlier fault")

    def ask(self, statement: str) -> Any:
        checks = [self._unchanged(id, self._trusted.pop(id)) for id in self._supposed]
        self._supposed = []
        return self._run(super().ask, "; ".join([*checks, statement]))

    def commit(self, statements: str) -> Any:
        """As `ask`, and a line that breaks is a fault even if nothing was asked before: the server may have
        the statements, and is not to be told them twice."""
        connection = self.connection
        if connection is None:
            raise Fault(LOST, "there is no connection")
        text, self.begun = f"{self._prologue()}{statements}", True
        return self._run(lambda statement: connection.run(statement, _COMMIT_SECONDS), text)

    def _run(self, run: Callable[[str], Any], statement: str) -> Any:
        self.refuse_if_lost()
        self.asking = True
        try:
            return run(statement)
        except Fault as fault:
            self.lost = fault
            raise
        finally:
            self.asking = False

    # -- reading through what was written

    def get(self, id: str) -> tuple[str, str] | None:
        self.refuse_if_lost()
        written = self._documents.get(id)
        if written is not None:
            return written or None
        if id in self._read:
            return self._read[id]
        if self.trusting and not self.begun and id in self._carried:
            self.trust(id, *self._carried[id])
            self._supposed.append(id)
            return self._read[id]
        row = super().get(id)
        self._keep(id, row)
        return row

    def trust(self, id: str, table: str, json: str) -> None:
        if self.trusting and self._documents.get(id) is None and id not in self._read:
            self._read[id] = table, json
            self._trusted[id] = json

    def _keep(self, id: str, row: tuple[str, str] | None) -> None:
        """The snapshot does not move: what was read once need not be read again."""
        if id not in self._read and self._read_bytes < _MAX_CACHED_BYTES:
            self._read[id] = row
            self._read_bytes += 100 + (len(row[1]) if row else 0)

    def count(self, start: str, stop: str, limit: int) -> int:
        if not self._documents.between(start, stop):
            return super().count(start, stop, limit)
        return len(self.scan(start, stop, reverse=False, limit=limit))

    def scan(self, start: str, stop: str, *, reverse: bool, limit: int) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        more = start < stop
        while more and len(found) < limit:
            extra = len(self._documents.between(start, stop))
            wanted = limit - len(found) + min(extra, _MAX_EXTRA_ROWS)
            rows = self._stored(start, stop, reverse, wanted)
            low, high, more = start, stop, len(rows) == wanted
            if more and reverse:
                low = stop = rows[-1][0]
            elif more:
                high = start = rows[-1][0] + "\x01"
            for id, row in rows:
                self._keep(id, row)
            found += [(id, row[1]) for id, row in self._documents.merge(rows, low, high, reverse) if row]
        return found[:limit]

    def _entries(self, index: int, piece: Piece, limit: int) -> list[tuple[Position, tuple[str, str]]]:
        written = self._entries_of.get(index)
        extra = len(written.between(piece.start, piece.stop)) if written else 0
        rows = super()._entries(index, piece, limit + min(extra, _MAX_EXTRA_ROWS))
        for (_, id), row in rows:
            self._keep(id, row)
        out = []
        for position, row in written.merge(rows, *piece.read, piece.reverse) if written else rows:
            changed = self._documents.get(position[1])
            document = changed if changed is not None else self.get(position[1]) if row is True else row
            if document:
                out.append((position, document))
                if len(out) == limit:
                    break
        return out

    # -- writing

    def put(
        self,
        id: str,
        table: str,
        json: str,
        add: Iterable[tuple[int, bytes]],
        remove: Iterable[tuple[int, bytes]],
    ) -> None:
        self.refuse_if_lost()
        self._note_entries(id, remove, _GONE)
        self._note(self._documents, id, (table, _storable(json)))
        self._note_entries(id, add, True)

    def insert(self, id: str, table: str, json: str, add: Iterable[tuple[int, bytes]]) -> bool:
        if self.get(id) is not None:  # of two at the same time the server makes one run again
            return False
        self.put(id, table, json, add, ())
        return True

    def delete(self, id: str, remove: Iterable[tuple[int, bytes]]) -> None:
        self.refuse_if_lost()
        self._note_entries(id, remove, _GONE)
        self._note(self._documents, id, _GONE)

    def add_entries(self, rows: Iterable[tuple[int, bytes, str]]) -> None:
        self.refuse_if_lost()
        for index, key, id in rows:
            self._note_entries(id, ((index, key),), True)

    def remove_entries(self, rows: Iterable[tuple[int, bytes, str]]) -> None:
        self.refuse_if_lost()
        for index, key, id in rows:
            self._note_entries(id, ((index, key),), _GONE)

    def _note_entries(self, id: str, entries: Iterable[tuple[int, bytes]], value: bool) -> None:
        for index, key in entries:
            written = self._entries_of.get(index)
            if written is None:
                written = self._entries_of[index] = _Written()
            self._note(written, (key, id), value)

    def _note(self, mapping: Any, key: Any, value: Any) -> None:
        before = mapping.get(key)
        if before is None and isinstance(mapping, _Written):
            mapping.declare(key)
        self.undo.append((mapping, key, before))  # an interrupt finds it here, or nothing was changed
        mapping[key] = value

    def lock(self, ids: Collection[str]) -> Collection[str]:
        self.refuse_if_lost()
        locked = {id for id in ids if self._documents.get(id)}
        wanted = ", ".join(quoted(id) for id in ids if id not in locked)
        if wanted:
            found = self.ask(self._statements("lock", f"ARRAY[{wanted}]"))
            for n in range(found.ntuples):
                id = found.get_value(n, 0).decode()
                self._read[id] = document(found.get_value(n, 1))  # where the snapshot moves, it is newer now
                locked.add(id)
        return locked

    # -- the commit

    def changes(self) -> list[str]:
        """The statements that make the server's rows what this transaction says: net changes only, each row
        once, in the order of the keys, so that two transactions cannot wait for each other."""
        execute = self._statements
        out: list[str] = []
        changed = (self._change(id, row) for id, row in sorted(self._documents.items()) if row is not None)
        for name, rows in groupby(changed, itemgetter(0)):
            out += execute.rows(name, [arguments for _, arguments in rows])
        return out + self._changed_entries()

    def _change(self, id: str, row: Any) -> tuple[str, tuple[str, ...]]:
        """The statement that changes a document, and its arguments."""
        if not row:
            return "delete", (quoted(id),)
        if id in self._trusted:
            return "swap", (quoted(id), quoted(row[0]), quoted(row[1]), quoted(self._trusted[id]))
        return "put", (quoted(id), quoted(row[0]), quoted(row[1]))

    def only_read(self) -> list[str]:
        """Statements that fail unless what was trusted, and then not written, is true."""
        trusted = self._trusted.items()
        return [self._unchanged(id, json) for id, json in trusted if not self._documents.get(id)]

    def _unchanged(self, id: str, json: str) -> str:
        return self._statements("unchanged", quoted(id), quoted(json))

    def _changed_entries(self) -> list[str]:
        rows: dict[tuple[int, bytes, str], bytes | None] = {}  # as stored -> the rest of the key; None: gone
        for index, written in self._entries_of.items():
            for (key, id), value in written.items():
                stored = (index, key[:MAX_KEY_BYTES], id)
                if value:
                    rows[stored] = key[MAX_KEY_BYTES:]
                elif value is _GONE:
                    rows.setdefault(stored, None)  # another key of the same document may begin like it
        ordered = sorted(rows)
        execute = self._statements
        added: list[tuple[object, ...]] = [
            (index, binary(key), binary(rest) if rest else "NULL", quoted(id))
            for index, key, id in ordered
            if (rest := rows[index, key, id]) is not None
        ]
        if len(added) == len(ordered):
            return list(execute.rows("add", added))
        following = iter(added)
        return [
            execute("remove", position[0], binary(position[1]), quoted(position[2]))
            if rows[position] is None
            else execute("add", *next(following))
            for position in ordered
        ]


def _storable(text: str) -> str:
    """The text itself, if the server can hold it: found out here, it is the fault of one mutation alone."""
    if "\0" in text or not text.isascii():
        quoted(text).encode()
    return text
