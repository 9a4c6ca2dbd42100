# SPDX-License-Identifier: MIT
"""Which job's mutation runs now, in a small file that outlives a crash of the process.

A mutation's state and effects share one commit, so a job that kills the process leaves no trace in the
database and would kill it again after every start. A note costs one write into the page cache and is never
synced: it is for crashes of the process, not of the machine. Knows no rows.
"""

from __future__ import annotations

import os
from contextlib import suppress

_ID_BYTES = 32
_NOBODY = b"-" * _ID_BYTES + b"\n"


class CrashNotes:
    """The job that runs now: of mutations that is one at a time.

    Args:
        path: the file, made when it is needed; None for none.
    """

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._descriptor = -1

    def left_behind(self) -> list[str]:
        """The jobs that ran when the last process died, before this version several; only before `begin`."""
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

    def begin(self, job_id: str) -> None:
        """A job runs from now on, inside the one write transaction, until `end`."""
        if self._path is not None and self._descriptor < 0:
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            with suppress(OSError):  # a full disk is no reason not to run it
                self._descriptor = os.open(self._path, flags, 0o600)
        self._write(job_id.encode() + b"\n")

    def end(self) -> None:
        """It runs no more."""
        self._write(_NOBODY)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _write(self, text: bytes) -> None:
        if self._descriptor >= 0:
            with suppress(OSError):
                os.pwrite(self._descriptor, text, 0)
