# SPDX-License-Identifier: MIT
"""The watchdog: ends user code that runs longer than its time limit, also where it touches no document.

One daemon thread looks at the calls that are under way. Into a call that is late it throws an exception
(`PyThreadState_SetAsyncExc`), but only while the innermost frame of that thread is the user's (or of
code of ours that only computes): on its way into or out of a transaction it is never interrupted. The
first throw is a `DeadlineError`, which user code may catch to tidy up; the next is `Overdue`, which
`except Exception` lets through; those after it cannot be caught at all. A call that still does not end (it
waits in C code) is *stuck*, which the log and `/_/ready` say. Knows no functions, no transactions, no HTTP.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import compress, starmap
from operator import is_, itemgetter
from threading import get_ident
from types import FrameType
from typing import Any, TypeVar

from .errors import DeadlineError
from .loggers import get_logger

T = TypeVar("T")
log = get_logger("minihttp")

GRACE_SECONDS = 0.25
"""How long after its limit a call may still end by itself."""

_STUCK_SECONDS = 1.0  # after the grace: a call that does not end by then is reported as stuck
_IDLE_PAUSE_SECONDS = 1.0
_THROW_PAUSE_SECONDS = 0.005  # between two looks at a call that is late
_REPEAT_SECONDS = 0.1  # between two throws, so that `finally` and `with` blocks can end
_GENTLE_THROWS = 2  # those after them cannot be caught
_MAX_FRAMES_SHOWN = 8

_FRAMEWORK = os.path.dirname(os.path.abspath(__file__)) + os.sep
_BACKENDS = os.path.join(os.path.dirname(os.path.dirname(_FRAMEWORK)), "storage_backends") + os.sep
_PURE = tuple(
    _FRAMEWORK + part.replace("/", os.sep) for part in ("values/", "webhooks/", "data/validators.py")
)
_CALLERS = (os.path.abspath(__file__), _FRAMEWORK + os.path.join("functions", "runner.py"))
_LIBRARY = os.path.dirname(os.path.abspath(os.__file__)) + os.sep
# Before Python 3.13 an interrupt in `logging` can leave its lock taken; an interrupted import, a half module.
_UNTOUCHABLE = (os.path.join(_LIBRARY, "logging") + os.sep, "<frozen importlib")


_NEVER = float("inf")
_NOTHING: Any = object()  # where an argument is not given
_TIMED_OUT = "Function execution timed out"


class _Late(DeadlineError):
    """What is thrown first; it leaves the call as a `DeadlineError` that names the limit.

    What catches it before, as hooks that run after a handler do, finds a message too.
    """

    def __init__(self) -> None:
        super().__init__(_TIMED_OUT)


class Overdue(BaseException):
    """Thrown into a call that caught its `DeadlineError` and went on; no `except Exception` catches it."""


# A tuple, since one is made for every request: what (whose `str()` names it), when it began on
# `time.monotonic()`, its limit in seconds, and the call of the same thread inside which it runs.
_Call = tuple[object, float, float, Any]


class _Lateness:
    """What was done about a call that is late."""

    def __init__(self) -> None:
        self.throws = 0
        self.last_throw = 0.0
        self.is_stuck = False


class Watchdog:
    """Calls under way, and the thread that ends those that are late.

    Args:
        clock: seconds, from any moment on.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # The innermost of each thread, None between two, in a list that stays: to replace it costs least.
        self._calls: defaultdict[int, list[_Call | None]] = defaultdict(lambda: [None])
        self._late: dict[int, _Lateness] = {}  # by the `id` of the call
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._idle_pause_seconds = _NEVER  # until the thread runs
        self._frozen_cpu_seconds = 0.0

    def run(
        self,
        limit_seconds: float,
        what: object,
        body: Callable[..., T],
        first: Any = _NOTHING,
        second: Any = _NOTHING,
    ) -> T:
        """Call `body()`, `body(first)` or `body(first, second)`, within `limit_seconds` and the grace.

        With any number of arguments it would cost twice as much, which every request would pay.

        Args:
            what: whose `str()` names the call in the log.

        Raises:
            DeadlineError: it took longer and was ended; and whatever `body` raises.
        """
        if limit_seconds < self._idle_pause_seconds:
            self._start(limit_seconds)
        thread = get_ident()
        innermost = self._calls[thread]
        outer = innermost[0]
        call = innermost[0] = (what, self._clock(), limit_seconds, outer)
        try:
            try:
                if second is not _NOTHING:
                    return body(first, second)
                return body() if first is _NOTHING else body(first)
            finally:
                # No calls before these lines: an exception that is under way can arrive after a call only.
                innermost[0] = outer
                if self._late and id(call) in self._late:
                    self._absorb(thread, call)
        except (_Late, Overdue) as error:
            raise timed_out(limit_seconds).with_traceback(error.__traceback__) from error

    def calls(self) -> list[str]:
        """The names of the calls under way, each thread's innermost first."""
        return [str(call[0]) for call in self._under_way()]

    def _under_way(self) -> list[_Call]:
        return [call for (innermost,) in list(self._calls.values()) for call in _chain(innermost)]

    def oldest_seconds(self) -> float:
        """For how long the oldest call has been under way; 0 when there is none."""
        began = [call[1] for call in self._under_way()]
        return self._clock() - min(began) if began else 0.0

    def stuck(self) -> list[str]:
        """The names of the calls that cannot be ended."""
        return [
            str(call[0])
            for call in self._under_way()
            if id(call) in self._late and self._late[id(call)].is_stuck
        ]

    def end_frozen_process(self, cpu_seconds: float) -> None:
        """End this process, with the stacks of all threads on standard error, when for so many seconds of
        processor time no Python code of another thread could run.

        That is C code that keeps the interpreter's lock, such as a regular expression that backtracks for
        ever: nothing else can end it, and nothing else is served meanwhile.
        """
        import faulthandler
        import signal

        faulthandler.register(signal.SIGPROF, file=2, all_threads=True, chain=True)
        self._frozen_cpu_seconds = cpu_seconds
        self._start(_IDLE_PAUSE_SECONDS)

    # ------------------------------------------------------------ the thread

    def _start(self, limit_seconds: float) -> None:
        with self._starting:
            pauses_seconds = self._idle_pause_seconds, _IDLE_PAUSE_SECONDS, max(limit_seconds, 0.02)
            self._idle_pause_seconds = min(pauses_seconds)
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="minihttp-watchdog", daemon=True)
                self._thread.start()

    def forget(self) -> None:
        """After a fork: neither the thread nor the calls of others are here."""
        for thread in self._calls.keys() - {get_ident()}:
            del self._calls[thread]
        self._thread, self._idle_pause_seconds = None, _NEVER
        self._starting = threading.Lock()

    def _watch(self) -> None:
        while True:
            try:
                pause_seconds = self.look()
            except Exception:
                log.exception("the watchdog failed")
                pause_seconds = _IDLE_PAUSE_SECONDS
            if self._frozen_cpu_seconds:
                import signal  # half a millisecond, and only a server needs it

                signal.setitimer(signal.ITIMER_PROF, self._frozen_cpu_seconds)
            time.sleep(pause_seconds)

    def look(self) -> float:
        """Throw into the calls that are late; returns in how many seconds to look again."""
        now = self._clock()
        pause_seconds = self._idle_pause_seconds
        for thread, (innermost,) in list(self._calls.items()):
            calls = list(_chain(innermost))
            if not calls:
                continue
            left_seconds = [began + limit + GRACE_SECONDS - now for _, began, limit, _ in calls]
            late = next((n for n, left in enumerate(left_seconds) if left < 0), None)
            if late is None:
                pause_seconds = min(pause_seconds, max(min(left_seconds), _THROW_PAUSE_SECONDS))
            else:
                pause_seconds = _THROW_PAUSE_SECONDS
                self._end(thread, calls[: late + 1], now)
        return pause_seconds

    def _end(self, thread: int, calls: list[_Call], now: float) -> None:
        """Throw into a thread, to end the last of these calls; the others run inside it."""
        what, began, limit_seconds, _ = calls[-1]
        marks = [self._late.setdefault(id(call), _Lateness()) for call in calls]  # each absorbs what arrives
        late = marks[-1]
        frame = sys._current_frames().get(thread)
        if not late.is_stuck and now > began + limit_seconds + GRACE_SECONDS + _STUCK_SECONDS:
            late.is_stuck = True
            log.error("%s has run for %.3g s and cannot be ended: %s", what, now - began, _stack(frame))
        if now < late.last_throw + _REPEAT_SECONDS or frame is None or not _is_users(frame):
            return
        for mark in marks:
            mark.throws += 1
        late.last_throw = now
        if late.throws == 1:
            kind: type[BaseException] = _Late
            log.error("%s ran longer than %g s and is ended: %s", what, limit_seconds, _stack(frame))
        else:
            kind = Overdue if late.throws <= _GENTLE_THROWS else _Uncatchable
        _throw(thread, frame, kind)

    def _absorb(self, thread: int, call: _Call) -> None:
        """At the end of a call: what was thrown and has not arrived is not to arrive later.

        It is replaced by another that arrives here. To take it back is no way: CPython then goes on looking
        for it, and a thread with a profile function hangs.
        """
        late = self._late.pop(id(call))
        if late.throws:
            with suppress(_Late, Overdue):
                _async_exception()(*_shot(thread, Overdue))
        if late.throws > _GENTLE_THROWS:
            sys.settrace(None)
            sys.setprofile(None)
        if late.is_stuck:
            log.error("%s has ended after %.3g s", call[0], self._clock() - call[1])


def timed_out(limit_seconds: float | None) -> DeadlineError:
    """The error of a call that took longer than its limit."""
    limit = "" if limit_seconds is None else f" (maximum duration: {limit_seconds:g} s)"
    return DeadlineError(_TIMED_OUT + limit)


def _chain(innermost: _Call | None) -> Iterator[_Call]:
    call = innermost
    while call is not None:
        yield call
        call = call[3]


def _is_users(frame: FrameType | None) -> bool:
    """Whether a thread whose innermost frame this is runs user code, or a library for it.

    A database driver is a library too, so of one it is asked who called it. An app that is itself installed
    like a library is called by the framework's `_CALLERS` directly.
    """
    is_installed = False
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith((_FRAMEWORK, _BACKENDS, *_UNTOUCHABLE)):
            return name.startswith(_PURE) or (is_installed and name in _CALLERS)
        if "-packages" in name:
            is_installed = True
        elif not name.startswith(_LIBRARY):
            return True
        frame = frame.f_back
    return False


def _throw(thread: int, frame: FrameType, kind: type[BaseException]) -> None:
    """Throw `kind` into a thread if `frame` is its innermost frame still.

    All of it is one call into C, so that no other thread runs between the look and the throw.
    """
    innermost = map(itemgetter(thread), starmap(sys._current_frames, [()]))
    shots = compress([_shot(thread, kind)], map(is_, innermost, [frame]))
    with suppress(KeyError):  # the thread has ended
        list(starmap(_async_exception(), shots))


def _async_exception() -> Callable[..., int]:
    import ctypes  # rare, and 3 ms to import

    return ctypes.pythonapi.PyThreadState_SetAsyncExc


def _shot(thread: int, kind: type[BaseException]) -> tuple[Any, Any]:
    import ctypes

    return ctypes.c_ulong(thread), ctypes.py_object(kind)


def _stack(frame: FrameType | None) -> str:
    """Where a thread is: the user's innermost frame first, out to where the watched call begins."""
    places: list[str] = []
    begin = Watchdog.run.__code__
    while frame is not None and frame.f_code is not begin and len(places) < _MAX_FRAMES_SHOWN:
        code = frame.f_code
        if not code.co_filename.startswith((_FRAMEWORK, _BACKENDS)):
            places.append(f"{code.co_name} ({code.co_filename}:{frame.f_lineno})")
        frame = frame.f_back
    return " < ".join(places) or "(in the framework's own code)"


class _Uncatchable(Overdue):
    """Is thrown again at each line of the user's frames that catch it, up to the watched call.

    It is made in the thread that it is thrown into. A trace function that raises is removed by the
    interpreter, so a profile function, which hears of each frame that ends, puts it back.
    """

    def __init__(self) -> None:
        super().__init__()
        _trace(sys._getframe(1))


def _trace(frame: FrameType | None) -> None:
    while frame is not None and frame.f_code is not Watchdog.run.__code__:
        if not frame.f_code.co_filename.startswith((_FRAMEWORK, _BACKENDS, _LIBRARY)):
            frame.f_trace = _raise_again
        frame = frame.f_back
    sys.settrace(_raise_again)


def _raise_again(frame: FrameType, event: str, arg: object) -> None:
    if event == "line":
        sys.setprofile(_trace_outer)
        raise Overdue


def _trace_outer(frame: FrameType, event: str, arg: object) -> None:
    if event == "return" and frame.f_code is not _raise_again.__code__:
        sys.setprofile(None)
        _trace(frame.f_back)


watchdog = Watchdog()
"""The one of this process."""
os.register_at_fork(after_in_child=watchdog.forget)
