# SPDX-License-Identifier: MIT
"""Which jobs run now, in a small file that outlives a crash of the process.

A mutation's state and effects share one commit, so a job that kills the process leaves no trace in the
database and would kill it again after every start. A note costs one write into the page cache and is never
synced: it is for crashes of the process, not of the machine. Knows no rows.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress

_ID_BYTES = 32
_EMPTY = b"-" * _ID_BYTES + b"\n"


class CrashNotes:
    """The jobs that run now, each in a line of its own.

    Args:
        path: the file, made when it is needed; None for none.
    """

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._descriptor = -1
        self._opening = threading.Lock()
        self._free: list[int] = []
        self._lines = 0

    def left_behind(self) -> list[str]:
        """The jobs that ran when the last process died; only before the first `begin`."""
        try:
            with open(self._path or os.devnull, "rb") as file:
                lines = file.read().split(b"\n")
        except OSError:
            return []
        return [line.decode() for line in lines if len(line) == _ID_BYTES and line.isalnum()]

    def clear(self) -> None:
        """What was left behind is taken note of."""
        with suppress(OSError):
            if self._path is not None:
                os.truncate(self._path, 0)

    def begin(self, job_id: str) -> int:
        """A job runs from now on; returns its line, for `end`."""
        if self._path is None:
            return -1
        with self._opening:
            if self._descriptor < 0:
                flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
                try:
                    self._descriptor = os.open(self._path, flags, 0o600)
                except OSError:  # a full disk is no reason not to run it
                    return -1
            if self._free:
                line = self._free.pop()
            else:
                line, self._lines = self._lines, self._lines + 1
        self._write(line, job_id.encode() + b"\n")
        return line

    def end(self, line: int) -> None:
        """The job in this line runs no more."""
        if line >= 0:
            self._write(line, _EMPTY)
            self._free.append(line)

    def close(self) -> None:
        with self._opening:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1

    def _write(self, line: int, text: bytes) -> None:
        with suppress(OSError):
            os.pwrite(self._descriptor, text, line * len(_EMPTY))
