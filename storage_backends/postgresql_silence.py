# SPDX-License-Identifier: MIT
"""Breaks the lines on which a server has been silent for too long.

libpq waits for ever for a server that is frozen, or behind a line that swallows bytes: the kernels of both
machines go on answering each other, so neither TCP nor the server's own limits end that. One thread of the
process looks once a second, which costs a statement nothing. Not a backend itself.
"""

from __future__ import annotations

import os
import threading
from time import sleep
from typing import Protocol
from weakref import ref

_LOOK_SECONDS = 1.0


class Line(Protocol):
    def break_if_silent(self) -> None: ...


_lines: dict[int, ref[Line]] = {}
_starting = threading.Lock()
_looks_in = 0  # the process in which the thread runs; a forked child has none, and its parent's lines


def watch_over(line: Line) -> None:
    """Have it looked at for as long as it is there."""
    global _looks_in
    with _starting:
        # Not `Thread.is_alive`: an interrupt in there makes a thread one that has ended.
        if _looks_in != os.getpid():
            _lines.clear()
            threading.Thread(target=_look, name="postgresql-silence", daemon=True).start()
            _looks_in = os.getpid()
        _lines[id(line)] = ref(line)


def _look() -> None:
    while True:
        sleep(_LOOK_SECONDS)
        for key, known in list(_lines.items()):
            line = known()
            if line is not None:
                line.break_if_silent()
            elif _lines.get(key) is known:  # another may have its place by now
                del _lines[key]
            line = None
