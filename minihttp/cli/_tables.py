# SPDX-License-Identifier: MIT
"""Rows as a table that fits its terminal: long cells are cut, a sentence at the end is wrapped.

Where that is not enough each row becomes a block of lines. A pipe or a file gets every cell whole.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any
from unicodedata import combining, east_asian_width

from . import plain

_GAP = "  "
_LEAST_COLUMNS = 12  # to which a cell may be cut
_WHOLE = ("id", "_id")  # what somebody copies into the next command
_SENTENCES = ("detail", "problem")  # as the last column; at least so wide:
_SENTENCE_COLUMNS = 30


def table(rows: list[dict[str, Any]], columns: int | None) -> Iterator[str]:
    """The lines of a table; at least one row.

    Args:
        rows: of equal keys.
        columns: how wide the terminal is, or None for as wide as it comes.
    """
    names = list(rows[0])
    cells = [[_cell(row[name]) for name in names] for row in rows]
    widths = [max(map(_width, column)) for column in zip(names, *cells, strict=True)]
    if columns is not None and _narrow(names, widths, columns) > columns:
        yield from _blocks(names, cells)
        return
    for line in (names, *cells):
        *first, (text, width) = zip(line, widths, strict=True)
        start = "".join(_fitted(*cell) + _GAP for cell in first)
        if names[-1] in _SENTENCES:
            wrapped = textwrap.wrap(text, width, break_on_hyphens=False)
            yield start + f"\n{' ' * _width(start)}".join(wrapped)
        else:
            yield (start + _fitted(text, width)).rstrip()


def _narrow(names: list[str], widths: list[int], columns: int) -> int:
    """Take from the widest columns what is too much, as far as may be; returns how wide it all is then."""
    least = {n: max(_LEAST_COLUMNS, _width(name)) for n, name in enumerate(names) if name not in _WHOLE}
    if names[-1] in _SENTENCES:
        least[len(names) - 1] = _SENTENCE_COLUMNS
    width = sum(widths) + len(_GAP) * (len(widths) - 1)
    while width > columns:
        loose = [number for number, few in least.items() if widths[number] > few]
        if not loose:
            break
        widths[max(loose, key=widths.__getitem__)] -= 1
        width -= 1
    return width


def _blocks(names: list[str], cells: list[list[str]]) -> Iterator[str]:
    """Each row as lines `name: value`, with an empty line between rows."""
    label = max(map(_width, names)) + 1
    for number, row in enumerate(cells):
        if number:
            yield ""
        for name, text in zip(names, row, strict=True):
            yield f"{name + ':':<{label}} {text}"


def _fitted(text: str, columns: int) -> str:
    """A text in exactly so many columns."""
    if _width(text) > columns:
        while _width(text) > columns - 1:
            text = text[:-1]
        text += "…"
    return text + " " * (columns - _width(text))


def _width(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def _cell(value: Any) -> str:
    return "-" if value in (None, "") else plain(str(value))
