# SPDX-License-Identifier: MIT
"""Tracebacks for the person whose code it is: their frames first, those of libraries after.

A frame is the user's own when its file is neither part of minihttp nor of the standard library nor
installed. Shows source lines and messages, never the values of variables.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeGuard

from .errors import MinihttpError

if TYPE_CHECKING:
    from logging import Logger
    from traceback import FrameSummary

_HERE = os.path.dirname(os.path.abspath(__file__))
_OURS = (_HERE + os.sep, os.path.join(os.path.dirname(_HERE), "storage_backends") + os.sep)
_STANDARD = os.path.dirname(os.path.abspath(os.__file__)) + os.sep
_IMPORTING = (*_OURS, "<frozen ", f"{_STANDARD}importlib{os.sep}")
_MAX_CAUSES = 5


def is_users(filename: str) -> bool:
    """Whether `filename` is the user's own code."""
    return not (
        filename.startswith((*_OURS, _STANDARD, "<frozen "))
        or f"{os.sep}site-packages{os.sep}" in filename
        or f"{os.sep}dist-packages{os.sep}" in filename
    )


def users_frames(error: BaseException) -> list[FrameSummary]:
    """The frames of the user's own code that `error` went through, outermost first."""
    import traceback  # 2 ms, for what goes wrong only

    return [frame for frame in traceback.extract_tb(error.__traceback__) if is_users(frame.filename)]


def is_on_purpose(error: BaseException) -> TypeGuard[MinihttpError]:
    """Whether the user's own code raised one of the errors that are a caller's, to say so to the caller."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    is_4xx = isinstance(error, MinihttpError) and 400 <= error.status < 500
    return is_4xx and last is not None and is_users(last.tb_frame.f_code.co_filename)


def shown_frames(error: BaseException) -> list[str]:
    """The frames of the user's own code, the innermost first, each as `function (file:line)`."""
    return [f"{f.name} ({os.path.basename(f.filename)}:{f.lineno})" for f in reversed(users_frames(error))]


def error_text(error: BaseException) -> str:
    """The type and the message of an error, whatever its `__str__` does."""
    try:
        message = str(error)
    except Exception:
        message = "(its message cannot be shown)"
    name = type(error).__name__
    return message if message.startswith(f"{name}:") else f"{name}: {message}" if message else name


def describe(error: BaseException, *, libraries: bool = True) -> str:
    """`error` and what caused it, as text: the message, the user's frames, then those of libraries.

    Args:
        error: an exception that was raised.
        libraries: whether the frames of libraries are shown where there are frames of the user, and those of
            the import machinery where there are none.
    """
    import traceback

    parts: list[str] = []
    cause: BaseException | None = error
    for _ in range(_MAX_CAUSES):
        if cause is None:
            break
        frames = traceback.extract_tb(cause.__traceback__)
        own = [frame for frame in frames if is_users(frame.filename)]
        others = [frame for frame in frames if not is_users(frame.filename)]
        if not libraries:
            enough = own or isinstance(cause, SyntaxError)
            others = [f for f in others if not (enough or f.filename.startswith(_IMPORTING))]
        parts.append(("caused by " if parts else "") + _message(cause))
        parts += [line.rstrip() for line in traceback.format_list(own)]
        if others:
            parts += ["  through:", *(line.rstrip() for line in traceback.format_list(others))]
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return "\n".join(parts)


def _message(error: BaseException) -> str:
    """Its type and message; of a syntax error, three lines: place and message, the source, a caret."""
    import traceback

    lines = traceback.format_exception_only(type(error), error)
    if isinstance(error, SyntaxError) and error.filename:
        lines = [f"{os.path.relpath(error.filename)}:{error.lineno}: {lines[-1]}", *lines[1:-1]]
    return "".join(lines).rstrip()


class RepeatFilter:
    """Lets the same traceback through once a second, and counts the others: a broken route that is called a
    thousand times a second must not fill the disk.

    Args:
        call_later: called with a number of seconds and a function, which it calls when they have passed.

    Attributes:
        are_shown: whether callers get to see them: where an app is developed.
    """

    are_shown = False
    is_on_purpose = staticmethod(is_on_purpose)
    text = staticmethod(error_text)
    frames = staticmethod(shown_frames)

    def __init__(self, call_later: Callable[[float, Callable[[], None]], object] | None = None) -> None:
        self._call_later = call_later or _call_later
        self._left_out: dict[object, int] = {}
        self._lock = threading.Lock()

    def log(self, logger: Logger, error: BaseException, message: str, *args: object) -> None:
        """Log an error with its traceback, unless one of the same type from the same lines just was.

        How many were left out is said in a line of its own when the second is over. Where none of the lines
        is the user's (what a handler returned is no response), method and route, which come first, count too.
        """
        import traceback

        frames = [(frame.f_code, line) for frame, line in traceback.walk_tb(error.__traceback__)]
        is_own = any(is_users(code.co_filename) for code, _ in frames)
        lines = (*frames, *(() if is_own else args[:2]))
        more = f"{message}: %d more of the same within %g s"
        self.once(
            (type(error), lines),
            lambda: logger.error(message, *args, exc_info=error),
            lambda count, seconds: logger.error(more, *args, count, seconds),
        )

    def once(
        self, key: object, log_it: Callable[[], object], log_more: Callable[[int, float], object]
    ) -> None:
        """Log something, unless something with an equal `key` just was.

        Args:
            log_more: logs how many were left out within how many seconds, when these are over.
        """
        with self._lock:
            is_first = key not in self._left_out
            self._left_out[key] = 0 if is_first else self._left_out[key] + 1
        if is_first:
            log_it()
            self._call_later(_REPEAT_SECONDS, lambda: self._end(key, log_more))

    def _end(self, key: object, log_more: Callable[[int, float], object]) -> None:
        with self._lock:
            count = self._left_out.pop(key, 0)
        if count:
            log_more(count, _REPEAT_SECONDS)


def _call_later(seconds: float, call: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, call)
    timer.daemon = True
    timer.start()


_REPEAT_SECONDS = 1.0
