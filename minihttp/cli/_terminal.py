# SPDX-License-Identifier: MIT
"""What goes to a terminal: no text of a stranger may move its cursor, hide a line or set its title.

One stream for all verbs: what they print goes through it wherever standard output is a terminal. Pipes and
files get every byte as it is.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..shown import safe

__all__ = ["columns", "open_streams", "safe", "safe_output"]


def open_streams() -> None:
    """Open the null device for each standard stream that the shell closed (`2>&-`): Python sets it to None.

    Its descriptor is taken too: else the next file that is opened, a database for instance, is number 2.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115  (it stays open)


def columns() -> int:
    """The width of the terminal, or 80: what `shutil` says, which brings half a MB of compressors."""
    said = os.environ.get("COLUMNS", "")
    if said.isdecimal() and int(said):
        return int(said)
    try:
        return os.get_terminal_size(sys.__stdout__.fileno()).columns or 80  # type: ignore[union-attr]
    except (AttributeError, ValueError, OSError):  # closed, or no terminal
        return 80


class _SafeStream:
    """A text stream to a terminal."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(safe(text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def safe_output() -> Iterator[None]:
    """While it lasts, what is printed is safe for the terminal that standard output may be."""
    stream = sys.stdout
    if stream.isatty():
        sys.stdout = _SafeStream(stream)
    try:
        yield
    finally:
        sys.stdout = stream
