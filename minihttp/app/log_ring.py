# SPDX-License-Identifier: MIT
"""The last lines of the log in memory, for `logs` and the dashboard.

A request is kept as its `Served`, anything else with its text, its error and the function that logged it.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, cast

from ..functions.statistics import running
from ..logs import AccessRecord, Served, message_of
from ..tracebacks import describe

KEPT = 10_000
_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
# Number, Unix seconds, level, Served or logger, text, and the function, request and job that it was said in.
_Line = tuple[int, float, int, Any, str, str, str, str]


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

    def take_served(self, served: Served) -> None:
        """Takes the `Served` of a request, of which no record need be made."""
        with self._numbering:
            self._number += 1
            self._lines.append((self._number, served.ended, logging.INFO, served, "", "", "", ""))

    def emit(self, record: logging.LogRecord) -> None:
        if isinstance(record, AccessRecord):
            self.take_served(cast("Served", record.msg))
            return
        text, (function, call) = message_of(record), running.now
        of = (call.request_id or "", call.job_id or "") if function else ("", "")
        if record.exc_info and record.exc_info[1]:
            text += "\n" + describe(record.exc_info[1])
        with self._numbering:
            self._number += 1
            facts = self._number, record.created, record.levelno, record.name, text
            self._lines.append((*facts, function, *of))

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
            `client`; of anything else `logger`, `message`, `function`, and the `requestId` or the `jobId`
            that the function ran for.
        """
        lines, fits = self._copied(), _fits(level=level, function=function, request_id=request_id)
        fitting = (line for line in lines if line[0] > number and fits(line))
        chosen = list(fitting)[-limit:] if number < 0 else list(islice(fitting, limit))
        full = number >= 0 and len(chosen) == limit
        last = chosen[-1][0] if full else lines[-1][0] if lines else max(number, 0)
        return {"lines": [_row(line) for line in chosen], "last": last}

    def before(self, number: float, *, limit: int, **choice: Any) -> list[dict[str, Any]]:
        """The lines before a number, the newest first; those as `after` returns them.

        Args:
            limit: how many at most.
            choice: `level`, `function` and `request_id` as for `after`; `route`, a part of the route or path
                of requests, without which those of the dashboard are left out; `status`, with which those of
                requests begin; `text`, in any case of letters, that is in the message or the path.
        """
        fits = _fits(**choice)
        fitting = (line for line in reversed(self._copied()) if line[0] < number and fits(line))
        return [_row(line) for line in islice(fitting, limit)]

    def _copied(self) -> list[_Line]:
        with self._numbering:
            return list(self._lines)


def _fits(
    level: str = "debug",
    function: str = "",
    request_id: str = "",
    route: str | None = None,
    status: str = "",
    text: str = "",
) -> Callable[[_Line], bool]:
    """Whether a line is one of those; a `route` of None lets every route pass."""
    least, wanted = _LEVELS.get(level, 0), text.lower()

    def fits(line: _Line) -> bool:
        what = line[3]
        if line[2] < least or (function and line[5] != function):
            return False
        if isinstance(what, Served):
            place = what.route or what.path
            is_wanted = route is None or (route in place if route else not place.startswith("/_/"))
            said = f"{what.method} {what.path} {what.client}"
        else:
            is_wanted, said = not (route or status), line[4]
        return (
            is_wanted
            and (not request_id or _is_of(line, request_id))
            and (not status or str(what.status).startswith(status))
            and (not wanted or wanted in said.lower() or wanted == line[7])
        )

    return fits


def _is_of(line: _Line, request_id: str) -> bool:
    what = line[3]
    if isinstance(what, Served):
        return what.request_id == request_id
    return line[6] == request_id or request_id in line[4]


def _row(line: _Line) -> dict[str, Any]:
    number, time, level, what, text, function, request_id, job_id = line
    row: dict[str, Any] = {"number": number, "time": time, "level": _name_of(level)}
    if isinstance(what, Served):
        row |= {"method": what.method, "route": what.route, "path": what.path, "status": what.status}
        row |= {"ms": what.seconds * 1000, "bytes": what.body_bytes}
        return row | {"requestId": what.request_id, "client": what.client}
    said = {"requestId": request_id} if request_id else {"jobId": job_id} if job_id else {}
    return row | {"logger": what, "message": text, "function": function} | said


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


class LogLines(logging.Handler):
    """Keeps what this thread logs, for the time of a `with` block.

    Args:
        write: makes a line of a record.
        most: how many lines are kept.
    """

    def __init__(self, write: Callable[[logging.LogRecord], str], most: int) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._write, self._most = write, most
        self._thread = threading.get_ident()

    def __enter__(self) -> LogLines:
        logging.getLogger().addHandler(self)
        return self

    def __exit__(self, *exc_info: object) -> None:
        logging.getLogger().removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread and len(self.lines) < self._most:
            self.lines.append(self._write(record))
