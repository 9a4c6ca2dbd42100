# SPDX-License-Identifier: MIT
"""A response that is made later, by whoever finishes the work: no thread need wait for the disk meanwhile.

Under minihttp's own server the request stays open without a thread (`environ["minihttp.suspend"]`); under any
other the thread of the request waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from threading import Lock
from typing import Any

from .response import Response

Done = Callable[[Any, "BaseException | None"], None]
Suspend = Callable[[], "Callable[[Callable[[Any], Iterable[bytes]]], None]"]
"""What a server puts into `environ["minihttp.suspend"]`. Called, it lets the request stay open after the app
has returned, and gives a function that takes, later and from any thread, the answer: start_response -> body.
"""


class Deferred:
    """What a handler returns instead of a response.

    Args:
        start: begins the work; it calls `done(result, None)` or `done(None, error)` once, from any thread.
        respond: (result, error) -> the response, called once the work is done; one of both is None. What it
            raises is answered like an error of the handler.
    """

    __slots__ = ("respond", "start")

    def __init__(
        self, start: Callable[[Done], None], respond: Callable[[Any, BaseException | None], Response]
    ) -> None:
        self.start = start
        self.respond = respond

    def within(self, around: Callable[[Callable[[], Response]], Any]) -> Deferred:
        """The same work, and a response that `around` makes: it is handed what makes the one of here."""
        respond = self.respond
        return Deferred(self.start, lambda *outcome: around(partial(respond, *outcome)))

    def begin(self, done: Done) -> None:
        """Begin the work; an error on the way into it is told like one of the work itself."""
        try:
            self.start(done)
        except Exception as error:
            done(None, error)

    def wait(self) -> Response:
        """Do the work and wait for it in this thread."""
        told: list[Any] = []
        gate = Lock()
        gate.acquire()

        def done(result: Any, error: BaseException | None) -> None:
            told.extend((result, error))
            gate.release()

        self.begin(done)
        gate.acquire()
        return self.respond(*told)


def outcome(result: Any, error: BaseException | None) -> Any:
    """The result of the work, or its error raised: `respond` where the result is the response."""
    if error is not None:
        raise error
    return result
