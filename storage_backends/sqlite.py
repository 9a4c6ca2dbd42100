# SPDX-License-Identifier: MIT
"""Documents in one SQLite file, durable at every acknowledgement (WAL, synchronous=FULL).

One write connection, which concurrent writers share (`sqlite_writers.py`). Readers are `query_only`
connections that never checkpoint. An flock'ed file beside the database keeps a second process out (SQLite
before 3.51.3 can corrupt a WAL that two connections reset at once).

Knows two tables, `documents` and `entries`; no schema, no values, nothing of minihttp. A person reads it with
`sqlite3 app.db 'SELECT id, json FROM documents WHERE "table" = "items"'`.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from math import inf
from typing import Any, TypeVar

from .sqlite_connection import BUSY_SECONDS, Fault, connect, create, prepare
from .sqlite_copy import DatabaseCopy, damaged, problems
from .sqlite_log import WriteAheadLog
from .sqlite_tables import TABLES, Reading, Writing
from .sqlite_writers import Writers

T = TypeVar("T")

_FORMAT = 1  # PRAGMA user_version
_MAX_IDLE_READERS = 8
_MAX_WAL_BYTES = 64 * 1024 * 1024
_TEND_EVERY = 16  # commits
_MAX_CLOSING_SECONDS = 6.0  # more than a statement waits for the lock of another program
_LOOK_SECONDS = 2.0  # at the pages of a database that was not closed, or was changed or copied since
_MEMORY = "/dev/shm"  # noqa: S108  (a file system in memory)


def _scratch_directory() -> str:
    import tempfile

    return tempfile.mkdtemp(prefix="minihttp-", dir=_MEMORY if os.path.isdir(_MEMORY) else None)


class DocumentBackend:
    """Documents in one SQLite file.

    Args:
        location: its path; `":memory:"` is a file in memory that ends with `close`.
        busy_seconds: how long to wait for a write lock that another program holds.
        max_batch_seconds: how long a mutation that is done may wait for others to share its COMMIT.
        patience_seconds: how long a mutation waits for another that does not end.
        max_wal_bytes: the size of the write-ahead log from which on readers are waited for, to start it anew.

    Raises:
        Fault: if the file is locked by another process (EAGAIN), corrupt or of another program (EILSEQ), or
            cannot be made.
    """

    Fault = Fault
    Copy = DatabaseCopy
    shared = False

    def __init__(
        self,
        location: str,
        *,
        busy_seconds: float = BUSY_SECONDS,
        max_batch_seconds: float = 0.05,
        patience_seconds: float = 5.0,
        max_wal_bytes: int = _MAX_WAL_BYTES,
    ) -> None:
        self._scratch = _scratch_directory() if location == ":memory:" else None
        self._path = os.path.abspath(os.path.join(self._scratch or "", location))
        self.notes_path = None if self._scratch else f"{self._path}.running"
        self._synchronous = "OFF" if self._scratch else "FULL"
        self._idle: list[Reading] = []
        self._closed = False
        self._busy_milliseconds = int(busy_seconds * 1000)
        self._max_wal_bytes = max_wal_bytes
        self._lock_descriptor, self._left = prepare(self._path)
        try:
            if self._left != self._stamp():
                self._refuse_damage(_LOOK_SECONDS)
            self._writing = self._open()
            facts = (max_wal_bytes, self._busy_milliseconds, self._scratch is not None)
            self._log = WriteAheadLog(self._path, self._writing.execute, *facts)
            self._writers = Writers(self._writing, max_batch_seconds, self._committed, patience_seconds)
        except BaseException:
            self._unlock()
            raise

    # -- opening and closing

    def _stamp(self) -> str:
        """What the lock file says of a database that was closed; one copied or changed since has another."""
        status = os.stat(self._path)
        return f"closed {status.st_ino} {status.st_size} {status.st_mtime_ns}\n"

    def _refuse_damage(self, limit_seconds: float) -> None:
        found, _ = self.problems(limit_seconds)
        if found:
            raise Fault(errno.EILSEQ, damaged(self._path, found[0]))

    def _open(self) -> Writing:
        pragmas = {"busy_timeout": self._busy_milliseconds, "journal_size_limit": self._max_wal_bytes}
        writing = Writing(connect(self._path, synchronous=self._synchronous, **pragmas))
        try:
            create(writing.connection, self._path, TABLES, _FORMAT)
        except BaseException:
            writing.connection.close()
            raise
        return writing

    def _unlock(self) -> None:
        if self._lock_descriptor >= 0:
            with suppress(OSError):  # a full disk: then it is looked at again at the next start
                os.truncate(self._lock_descriptor, 0)
                os.pwrite(self._lock_descriptor, self._left.encode(), 0)
            os.close(self._lock_descriptor)
            self._lock_descriptor = -1

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        while self._idle:
            self._idle.pop().connection.close()
        self._log.stop()
        # The last one out writes the log back into the database
        if self._writers.close(_MAX_CLOSING_SECONDS):
            self._log.close()
            self._left = self._stamp()
            self._unlock()  # otherwise the end of the process does
        if self._scratch:
            from shutil import rmtree  # it brings half a MB of compressors

            rmtree(self._scratch)

    def problems(self, limit_seconds: float) -> tuple[list[str], bool]:
        return problems(self._path, limit_seconds)

    def findings(self) -> tuple[()]:
        """Nothing: `doctor` looks at the folder itself, also while a server has it."""
        return ()

    def statistics(self) -> dict[str, Any]:
        return {
            "database_bytes": self._size(""),
            "wal_bytes": self._size("-wal"),
            "commits": self._writers.commits,
            "mutations": self._writers.mutations,
            "waiting": self._writers.waiting,
            "writing_seconds": self._writers.writing_seconds,
        }

    def _size(self, suffix: str) -> int:
        try:
            return os.stat(self._path + suffix).st_size
        except OSError:
            return 0

    # -- reading

    def read(self, deadline: float | None) -> AbstractContextManager[Reading]:
        return _Snapshot(self, deadline)

    def publish(self, snapshot: Reading, number: int, seconds: float) -> bool:
        return True

    def published(self, number: int) -> AbstractContextManager[Reading]:
        raise Fault(errno.ENOENT, "no other process has this database open")

    def _reader(self) -> Reading:
        try:
            return self._idle.pop()
        except IndexError:
            if self._closed:
                raise Fault(errno.EIO, "the database is closed") from None
            return Reading(
                connect(self._path, query_only="ON", wal_autocheckpoint=0, synchronous=self._synchronous)
            )

    def _release(self, reading: Reading) -> None:
        if self._closed or len(self._idle) >= _MAX_IDLE_READERS:
            reading.connection.close()
        else:
            self._idle.append(reading)

    # -- writing: `sqlite_writers.py` itself, so that there are few frames between a caller and its function

    @property
    def write(self) -> Callable[..., Any]:
        return self._writers.write

    @property
    def submit(self) -> Callable[..., None]:
        return self._writers.submit

    # -- other processes: there are none

    def clock_offset(self) -> float:
        return 0.0

    def alone(self, seconds: float) -> bool:
        return True

    def listen(self, call: Callable[[], object]) -> None:
        pass

    def notify(self) -> None:
        pass

    # -- after a commit

    def _committed(self) -> None:
        if self._writers.commits % _TEND_EVERY == 0:
            self._log.tend()


class _Snapshot:
    """A read transaction on a connection of its own."""

    def __init__(self, backend: DocumentBackend, deadline: float | None) -> None:
        self._backend = backend
        self._deadline = inf if deadline is None else deadline

    def __enter__(self) -> Reading:
        self._reading = reading = self._backend._reader()
        reading.deadline = self._deadline
        reading.execute("BEGIN")
        return reading

    def __exit__(self, *exc_info: object) -> None:
        self._reading.deadline = inf
        try:
            self._reading.execute("ROLLBACK")
        except Fault:
            self._reading.connection.close()
        else:
            self._backend._release(self._reading)
