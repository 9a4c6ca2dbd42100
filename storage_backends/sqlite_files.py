# SPDX-License-Identifier: MIT
"""Blobs in one SQLite file, in rows of 64 KiB: the files half of the `sqlite` backend.

A blob is written in batches, each a transaction, so nobody waits for a slow client; it exists once the last
batch is committed together with its size. Only that commit syncs: the log is sequential and carries the
earlier ones. A range reads only the rows it touches. Knows no names, no types, no owners.
"""

from __future__ import annotations

import errno
import os
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from .sqlite_connection import Fault, connect, create, fault, prepare
from .sqlite_copy import DatabaseCopy

T = TypeVar("T")
Execute = Callable[..., sqlite3.Cursor]

_FORMAT = 1  # PRAGMA user_version
_CHUNK_BYTES = 64 * 1024  # part of the format
_BATCH_CHUNKS = 16  # the write lock is held for one MiB at a time
_PAGE_BYTES = 16 * 1024  # 1.4 times the write speed of 4 KiB pages (measured)
_INDEX_BITS = 24  # a blob has at most 2^24 chunks, 1 TiB
_LIST_ROWS = 1_000
_MAX_IDLE_READERS = 8
_RESERVE_BYTES = 32 * 1024 * 1024  # twice what the log grows to before it is copied back
_MAX_WAL_BYTES = 64 * 1024 * 1024

_TABLES = (
    # AUTOINCREMENT: a number is never used twice, so the reader of a deleted blob meets no other blob's rows.
    # `size` is NULL while a blob is being written or deleted: it is not there.
    "CREATE TABLE blobs (number INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, size INTEGER,"
    " modified REAL NOT NULL)",
    "CREATE UNIQUE INDEX blobs_by_key ON blobs (key) WHERE size IS NOT NULL",
    "CREATE TABLE chunks (place INTEGER PRIMARY KEY, data BLOB NOT NULL) -- place: number << 24 | index",
)
_BEGIN = "INSERT INTO blobs (key, modified) VALUES (?, ?)"
_APPEND = "INSERT INTO chunks (place, data) VALUES (?, ?)"
_COMPLETE = "UPDATE blobs SET size = ?, modified = ? WHERE number = ?"
_FIND = "SELECT number, size FROM blobs WHERE key = ? AND size IS NOT NULL"
_LIST = "SELECT key, modified FROM blobs WHERE key > ? AND size IS NOT NULL ORDER BY key LIMIT ?"
_CHUNK = "SELECT data FROM chunks WHERE place = ?"
_HIDE = "UPDATE blobs SET size = NULL WHERE number = ?"
_LEFTOVERS = "SELECT number FROM blobs WHERE size IS NULL AND modified < ?"
_ERASE = "DELETE FROM chunks WHERE place IN (SELECT place FROM chunks WHERE place >= ? AND place < ? LIMIT ?)"
_FORGET = "DELETE FROM blobs WHERE number = ?"

_is_key = re.compile(r"[0-9a-f]{32}").fullmatch


class FileBackend:
    """Blobs in the SQLite file `location`, or in memory (`":memory:"`).

    Raises:
        Fault: if the file is locked by another process (EAGAIN), corrupt or of another program (EILSEQ), or
            cannot be made.
    """

    Fault = Fault
    shared = False
    Copy = DatabaseCopy
    spool_folder = None

    def __init__(self, location: str) -> None:
        self._in_memory = location == ":memory:"
        self._path = location if self._in_memory else os.path.abspath(location)
        self._write_lock = threading.RLock()  # whoever holds it uses the write connection
        self._idle: list[sqlite3.Connection] = []
        self._closed = False
        self._lock_descriptor = -1 if self._in_memory else prepare(self._path)[0]
        try:
            self._writer = self._open()
            self._inode = 0 if self._in_memory else os.stat(self._path).st_ino
        except BaseException:
            self._unlock()
            raise

    def put(self, key: str, chunks: Iterable[bytes], spool: int | None = None) -> None:
        """Store a new blob: durable when this returns; when `chunks` or the store raises, nothing is kept."""
        _checked(key)
        self.check_there()
        rows = _rows(chunks)
        number = size = 0
        last = False
        try:
            while not last:
                batch = list(islice(rows, _BATCH_CHUNKS))  # waits for a slow client, without the lock
                last = len(batch) < _BATCH_CHUNKS
                if not last:
                    self._check_room()
                number = self._append(key, number, size, batch, last)
                size += sum(map(len, batch))
        except BaseException:
            if number:
                with suppress(Fault):
                    self._erase(number)
            raise

    def check_there(self) -> None:
        """Refuse a file that has been moved or deleted: nobody would find it again."""
        try:
            there = self._in_memory or os.stat(self._path).st_ino == self._inode
        except OSError:
            there = False
        if not there:
            raise Fault(errno.ENODEV, f"{self._path} is no longer there")

    def open(self, key: str, start: int = 0, stop: int | None = None) -> Blob:
        """Open bytes `start:stop` of a blob; one that ends before `stop` raises Fault(EIO)."""
        found = self._select(_FIND, _checked(key))
        if not found:
            raise FileNotFoundError(errno.ENOENT, "there is no such blob", key)
        number, size = found[0]
        stop = size if stop is None else stop
        if not 0 <= start <= stop <= size:
            raise _too_short(stop)
        return Blob(self, number, start, stop)

    def delete(self, key: str) -> None:
        """Delete a blob; one that is not there is no error. Its rows go a batch at a time."""
        for number, _ in self._select(_FIND, _checked(key)):
            self._write("NORMAL", partial(_hide, number))
            self._erase(number)

    def list(self, since: str = "", changed_since: float = 0.0) -> Iterator[tuple[str, float]]:
        """Every (key, last-modified Unix seconds) with a key after `since` that was put since then."""
        last = since
        while rows := self._select(_LIST, last, _LIST_ROWS):
            yield from (row for row in rows if row[1] >= changed_since)
            last = rows[-1][0]

    def findings(self) -> tuple[()]:
        """Nothing: `doctor` looks at the folder itself."""
        return ()

    def signed_url(self, key: str, size_bytes: int) -> None:
        """None: the app gives all blobs itself."""

    def sweep_temporary(self, older_than: float) -> int:
        """Erase blobs whose writing or deleting was interrupted before `older_than`; returns how many."""
        leftovers = self._select(_LEFTOVERS, older_than)
        for (number,) in leftovers:
            self._erase(number)
        return len(leftovers)

    def close(self) -> None:
        """Close the database; open blobs can no longer be read."""
        with self._write_lock:
            self._closed = True
            while self._idle:
                self._idle.pop().close()
            self._writer.close()  # the last connection out writes the log back into the database
            self._unlock()

    # -- opening

    def _unlock(self) -> None:
        if self._lock_descriptor >= 0:
            os.close(self._lock_descriptor)
            self._lock_descriptor = -1

    def _open(self) -> sqlite3.Connection:
        pragmas = {"page_size": _PAGE_BYTES, "journal_size_limit": _MAX_WAL_BYTES}
        connection = connect(self._path, **pragmas)
        try:
            create(connection, "" if self._in_memory else self._path, _TABLES, _FORMAT)
        except BaseException:
            connection.close()
            raise
        return connection

    # -- reading and writing

    def _select(self, sql: str, *parameters: object) -> Sequence[Any]:
        """All rows of a statement that only reads, on a connection that nobody else is using."""
        if self._in_memory:  # there is only one
            with self._write_lock, _faults():
                return self._writer.execute(sql, parameters).fetchall()
        try:
            connection = self._idle.pop()
        except IndexError:
            if self._closed:
                raise Fault(errno.EIO, "the file store is closed") from None
            connection = connect(self._path, query_only="ON", wal_autocheckpoint=0)
        try:
            with _faults():
                return connection.execute(sql, parameters).fetchall()
        finally:
            if self._closed or len(self._idle) >= _MAX_IDLE_READERS:
                connection.close()
            else:
                self._idle.append(connection)

    def _write(self, synchronous: str, run: Callable[[Execute], T]) -> T:
        """Run one transaction on the write connection; "FULL" makes it, and all before it, durable.

        No generator: one that an interrupt leaves gives up the lock when it is collected, in any thread.
        """
        with self._write_lock, _faults():
            execute = self._writer.execute
            try:
                execute(f"PRAGMA synchronous = {synchronous}")
                execute("BEGIN IMMEDIATE")
                result = run(execute)
                execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    execute("ROLLBACK")
                raise
        return result

    def _check_room(self) -> None:
        """Refuse to go on while there is still room to undo: deleting rows writes to the log too."""
        if self._in_memory:
            return
        disk = os.statvfs(os.path.dirname(self._path))
        [(free_pages,)] = self._select("PRAGMA freelist_count")
        if disk.f_bavail * disk.f_frsize + free_pages * _PAGE_BYTES < _RESERVE_BYTES:
            raise Fault(errno.ENOSPC, f"less than {_RESERVE_BYTES} bytes are left for {self._path}")

    def _append(self, key: str, number: int, size: int, rows: Sequence[bytes], last: bool) -> int:
        """Add rows to a blob of `size` bytes, begun now if its number is 0; the last ones complete it."""

        def append(execute: Execute) -> int:
            begun = number or execute(_BEGIN, (key, time.time())).lastrowid or 0
            for place, row in enumerate(rows, begun << _INDEX_BITS | size // _CHUNK_BYTES):
                execute(_APPEND, (place, row))
            complete = (size + sum(map(len, rows)), time.time(), begun)
            if last and execute(_COMPLETE, complete).rowcount != 1:
                raise Fault(errno.EIO, "the blob was swept away while it was written")
            return begun

        return self._write("FULL" if last else "NORMAL", append)

    def _erase(self, number: int) -> None:
        """Delete the rows of a hidden blob, a batch at a time, and then the blob."""

        def erase(execute: Execute) -> int:
            places = (number << _INDEX_BITS, number + 1 << _INDEX_BITS)
            erased = execute(_ERASE, (*places, _BATCH_CHUNKS)).rowcount
            if erased < _BATCH_CHUNKS:
                execute(_FORGET, (number,))
            return erased

        while self._write("NORMAL", erase) == _BATCH_CHUNKS:
            pass


class Blob:
    """Bytes `start:stop` of a blob, read row by row; it holds no connection and no snapshot between reads.

    Attributes:
        size: how many bytes it gives.
    """

    is_local = True

    def __init__(self, backend: FileBackend, number: int, start: int, stop: int) -> None:
        self._backend = backend
        self._first_place = number << _INDEX_BITS
        self._start, self._stop, self._at = start, stop, start
        self._place, self._row = -1, b""  # the row read last: small reads come in a sequence
        self.size = stop - start

    def read(self, size: int | None = -1, /) -> bytes:
        """At most `size` bytes, or all that are left; Fault(EIO) when the blob was deleted meanwhile."""
        stop = self._stop if size is None or size < 0 else min(self._at + size, self._stop)
        parts = []
        while self._at < stop:
            index, offset = divmod(self._at, _CHUNK_BYTES)
            part = self._chunk(index)[offset : offset + stop - self._at]
            if not part:
                raise _too_short(self._stop)
            parts.append(part)
            self._at += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _chunk(self, index: int) -> bytes:
        place = self._first_place + index
        if place != self._place:
            found = self._backend._select(_CHUNK, place)
            self._row = found[0][0] if found else b""
            self._place = place
        return self._row

    def tell(self) -> int:
        """The position, counted from `start`."""
        return self._at - self._start

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move to a position counted from `start`, from here, or from `stop`."""
        base = (0, self.tell(), self.size)[whence]
        self._at = self._start + max(0, base + offset)
        return self.tell()

    def close(self) -> None:
        """Nothing is held open."""


def _hide(number: int, execute: Execute) -> None:
    execute(_HIDE, (number,))


@contextmanager
def _faults() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise fault(error) from error


def _rows(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Chunks of any size as rows of `_CHUNK_BYTES`, the last one shorter."""
    buffer = bytearray()
    for chunk in chunks:
        buffer += chunk
        while len(buffer) >= _CHUNK_BYTES:
            yield bytes(memoryview(buffer)[:_CHUNK_BYTES])
            del buffer[:_CHUNK_BYTES]
    if buffer:
        yield bytes(buffer)


def _checked(key: str) -> str:
    if not _is_key(key):
        raise ValueError(f"{key!r} is not a blob key: 32 lower-case hexadecimal digits")
    return key


def _too_short(stop: int) -> Fault:
    return Fault(errno.EIO, f"the blob ends before byte {stop}")
