# SPDX-License-Identifier: MIT
"""Log lines: text for a terminal, JSON for programs, through the standard `logging`.

`access_line` logs one answered request on the logger `minihttp.access`. What strangers send cannot forge a
line: control characters are escaped. The path of a request is logged only where no route matched, a query
or a header never, so that no secret or signature gets here. Knows nothing of servers: it takes what has the
attributes of `Served`.
"""

from __future__ import annotations

import json
import logging
import os
import select
import stat
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from copy import copy
from functools import lru_cache
from typing import NamedTuple, TextIO, cast

from .errors import short
from .shown import one_line
from .tracebacks import describe

FORMATS = ("auto", "text", "json")
_ROOT, _OURS = logging.getLogger(), logging.getLogger("minihttp")
_ACCESS = logging.getLogger("minihttp.access")
_MAX_PENDING = 10_000  # lines that wait for a stream that takes none; about 5 MB
_MAX_LINES_AT_ONCE = 500
_PIPE_BYTES = 4_096  # PIPE_BUF: a pipe that takes any takes so many
_MAX_CLOSING_SECONDS = 2.0
_MAX_PATH_CHARACTERS = 200
_MAX_LINE_CHARACTERS = 16_384
_quoted = json.encoder.encode_basestring_ascii
_JSON_LINE = (
    '{"time":"%s","level":"info","logger":"minihttp.access","method":%s,"route":%s,"status":%d,"ms":%.2f,'
    '"bytes":%d,"request_id":%s,"client":%s%s}'
)

progress_characters = 0  # of the line of progress that stands on the terminal now


class Served(NamedTuple):
    """One answered request.

    Attributes:
        started: Unix seconds, when a handler thread took it.
        method: as sent, its first 20 characters; `-` when the head could not be read.
        route: the pattern that matched, or None.
        path: as sent, percent-encoded, without authority and query; `-` where there is none.
        status: of the response.
        seconds: until the last byte was with the socket or its buffer.
        body_bytes: of the response.
        request_id: as in `X-Request-Id`, or None when the application was not reached.
        client: the peer's address, or the one that the trusted proxy gave.
        complete: False when the response was cut half-way.
    """

    started: float
    method: str
    route: str | None
    path: str
    status: int
    seconds: float
    body_bytes: int
    request_id: str | None
    client: str
    complete: bool

    @property
    def ended(self) -> float:
        """Unix seconds, the time of its line."""
        return self.started + self.seconds


def configure(form: str = "auto", level: str = "info", stream: TextIO | None = None) -> None:
    """Sends everything that is logged to `stream`.

    Args:
        form: one of `FORMATS`; "auto" is text on a terminal and JSON otherwise.
        level: the least level: debug, info, warning or error.
        stream: standard error if absent.
    """
    stream = stream or sys.stderr or open(os.devnull, "w")  # noqa: SIM115  (there may be no standard error)
    text = stream.isatty() if form == "auto" else form == "text"
    handler = BatchingHandler(stream)
    handler.setFormatter(TextFormatter() if text else JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())


def say(text: str) -> None:
    """Show a line to whoever started the program, on standard error; if that takes none, nothing happens."""
    if sys.stderr is None:
        return
    line = f"{_cleared_row(sys.stderr.isatty())}{text}\n"
    data, descriptor = line.encode("utf-8", "backslashreplace"), _descriptor(sys.stderr)
    with suppress(OSError, ValueError):
        if descriptor is None:
            sys.stderr.write(data.decode())
        else:  # not through the stream, which would keep what it cannot write and fail at exit
            os.write(descriptor, data)


class BatchingHandler(logging.Handler):
    """Writes lines in batches, by a thread of its own: a `write` for each request would halve throughput.

    A line is written within `delay_seconds`, or when half of those that may wait do; a warning and all before
    it at once; the rest by `close`, which `logging` calls at exit. A stream that takes nothing (a pipe that
    nobody reads, a full disk) holds nobody up: at most `max_pending` lines wait for it, what comes after them
    is dropped and counted, and the count is written once the stream takes lines again.
    """

    def __init__(self, stream: TextIO, delay_seconds: float = 0.1, max_pending: int = _MAX_PENDING) -> None:
        super().__init__()
        self._stream = stream
        self._descriptor = _descriptor(stream)
        self._chunk_bytes = _bytes_at_once(self._descriptor)
        self._is_terminal = stream.isatty()
        self._delay_seconds = delay_seconds
        self._max_pending, self._many = max_pending, max_pending // 2
        self._records: deque[logging.LogRecord | Served] = deque()
        self._unwritten = b""
        self._dropped = 0
        self._waiting = threading.Event()
        self._hurry = threading.Event()
        self._closing = False
        self._writing = threading.Lock()
        self._writer = threading.Thread(target=self._write_batches, name="minihttp-log", daemon=True)
        self._writer.start()

    def emit(self, record: logging.LogRecord) -> None:
        if isinstance(record, AccessRecord):  # a `Served` never changes, what the app logs may
            self.take_served(cast("Served", record.msg))
            return
        record = copy(record)
        record.msg, record.args = message_of(record), None
        self.take_served(record)
        if record.levelno >= logging.WARNING:
            self.flush()

    def take_served(self, line: logging.LogRecord | Served) -> None:
        """Takes the `Served` of a request, of which no record need be made."""
        records = self._records
        if len(records) >= self._many:
            if len(records) >= self._max_pending:
                self._dropped += 1
                return
            self._hurry.set()
        records.append(line)
        if not self._waiting.is_set():
            self._waiting.set()

    def flush(self) -> None:
        """Writes what is pending, as far as the stream takes it at once; the thread writes the rest."""
        if self._writing.acquire(blocking=False):
            try:
                if self._write_pending(wait_seconds=0):
                    return
            finally:
                self._writing.release()
        self._waiting.set()

    def close(self) -> None:
        """Writes what is pending and ends the thread; a stream that takes nothing is not waited for."""
        self._closing = True
        self._hurry.set()
        self._waiting.set()
        self._writer.join(_MAX_CLOSING_SECONDS)
        self.flush()
        super().close()

    def _write_batches(self) -> None:
        while not self._closing:
            self._waiting.wait()
            self._hurry.wait(self._delay_seconds)
            self._hurry.clear()
            self._waiting.clear()
            with self._writing:
                if not self._write_pending(wait_seconds=1.0):
                    self._waiting.set()

    def _write_pending(self, wait_seconds: float) -> bool:
        """Returns whether all is written, or dropped because writing fails."""
        while self._unwritten or self._records:
            if not self._unwritten:
                self._unwritten = self._take()
            try:
                while self._unwritten:
                    if not self._takes_some(wait_seconds):
                        return False
                    self._unwritten = self._unwritten[self._write(self._unwritten[: self._chunk_bytes]) :]
            except BlockingIOError:
                return False
            except (OSError, ValueError):
                self._dropped += self._unwritten.count(b"\n")
                self._unwritten = b""
                return True
        return True

    def _take(self) -> bytes:
        """Some lines, and before them how many were dropped."""
        lines = []
        if self._dropped:
            facts = "%d lines of this log were dropped: nobody took them", (self._dropped,)
            self._dropped = 0
            lines.append(self.format(logging.LogRecord(__name__, logging.WARNING, "", 0, *facts, None)))
        format_served = getattr(self.formatter, "format_served", None) or _by_record(self.format)
        records = self._records
        for _ in range(min(len(records), _MAX_LINES_AT_ONCE)):
            line = records.popleft()
            lines.append(format_served(line) if isinstance(line, Served) else self.format(line))
        lines.append("")
        text = _cleared_row(self._is_terminal) + "\n".join(lines)
        return text.encode("utf-8", "backslashreplace")

    def _takes_some(self, wait_seconds: float) -> bool:
        """Whether a write of `_chunk_bytes` would not block (PIPE_BUF, pipe(7))."""
        if self._chunk_bytes != _PIPE_BYTES:
            return True
        assert self._descriptor is not None
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        return bool(poll.poll(wait_seconds * 1000))

    def _write(self, data: bytes) -> int:
        if self._descriptor is not None:
            return os.write(self._descriptor, data)
        self._stream.write(data.decode())
        self._stream.flush()
        return len(data)


def _cleared_row(is_terminal: bool) -> str:
    """What takes a line of progress off the row of a terminal, so that a line of the log has it alone."""
    return f"\r{' ' * progress_characters}\r" if is_terminal and progress_characters else ""


def _descriptor(stream: TextIO) -> int | None:
    """The file below a stream, or None for one in memory."""
    try:
        stream.flush()
        return stream.fileno()
    except (OSError, ValueError, AttributeError):  # io.UnsupportedOperation is both of the first
        return None


def _bytes_at_once(descriptor: int | None) -> int:
    """How many bytes a write may have, so that it does not wait for a reader: a file has none."""
    if descriptor is not None:
        with suppress(OSError):
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return _PIPE_BYTES
    return sys.maxsize


def message_of(record: logging.LogRecord) -> str:
    """What it says; if it cannot be formatted, where that was: neither thread nor request ends by it."""
    try:
        return record.getMessage()
    except Exception as error:
        return f"{record.pathname}:{record.lineno}: cannot format what is logged here: {type(error).__name__}"


class AccessRecord(logging.LogRecord):
    """The record of one request, whose message is its `Served`.

    Made for every request, so it copies what `LogRecord` would find out about threads, processes and callers.
    """

    _SAME = vars(logging.LogRecord(_ACCESS.name, logging.INFO, "", 0, None, None, None))

    def __init__(self, served: Served) -> None:
        created = served.ended
        self.__dict__.update(self._SAME, msg=served, created=created, msecs=created % 1 * 1000)


def _by_record(format: Callable[[logging.LogRecord], str]) -> Callable[[Served], str]:
    return lambda served: format(AccessRecord(served))


def access_line(served: Served) -> None:
    """Logs one answered request at level INFO; the record's `msg` is `served`, which is formatted later.

    The framework's own handlers have a method `take_served`, and get the `Served` as it is where nobody
    filters: `logging` would take five times as long to hand them a record.
    """
    if not _ACCESS.isEnabledFor(logging.INFO):
        return
    if _ACCESS.handlers or _ACCESS.filters or _OURS.handlers or not (_ACCESS.propagate and _OURS.propagate):
        _ACCESS.handle(AccessRecord(served))
        return
    for handler in _ROOT.handlers:
        if handler.level <= logging.INFO:
            take = None if handler.filters else getattr(handler, "take_served", None)
            if take is not None:
                take(served)
            else:
                handler.handle(AccessRecord(served))


def _access_text(served: Served) -> str:
    cut = "" if served.complete else " cut"
    return (
        f"{served.method} {served.route or served.path[:_MAX_PATH_CHARACTERS]} {served.status}{cut}"
        f" {served.seconds * 1000:.1f}ms {served.body_bytes}B {served.request_id or '-'} {served.client}"
    )


def escaped(text: str) -> str:
    """`text` on one line, whatever a stranger put in it."""
    return one_line(short(text, _MAX_LINE_CHARACTERS))


class TextFormatter(logging.Formatter):
    """`09:30:01 WARNING message`, the level only where it is not INFO; a traceback is indented below."""

    def format_served(self, served: Served) -> str:
        return f"{_local_time(int(served.ended))} {escaped(_access_text(served))}"

    def format(self, record: logging.LogRecord) -> str:
        if isinstance(record, AccessRecord):
            return self.format_served(cast("Served", record.msg))
        level = "" if record.levelno == logging.INFO else record.levelname + " "
        line = f"{_local_time(int(record.created))} {level}{escaped(record.getMessage())}"
        error = _error_of(record)
        if error is None:
            return line
        return "\n".join([line, *("    " + escaped(part) for part in describe(error).split("\n"))])


class JsonFormatter(logging.Formatter):
    """One JSON object a line: `time` (UTC), `level`, `logger`, and the fields of a request or a `message`."""

    def format_served(self, served: Served) -> str:
        """Put together by hand: `json.dumps` takes three times as long."""
        started, method, route, path, status, seconds, body_bytes, request_id, client, complete = served
        place = _quoted(route) if route else f'null,"path":{_quoted(path[:_MAX_PATH_CHARACTERS])}'
        id, cut = _quoted(request_id) if request_id else "null", "" if complete else ',"cut":true'
        moment, ms = _moment(started + seconds), seconds * 1000
        facts = (moment, _quoted(method), place, status, ms, body_bytes, id, _quoted(client), cut)
        return _JSON_LINE % facts

    def format(self, record: logging.LogRecord) -> str:
        if isinstance(record, AccessRecord):
            return self.format_served(cast("Served", record.msg))
        fields = {
            "time": _moment(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": short(record.getMessage(), _MAX_LINE_CHARACTERS),
        }
        error = _error_of(record)
        if error is not None:
            fields["error"] = short(describe(error), _MAX_LINE_CHARACTERS)
        return json.dumps(fields, separators=(",", ":"))


@lru_cache(maxsize=4)
def _local_time(second: int) -> str:
    return time.strftime("%H:%M:%S", time.localtime(second))


def _moment(created: float) -> str:
    second = int(created)
    return f"{_utc(second)}.{int((created - second) * 1000):03d}Z"


@lru_cache(maxsize=4)
def _utc(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


def _error_of(record: logging.LogRecord) -> BaseException | None:
    return record.exc_info[1] if record.exc_info else None
