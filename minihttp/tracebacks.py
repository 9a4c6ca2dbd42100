# SPDX-License-Identifier: MIT
"""Tracebacks for the person whose code it is: their frames first, those of libraries after.

A frame is the user's own when its file is neither part of minihttp nor of the standard library nor
installed. Shows source lines and messages, never the values of variables.
"""

from __future__ import annotations

import importlib
import os
import traceback
from traceback import FrameSummary

_HERE = os.path.dirname(os.path.abspath(__file__))
_OURS = (_HERE + os.sep, os.path.join(os.path.dirname(_HERE), "storage_backends") + os.sep)
_IMPORTING = (*_OURS, "<frozen ", os.path.dirname(os.path.abspath(importlib.__file__)) + os.sep)
_STANDARD = os.path.dirname(os.path.abspath(os.__file__)) + os.sep
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
    return [frame for frame in traceback.extract_tb(error.__traceback__) if is_users(frame.filename)]


def describe(error: BaseException, *, libraries: bool = True) -> str:
    """`error` and what caused it, as text: the message, the user's frames, then those of libraries.

    Args:
        error: an exception that was raised.
        libraries: whether the frames of libraries are shown where there are frames of the user, and those of
            the import machinery where there are none.
    """
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
    lines = traceback.format_exception_only(type(error), error)
    if isinstance(error, SyntaxError) and error.filename:
        lines = [f"{os.path.relpath(error.filename)}:{error.lineno}: {lines[-1]}", *lines[1:-1]]
    return "".join(lines).rstrip()
