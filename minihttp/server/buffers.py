# SPDX-License-Identifier: MIT
"""Bodies and responses in memory, or in nameless files where there is no room, in one budget for all.

A stranger's body goes to the folder for temporary files. One that the app has a folder for, on the disk on
which it keeps its files, can be taken over by a file store instead of being written twice. Knows no file
store.
"""

from __future__ import annotations

import os
from math import inf
from threading import Lock
from typing import Any

from waitress.buffers import OverflowableBuffer, TempfileBasedBuffer

from ..limits import KIB
from .digests import GrowingDigest

UNCOUNTED_BYTES = 8 * KIB  # of a body or response; to count less would cost more than to keep it


class SpoolFullError(OSError):
    """The budget has no room for the rest of a body."""


class BodyBudget:
    """What all bodies and responses may take together; for any thread.

    Args:
        max_memory_bytes: in memory; what has no room there goes to a file, however small it is.
        max_bytes: in files; of those without a folder of the app's, half.
        max_files: how many files, which take a descriptor each; of those without a folder of the app's, half.

    Attributes:
        memory_bytes: how many are in memory now, but for small ones.
        bytes: how many are in files now.
        files: how many files there are.
    """

    def __init__(self, max_memory_bytes: float, max_bytes: int, max_files: float = inf) -> None:
        self.max_memory_bytes, self.max_bytes, self.max_files = max_memory_bytes, max_bytes, max_files
        self.memory_bytes = self.bytes = self.files = 0
        self._lock = Lock()

    def hold(self, size: int) -> bool:
        """Takes so many bytes of memory; False, and takes none, where there is no room."""
        with self._lock:
            if self.memory_bytes + size > self.max_memory_bytes:
                return False
            self.memory_bytes += size
            return True

    def release(self, size: int) -> None:
        """Gives memory back."""
        with self._lock:
            self.memory_bytes -= size

    def has_room(self, size: int, folder: str | None, files: int = 1) -> bool:
        """Whether so many bytes more may be spooled, in so many new files."""
        share = 1 if folder else 2
        return self.bytes + size <= self.max_bytes / share and self.files + files <= self.max_files / share

    def take(self, size: int, folder: str | None, files: int = 0) -> bool:
        """Takes so many bytes and files of the disk; False, and takes none, where there is no room."""
        with self._lock:
            if not self.has_room(size, folder, files):
                return False
            self.bytes += size
            self.files += files
            return True

    def give_back(self, size: int) -> None:
        """Gives back a file and what it took of the disk."""
        with self._lock:
            self.bytes -= size
            self.files -= 1


class BodyBuffer(OverflowableBuffer):  # type: ignore[misc]
    """A body as it arrives: in memory up to `overflow_bytes`, if there is room, then in a file.

    Args:
        folder: of the app's, or None for the system's folder for temporary files.

    Attributes:
        appended_bytes: all that it was given.
        held_bytes: what of them counts as in memory.
        taken_bytes: what of them counts as in a file.
    """

    buf: Any
    strbuf: bytes
    appended_bytes = held_bytes = taken_bytes = 0
    digest: GrowingDigest | None = None  # of a body for the app's folder

    def __init__(self, overflow_bytes: int, budget: BodyBudget, folder: str | None = None) -> None:
        super().__init__(overflow_bytes)
        self.budget, self.folder = budget, folder

    def append(self, data: bytes) -> None:
        if self.overflowed:
            self._take(len(data))
        self.appended_bytes += len(data)
        if self.appended_bytes > UNCOUNTED_BYTES and not self.overflowed and not self._hold():
            if self.buf is None:
                self._create_buffer()
            self._set_large_buffer()
            if self.overflowed:
                self._take(len(data))
        super().append(data)
        if self.digest is not None:
            self.digest.grown(self.taken_bytes)

    def _hold(self) -> bool:
        size = self.appended_bytes - self.held_bytes
        if not self.budget.hold(size):
            return False
        self.held_bytes += size
        return True

    def _take(self, size: int, files: int = 0) -> None:
        if not self.budget.take(size, self.folder, files):
            raise SpoolFullError
        self.taken_bytes += size

    def _set_large_buffer(self) -> None:
        before = self.buf
        self._take(len(before) if before is not None else 0, files=1)
        self.overflowed = True  # so that `close` gives back what was taken, whatever happens now
        self.buf = _SpoolFile(self.folder, before)
        if before is not None:
            before.close()
        self._release()
        if self.folder is not None:
            self.digest = GrowingDigest(self.buf.getfile().fileno())

    def _release(self) -> None:
        held, self.held_bytes = self.held_bytes, 0
        if held:
            self.budget.release(held)

    def close(self) -> None:
        taken, self.taken_bytes = self.taken_bytes, 0
        was_spooled, self.overflowed = self.overflowed, False
        if self.digest is not None:
            self.digest.close()
        try:
            super().close()
        finally:
            self._release()
            if was_spooled:
                self.budget.give_back(taken)


class ResponseBuffer(BodyBuffer):
    """A part of a response that its client has not taken yet.

    Attributes:
        lacks_room: it is in memory because the budget has no room for it elsewhere.
    """

    lacks_room = False

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
