# SPDX-License-Identifier: MIT
"""The last lines of the log in memory, for `logs` and the dashboard.

A request is kept as its `Served`, anything else with its text, its error and the function that logged it.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Any, cast

from ..functions.statistics import running
from ..logs import AccessRecord, Served, message_of
from ..tracebacks import describe

KEPT = 10_000
_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_Line = tuple[int, float, int, Any, str, str]  # number, Unix seconds, level, Served or logger, text, function


class LogRing(logging.Handler):
    """Keeps the last lines.

    Args:
        kept: how many.
    """

    def __init__(self, kept: int = KEPT) -> None:
        super().__init__()
        self._lines: deque[_Line] = deque(maxlen=kept)
        self._numbering = threading.Lock()
        self._number = 0

    def take_served(self, created: float, served: Served) -> None:
        """What `emit` does with the record of a request, without the record."""
        with self._numbering:
            self._number += 1
            self._lines.append((self._number, created, logging.INFO, served, "", ""))

    def emit(self, record: logging.LogRecord) -> None:
        if isinstance(record, AccessRecord):
            self.take_served(record.created, cast("Served", record.msg))
            return
        text, function = message_of(record), running.name
        if record.exc_info and record.exc_info[1]:
            text += "\n" + describe(record.exc_info[1])
        with self._numbering:
            self._number += 1
            self._lines.append((self._number, record.created, record.levelno, record.name, text, function))

    def after(
        self,
        number: int,
        *,
        level: str = "debug",
        function: str = "",
        request_id: str = "",
        limit: int = 1_000,
    ) -> dict[str, Any]:
        """The lines after a number, the oldest first, or with `number` -1 the last `limit` lines.

        Args:
            level: the least: debug, info, warning or error.
            function: only lines that it logged, by its name.
            request_id: only lines of that request.
            limit: how many at most.

        Returns:
            `lines`, and `last`, the number to go on from. A line has `number`, `time` (Unix seconds),
            `level`, and of a request `method`, `route`, `path`, `status`, `ms`, `bytes`, `requestId` and
            `client`; of anything else `logger`, `message` and `function`.
        """
        with self._numbering:
            lines = list(self._lines)
        least = _LEVELS.get(level, 0)
        fitting = (
            line
            for line in lines
            if line[0] > number
            and line[2] >= least
            and (not function or line[5] == function)
            and (not request_id or _is_of(line, request_id))
        )
        chosen = list(fitting)[-limit:] if number < 0 else list(islice(fitting, limit))
        full = number >= 0 and len(chosen) == limit
        last = chosen[-1][0] if full else lines[-1][0] if lines else max(number, 0)
        return {"lines": [_row(line) for line in chosen], "last": last}


def _is_of(line: _Line, request_id: str) -> bool:
    what = line[3]
    return what.request_id == request_id if isinstance(what, Served) else request_id in line[4]


def _row(line: _Line) -> dict[str, Any]:
    number, time, level, what, text, function = line
    row: dict[str, Any] = {"number": number, "time": time, "level": _name_of(level)}
    if isinstance(what, Served):
        row |= {"method": what.method, "route": what.route, "path": what.path, "status": what.status}
        row |= {"ms": what.seconds * 1000, "bytes": what.body_bytes}
        return row | {"requestId": what.request_id, "client": what.client}
    return row | {"logger": what, "message": text, "function": function}


def _name_of(level: int) -> str:
    return next((name for name, least in reversed(_LEVELS.items()) if level >= least), "debug")


_installed: list[LogRing] = []


def install() -> LogRing:
    """Keep what this process logs from now on; a second call gives the same ring."""
    if not _installed:
        _installed.append(LogRing())
    if _installed[0] not in logging.getLogger().handlers:
        logging.getLogger().addHandler(_installed[0])
    return _installed[0]


def installed() -> Iterator[LogRing]:
    """The ring of this process, if there is one."""
    return iter(_installed)
