# SPDX-License-Identifier: MIT
"""What the app hands to its server as the body of a response, where that is neither bytes nor a file.

A server calls `close` when the body has been sent and when it cannot be, because the client has left (PEP
3333). What a handler does while it streams is not to be cut off in the middle of a line for that: `Stream`
then runs it to its end.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from time import monotonic
from typing import TYPE_CHECKING, Any

from ..http.request import request_id
from ..http.response import FileBlocks, remaining_bytes
from ..loggers import get_logger
from ..watchdog import timed_out, watchdog

if TYPE_CHECKING:
    from ..http.request import Request
    from ..http.response import Response
    from ..http.router import Route
    from ..tracebacks import RepeatFilter

log = get_logger("minihttp")


def watch(
    response: Response, request: Request, route: Route, deadline: float, failures: RepeatFilter
) -> None:
    """Let the watchdog look at the body of a response where code makes it while it is sent.

    Args:
        route: that of the handler, for the watchdog: each piece, and closing, may take as long as it.
        deadline: on `time.monotonic()`: how long code whose client has left may go on.
        failures: the app's, which logs what is raised after the client has left.
    """
    body = response.body
    if body.__class__ in (bytes, list, tuple):
        return
    is_file = hasattr(body, "read")
    if is_file:
        if _is_local(body):
            return
        size = watchdog.run(request.limits.action_seconds, route, remaining_bytes, body)
        if size is not None and "Content-Length" not in response.headers:
            response.headers.append("Content-Length", str(size))
        body = FileBlocks(body)
    response.body = Stream(body, request, route, deadline, failures)
    response.body.runs_on = not is_file


def _is_local(file: Any) -> bool:
    """Whether reading a file takes no longer than this machine's disk, so that the server's loop may read it.

    One of the user's own class, a pipe, or one that another machine gives may take for ever.
    """
    raw = file.raw if type(file) in (io.BufferedReader, io.BufferedRandom) else file
    is_plain = type(raw) in (io.FileIO, io.BytesIO) and raw.seekable()
    return is_plain or getattr(file, "is_local", False)


class Stream:
    """A body that code makes piece by piece, and goes on to make when its client has left.

    Pieces without a byte are not sent, and do not tell whether the client is there: together they may take as
    long as one piece.

    Attributes:
        runs_on: whether the code goes on when its client has left; a file is only closed.
    """

    __slots__ = (
        "_deadline", "_failures", "_is_running", "_iterator", "_limit_seconds", "_pieces", "_request",
        "_route", "_silent_since", "runs_on",
    )  # fmt: skip

    def __init__(
        self, pieces: Any, request: Request, route: Route, deadline: float, failures: RepeatFilter
    ) -> None:
        self._pieces = pieces
        self._request = request
        self._route = route
        self._limit_seconds = request.limits.action_seconds
        self._iterator: Iterator[bytes] = self._watched(iter, pieces)
        self._deadline = deadline
        self._failures = failures
        self._is_running = False
        self._silent_since: float | None = None
        self.runs_on = True

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            piece: bytes = self._watched(next, self._iterator)
            if piece:
                self._silent_since = None
            else:
                self._end_if_silent()
        except BaseException:  # StopIteration too
            self._is_running = False
            raise
        self._is_running = True
        return piece

    def _end_if_silent(self) -> None:
        if self._silent_since is None:
            self._silent_since = monotonic()
        elif monotonic() > self._silent_since + self._limit_seconds:
            raise timed_out(self._limit_seconds)

    def close(self) -> None:
        """Run what is left of code that has begun, and close the pieces."""
        try:
            if self._is_running and self.runs_on:
                self._run_to_end()
        finally:
            if hasattr(self._pieces, "close"):
                self._watched(_close, self._pieces)

    def _watched(self, step: Callable[[Any], Any], of: Any) -> Any:
        return watchdog.run(self._limit_seconds, self._route, step, of)

    def _run_to_end(self) -> None:
        self._request.client_left = True
        try:
            while monotonic() < self._deadline:
                self._watched(next, self._iterator)
        except StopIteration:
            pass
        except (Exception, SystemExit) as error:
            environ = self._request.environ
            label = environ["REQUEST_METHOD"], environ.get("minihttp.route", "?"), type(error).__name__
            message = "%s %s failed after its client had left: %s request_id=%s"
            self._failures.log(log, error, message, *label, request_id(environ))


def _close(pieces: Any) -> None:
    pieces.close()


class Closing:
    """A response body whose `close` (PEP 3333) also frees the request's spooled files."""

    __slots__ = ("_body", "_close")

    def __init__(self, body: Iterable[bytes], close: Callable[[], None]) -> None:
        self._body = body
        self._close = close

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    def close(self) -> None:
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            self._close()
