# SPDX-License-Identifier: MIT
"""The values that Python has no type for, and how any object is shown in a message."""

from __future__ import annotations

import json
from typing import Any, Final

from ..errors import ValidationError
from ..shown import one_line

_MAX_SHOWN_CHARACTERS: Final = 240
_in_pieces = json.JSONEncoder(default=repr, ensure_ascii=False).iterencode


class Int64(int):
    """A 64-bit signed integer: what `v.int64()` stores and `$integer` decodes to. A plain int is a float64.

    Raises:
        ValidationError: outside -2^63 … 2^63-1.
    """

    def __new__(cls, value: Any = 0) -> Int64:
        number = super().__new__(cls, value)
        if not -(2**63) <= number < 2**63:
            message = f"BigInt {show(int(number))} does not fit into a 64-bit signed integer."
            raise ValidationError(message).refusing(int(number))
        return number

    __str__ = int.__repr__

    def __repr__(self) -> str:
        return f"Int64({self})"


class Unset:
    """The type of `UNSET`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "UNSET"

    def __reduce__(self) -> str:
        return "UNSET"

    def __bool__(self) -> bool:
        return False


UNSET: Final = Unset()
"""JavaScript's `undefined`: a field that is not there. Fields set to it are dropped; `patch` removes them."""


def show(value: object) -> str:
    """A value as one short line for a message; never raises, whatever the value."""
    if isinstance(value, Int64):  # 1 would look like a float64
        return repr(value)
    try:
        text = ""
        for piece in _in_pieces(value[: _MAX_SHOWN_CHARACTERS + 1] if isinstance(value, str) else value):
            text += piece
            if len(text) > _MAX_SHOWN_CHARACTERS:
                break
    except (ValueError, TypeError, RecursionError):  # circular, 4,300 digits, odd keys, too deep
        text = f"a {type(value).__name__}"
    if len(text) > _MAX_SHOWN_CHARACTERS:
        text = text[:_MAX_SHOWN_CHARACTERS] + "…"
    return one_line(text)
