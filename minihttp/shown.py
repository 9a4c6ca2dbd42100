# SPDX-License-Identifier: MIT
"""How a stranger's text is shown in a message, a log line or on a terminal: short, on one line, and as text.

Nothing that a terminal would act on, that turns a line around or that cannot be encoded gets through.
"""

from __future__ import annotations

import re

# C0 but tab and line feed, DEL, C1, separators of lines, what turns a text around, unpaired surrogates.
_UNSAFE = "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
_MAX_CHARACTERS = 100


def safe(text: str) -> str:
    r"""Lines of text, with what a terminal would act on spelled as `\x1b` or `\u202e`."""
    return re.sub(f"[{_UNSAFE}]", _spelled, text)


def one_line(text: str) -> str:
    """As `safe`, with tabs and line ends spelled too."""
    return text if text.isascii() and text.isprintable() else re.sub(f"[\t\n{_UNSAFE}]", _spelled, text)


def quoted(value: object, most: int = _MAX_CHARACTERS) -> str:
    """A value that a stranger sent, in quotes if it is text, and at most so many characters of it."""
    if isinstance(value, (str, bytes)):
        return one_line(repr(value[:most])) + ("…" if len(value) > most else "")
    text = repr(value)
    return one_line(text[:most]) + ("…" if len(text) > most else "")


def name_shown(name: str, most: int = _MAX_CHARACTERS) -> str:
    """A name that a stranger sent, without quotes, and at most so many characters of it."""
    return one_line(name[:most]) + ("…" if len(name) > most else "")


def _spelled(found: re.Match[str]) -> str:
    return ascii(found[0])[1:-1]
