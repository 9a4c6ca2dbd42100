# SPDX-License-Identifier: MIT
"""How far a long task is: on a terminal one line that is rewritten, elsewhere a line every 5 s."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

from .. import logs
from ._terminal import columns

_SILENT_SECONDS = 1.0
_TERMINAL_SECONDS, _LOG_SECONDS = 0.1, 5.0


class Progress:
    """Called with what is being done, how many units are done, and of how many (0: nobody knows).

    It clears its line when all is done, and as a context manager at the end.

    Args:
        verb: what the lines begin with.
        stream: standard error if absent; on a terminal the line is rewritten.
        clock: seconds that never go back.
    """

    def __init__(
        self, verb: str, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._verb = verb
        self._stream = stream or sys.stderr
        self._clock = clock
        self._is_terminal = self._stream.isatty()
        self._next = clock() + (_SILENT_SECONDS if self._is_terminal else _LOG_SECONDS)
        self._what, self._began, self._began_with = "", clock(), 0
        self._shown = 0  # characters of the line on the terminal

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._shown:
            self._write("\r" + " " * self._shown + "\r")
            self._shown = logs.progress_characters = 0

    def __call__(self, what: str, done: int, total: int) -> None:
        now = self._clock()
        if what != self._what:
            self._what, self._began, self._began_with = what, now, done
        if self._shown and 0 < total <= done:
            self.__exit__()
            return
        if now < self._next:
            return
        line = self._line(done, total, now - self._began)
        if self._is_terminal:
            width = max(20, columns() - 1)
            line = line if len(line) <= width else line[: width - 1] + "…"
            self._write("\r" + line.ljust(self._shown))
            self._shown = logs.progress_characters = len(line)
            self._next = now + _TERMINAL_SECONDS
        else:
            self._write(line + "\n")
            self._next = now + _LOG_SECONDS

    def _line(self, done: int, total: int, seconds: float) -> str:
        rate = (done - self._began_with) / seconds if seconds > 0 else 0.0
        parts = [f"{self._verb}: {self._what} {done:,}" + (f" of {total:,}" if total else "")]
        if rate >= 1:
            parts.append(f"{rate:,.0f}/s")
            if total:
                left = max(0, round((total - done) / rate))
                parts.append(f"{left // 60}:{left % 60:02} left")
        return ", ".join(parts)

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):  # nobody looks: the work goes on
            pass
