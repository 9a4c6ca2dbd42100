# SPDX-License-Identifier: MIT
"""What the app hands to its server as the body of a response, where that is neither bytes nor a file.

A server calls `close` when the body has been sent and when it cannot be, because the client has left (PEP
3333). What a handler does while it streams is not to be cut off in the middle of a line for that: `Stream`
then runs it to its end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from time import monotonic
from typing import TYPE_CHECKING, Any

from ..http.request import request_id
from ..loggers import get_logger
from ..watchdog import watchdog

if TYPE_CHECKING:
    from ..http.request import Request
    from ..http.router import Route
    from ..tracebacks import RepeatFilter

log = get_logger("minihttp")


def is_stream(body: Any) -> bool:
    """Whether a body is made by code as it is sent: neither whole in memory nor a file."""
    return not (isinstance(body, (bytes, list, tuple)) or hasattr(body, "read"))


class Stream:
    """A body that a handler's code makes piece by piece, and goes on to make when its client has left.

    Args:
        pieces: what the response was made of.
        request: whose `client_left` is set when the client has.
        route: that of the handler, for the watchdog: each piece, and closing, may take as long as it.
        deadline: on `time.monotonic()`: how long code whose client has left may go on.
        failures: the app's, which logs what is raised after the client has left.
    """

    __slots__ = ("_deadline", "_failures", "_is_running", "_iterator", "_pieces", "_request", "_route")

    def __init__(
        self, pieces: Any, request: Request, route: Route, deadline: float, failures: RepeatFilter
    ) -> None:
        self._pieces = pieces
        self._request = request
        self._route = route
        self._iterator: Iterator[bytes] = self._watched(iter, pieces)
        self._deadline = deadline
        self._failures = failures
        self._is_running = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            piece: bytes = self._watched(next, self._iterator)
        except BaseException:  # StopIteration too
            self._is_running = False
            raise
        self._is_running = True
        return piece

    def close(self) -> None:
        """Run what is left of code that has begun, and close the pieces."""
        try:
            if self._is_running:
                self._run_to_end()
        finally:
            if hasattr(self._pieces, "close"):
                self._watched(_close, self._pieces)

    def _watched(self, step: Callable[[Any], Any], of: Any) -> Any:
        return watchdog.run(self._request.limits.action_seconds, self._route, step, of)

    def _run_to_end(self) -> None:
        self._request.client_left = True
        try:
            for _ in self:
                if monotonic() > self._deadline:
                    break
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
