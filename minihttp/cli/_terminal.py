# SPDX-License-Identifier: MIT
"""What goes to a terminal: no text of a stranger may move its cursor, hide a line or set its title.

One stream for all verbs: what they print goes through it wherever standard output is a terminal. Pipes and
files get every byte as it is.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# C0 but tab and line feed, DEL, C1, separators of lines, and what turns the direction of a text.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def safe(text: str) -> str:
    r"""Text as a terminal may be given it: what it would act on is spelled as `\x1b` or `\u202e`."""
    return _UNSAFE.sub(lambda found: ascii(found[0])[1:-1], text)


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
