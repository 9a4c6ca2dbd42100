# SPDX-License-Identifier: MIT
"""Bodies and responses too large for memory, in nameless files, within one budget for all connections.

A stranger's body goes to the folder for temporary files. One that the app has a folder for, on the disk on
which it keeps its files, can be taken over by a file store instead of being written twice. Knows no file
store.
"""

from __future__ import annotations

import os
from threading import Lock
from typing import Any

from waitress.buffers import OverflowableBuffer, TempfileBasedBuffer

from .digests import GrowingDigest


class SpoolFullError(OSError):
    """The budget has no room for the rest of a body."""


class SpoolBudget:
    """The budget of spooled bytes; for any thread.

    Args:
        max_bytes: of all bodies and responses together; of those without a folder of the app's, half.

    Attributes:
        bytes: how many are spooled now.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.bytes = 0
        self._lock = Lock()

    def has_room(self, size: int, folder: str | None) -> bool:
        """Whether so many bytes more may be spooled."""
        return self.bytes + size <= (self.max_bytes if folder else self.max_bytes // 2)

    def take(self, size: int, folder: str | None) -> bool:
        """Takes so many bytes of the budget; False, and takes none, where it has no room."""
        with self._lock:
            if not self.has_room(size, folder):
                return False
            self.bytes += size
            return True

    def give_back(self, size: int) -> None:
        with self._lock:
            self.bytes -= size


class BodyBuffer(OverflowableBuffer):  # type: ignore[misc]
    """A body as it arrives: in memory up to `overflow_bytes`, then in a file.

    Args:
        folder: of the app's, or None for the system's folder for temporary files.
    """

    buf: Any
    taken_bytes = 0
    digest: GrowingDigest | None = None  # of a body for the app's folder

    def __init__(self, overflow_bytes: int, spool: SpoolBudget, folder: str | None = None) -> None:
        super().__init__(overflow_bytes)
        self.spool, self.folder = spool, folder

    def append(self, data: bytes) -> None:
        if self.overflowed:
            self._take(len(data))
        super().append(data)
        if self.digest is not None:
            self.digest.grown(self.taken_bytes)

    def _take(self, size: int) -> None:
        if not self.spool.take(size, self.folder):
            raise SpoolFullError
        self.taken_bytes += size

    def _set_large_buffer(self) -> None:
        before = self.buf
        self._take(len(before) if before is not None else 0)
        self.buf = _SpoolFile(self.folder, before)
        if before is not None:
            before.close()
        self.overflowed = True
        if self.folder is not None:
            self.digest = GrowingDigest(self.buf.getfile().fileno())

    def close(self) -> None:
        taken, self.taken_bytes = self.taken_bytes, 0
        if self.digest is not None:
            self.digest.close()
        try:
            super().close()
        finally:
            if taken:
                self.spool.give_back(taken)


class ResponseBuffer(BodyBuffer):
    """A part of a response that its client has not taken yet.

    Attributes:
        appended_bytes: all that it was given.
        lacks_room: it is in memory because the budget has no room for it.
    """

    appended_bytes = 0
    lacks_room = False

    def append(self, data: bytes) -> None:
        self.appended_bytes += len(data)
        super().append(data)

    def _set_large_buffer(self) -> None:
        try:
            super()._set_large_buffer()
        except SpoolFullError:
            self.lacks_room = True


class _SpoolFile(TempfileBasedBuffer):  # type: ignore[misc]
    def __init__(self, folder: str | None, before: Any) -> None:
        self.folder = folder
        super().__init__(before)

    def newfile(self) -> Any:
        if self.folder is None:
            return super().newfile()
        try:
            descriptor = os.open(self.folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except (OSError, AttributeError):  # a file system, or a system, without O_TMPFILE
            return super().newfile()
        return os.fdopen(descriptor, "w+b")
