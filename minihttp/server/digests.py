# SPDX-License-Identifier: MIT
"""SHA-256 of files that grow: a body is hashed, and its disk begins to write it, while the rest arrives.

One thread does that for all bodies, behind the one that receives; what is left at the end is hashed by
whoever asks. Knows no requests.
"""

from __future__ import annotations

import os
import threading
from queue import SimpleQueue

from .. import hashing

_STEP_BYTES = 2 * 1024 * 1024  # that have arrived since the last look
_READ_BYTES = 256 * 1024
_lock = threading.Lock()
_queue: SimpleQueue[GrowingDigest] = SimpleQueue()
_thread: list[threading.Thread] = []


class GrowingDigest:
    """The SHA-256 of a file to which somebody appends.

    Args:
        descriptor: of the file, good until `close`.
    """

    __slots__ = ("_asked", "_descriptor", "_done", "_lock", "_sha256")

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._sha256 = hashing.hashlib.sha256()
        self._done = self._asked = 0
        self._lock = threading.Lock()

    def grown(self, size: int) -> None:
        """The file has so many bytes by now; costs nothing most of the time."""
        if size - self._asked >= _STEP_BYTES:
            self._asked = size
            _start()
            _queue.put(self)

    def finish(self, size: int) -> bytes | None:
        """The digest of the whole file, which has so many bytes; None where they are not there."""
        with self._lock:
            self._advance(size)
            return self._sha256.digest() if self._done == size else None

    def close(self) -> None:
        """From now on the file is not read."""
        with self._lock:
            self._descriptor = -1

    def catch_up(self) -> None:
        """Hash what has been announced, and let the disk begin to write it."""
        with self._lock:
            start = self._done
            self._advance(self._asked)
            if self._descriptor >= 0 and hasattr(os, "posix_fadvise"):
                # Linux begins to write dirty pages that are said to be needed no more, and waits for none.
                os.posix_fadvise(self._descriptor, start, self._done - start, os.POSIX_FADV_DONTNEED)

    def _advance(self, end: int) -> None:
        while self._done < end and self._descriptor >= 0:
            block = os.pread(self._descriptor, min(_READ_BYTES, end - self._done), self._done)
            if not block:
                return
            self._sha256.update(block)
            self._done += len(block)


def _start() -> None:
    with _lock:
        if not (_thread and _thread[0].is_alive()):  # after a fork it is not
            _thread[:] = [threading.Thread(target=_work, name="minihttp-digests", daemon=True)]
            _thread[0].start()


def _work() -> None:
    while True:
        try:
            _queue.get().catch_up()
        except OSError:  # what is left is read, and its error told, at the end
            continue
