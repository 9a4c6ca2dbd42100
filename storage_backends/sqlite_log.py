# SPDX-License-Identifier: MIT
"""The write-ahead log of an SQLite database: long enough to be fast, and folded into the database in time.

SQLite folds it in at a COMMIT, once it has 1,000 pages. After a reader that was open for long, such as a
backup, that would be all that was written meanwhile, and every writer would wait for it: then a thread does
it, on a connection of its own. Not a backend itself.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Any

from .sqlite_connection import Fault, connect

log = logging.getLogger("minihttp.storage")

AUTO_PAGES = 1_000
"""From so many pages on a COMMIT folds the log into the database, as SQLite has it by default."""
_HEADER_BYTES, _FRAME_HEADER_BYTES = 32, 24
_FRAME_BYTES = _FRAME_HEADER_BYTES + 4_096
USUAL_BYTES = 1_024 * _FRAME_BYTES
"""Of a log of so many pages, each with its header, and of one large transaction."""
LONG_BYTES = 2 * USUAL_BYTES
"""A log from which on a thread does that."""
_WAIT_MILLISECONDS = 40  # how long writers wait for readers before the log grows on
_PAUSE_SECONDS = 0.25  # between two looks whether the long reader has ended
_MAX_STOPPING_SECONDS = 5.0


class WriteAheadLog:
    """The log of one database. What is not said to be the thread's is called by the leader of the writers.

    Args:
        path: of the database.
        execute: of the write connection, whose transaction is not open.
        max_bytes: from which on readers are waited for, to start the log anew.
        busy_milliseconds: how long the write connection waits for locks otherwise.
        in_memory: no COMMIT is synced, so it need not be lengthened.
    """

    def __init__(
        self,
        path: str,
        execute: Callable[[str], Any],
        max_bytes: int,
        busy_milliseconds: int,
        in_memory: bool,
    ) -> None:
        self._path = path
        self._execute = execute
        self._max_bytes = self._limit_bytes = max_bytes
        self._usual_bytes = 0 if in_memory else min(USUAL_BYTES, max_bytes)
        self._long_bytes = LONG_BYTES
        self._busy_milliseconds = busy_milliseconds
        # Closed with the database: before, it would take the locks away that SQLite has on the file
        self._database = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._folded_bytes = 0
        self._stopping = threading.Event()
        self.thread: threading.Thread | None = None

    def tend(self) -> None:
        """After some commits: see to its length."""
        if self.thread is None and self._is_short():
            self._long_bytes = LONG_BYTES
            return
        used, size = self._used()
        if self.thread is not None:
            if self.thread.is_alive():
                return
            self.thread = None
            if used - self._folded_bytes > USUAL_BYTES:  # so much was written meanwhile
                self._leave_to_a_thread()
                return
            self._execute(f"PRAGMA wal_autocheckpoint = {AUTO_PAGES}")
            self._long_bytes = used + LONG_BYTES  # it is as long until SQLite can start it anew
        elif used > self._long_bytes:
            self._leave_to_a_thread()
        elif used > self._limit_bytes:
            self._start_anew(used)
        elif size < self._usual_bytes:
            self._lengthen()
        if used <= LONG_BYTES:
            self._long_bytes = LONG_BYTES

    def stop(self) -> None:
        """Have the thread end; for the thread that closes the database."""
        self._stopping.set()
        if self.thread is not None:
            self.thread.join(_MAX_STOPPING_SECONDS)

    def close(self) -> None:
        """Let go of the file, once the connections are closed."""
        os.close(self._database)

    def _is_short(self) -> bool:
        """Whether its file is as long as usual, which is quick to see: so there is nothing to do."""
        try:
            size = os.stat(f"{self._path}-wal").st_size
        except OSError:
            return False
        return self._usual_bytes <= size <= min(LONG_BYTES, self._limit_bytes)

    def _used(self) -> tuple[int, int]:
        """How long the log is, and how long its file is: behind the last frame stand zeros, or frames from
        before it was started anew, which have other salts (https://sqlite.org/fileformat2.html#walformat).
        """
        try:
            with open(f"{self._path}-wal", "rb", buffering=0) as file:
                size = os.fstat(file.fileno()).st_size
                salts = file.read(_HEADER_BYTES)[16:24]
                first, last = 0, max(0, size - _HEADER_BYTES) // _FRAME_BYTES
                while first < last:
                    middle = (first + last) // 2
                    found = os.pread(file.fileno(), 8, _HEADER_BYTES + middle * _FRAME_BYTES + 8)
                    first, last = (middle + 1, last) if found == salts else (first, middle)
                return first * _FRAME_BYTES, size
        except OSError:
            return 0, 0

    def _lengthen(self) -> None:
        """Fill it up to its usual size: a COMMIT that lengthens no file syncs twice as fast.

        For SQLite a log ends before the first frame without the log's salt, so zeros are no part of it; the
        open transaction keeps other writers away.
        """
        with suppress(OSError):  # without room it stays as it is
            self._execute("BEGIN IMMEDIATE")
            try:
                with open(f"{self._path}-wal", "ab", buffering=0) as file:
                    file.write(bytes(max(0, self._usual_bytes - file.tell())))
                    os.fsync(file.fileno())
            finally:
                self._execute("ROLLBACK")

    def _start_anew(self, used: int) -> None:
        """Wait a moment for readers: long or overlapping ones keep SQLite from doing it in a COMMIT."""
        with suppress(Fault):  # what was committed stays committed, a later commit tries again
            self._execute(f"PRAGMA busy_timeout = {_WAIT_MILLISECONDS}")
            try:
                [(busy, _, _)] = self._execute("PRAGMA wal_checkpoint(RESTART)")
                self._limit_bytes = 2 * used if busy else self._max_bytes
            finally:
                self._execute(f"PRAGMA busy_timeout = {self._busy_milliseconds}")

    # -- a long log

    def _leave_to_a_thread(self) -> None:
        """From now on no COMMIT folds the log into the database; the thread does.

        A page is written, with what stands in it: so there is a frame that is not folded in, and only the
        thread can do it.
        """
        with suppress(Fault):  # a later commit tries again
            self._execute("PRAGMA wal_autocheckpoint = 0")
            try:
                [(version,)] = self._execute("PRAGMA user_version")
                self._execute(f"PRAGMA user_version = {version}")
            except Fault:
                self._execute(f"PRAGMA wal_autocheckpoint = {AUTO_PAGES}")
                raise
            self.thread = threading.Thread(target=self._fold_in, name="sqlite-log", daemon=True)
            self.thread.start()

    def _fold_in(self) -> None:
        """The thread: fold in all, once no reader keeps it from that, and sync the database: so the next
        COMMIT has little to fold in and little to sync.

        A reader is open meanwhile. With it, and because there are frames that are not folded in when it is
        opened, the writers cannot start the log anew at the same moment (SQLite before 3.51.3 can corrupt a
        log that one connection folds in while another starts it anew).
        """
        try:
            with (
                closing(connect(self._path, query_only="ON", wal_autocheckpoint=0)) as reader,
                closing(connect(self._path, wal_autocheckpoint=0, synchronous="FULL")) as folding,
            ):
                while not self._stopping.is_set():
                    reader.execute("BEGIN")
                    reader.execute("SELECT 1 FROM sqlite_master").fetchall()
                    busy, frames, folded = folding.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                    os.fsync(self._database)
                    reader.execute("ROLLBACK")
                    if not busy and frames - folded <= AUTO_PAGES:
                        self._folded_bytes = folded * _FRAME_BYTES
                        return
                    self._stopping.wait(_PAUSE_SECONDS)
        except (sqlite3.Error, OSError) as error:  # then a COMMIT does it
            log.warning("the write-ahead log could not be folded into the database: %s", error)
