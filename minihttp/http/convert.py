# SPDX-License-Identifier: MIT
"""A text that a stranger sent becomes a number, a truth value or whatever a handler asks for, or a 400.

Used for the query, for path parameters and for form fields alike, so that all three say the same of a wrong
value: its name, the value and the rule.
"""

from __future__ import annotations

import builtins
import re
from collections.abc import Callable
from typing import Any, TypeVar

from ..errors import HTTPError

T = TypeVar("T")

_MAX_DIGITS = 100  # no number that a request means is longer, and int() takes quadratic time
_INTEGER = r"[+-]?[0-9]+"
_DECIMAL = r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?"
_TRUTH = {"true": True, "1": True, "false": False, "0": False}


def convert(
    what: str, name: str, value: Any, type: Callable[[str], T], min: Any = None, max: Any = None
) -> T:
    """The value of a parameter.

    Args:
        what: what it is, for the message, such as "query parameter".
        value: as it was sent; a file part of a form is refused, but for the type `FilePart`.
        type: `int`, `float`, `bool` ("true", "false", "1", "0"), `str`, or any function that raises
            ValueError for a text that it does not take, such as `uuid.UUID` or an Enum.
        min, max: the least and the greatest value; of a `str` the least and the greatest length.

    Raises:
        HTTPError: 400 with the name, the value and the rule.
    """
    try:
        if isinstance(value, str) is is_file(type):
            raise ValueError("a text for a file, or a file for a text")
        if not isinstance(value, str):
            return value  # type: ignore[no-any-return]
        converted = _READ.get(type, type)(value)
        size = len(converted) if isinstance(converted, str) else converted
        if (min is None or size >= min) and (max is None or size <= max):
            return converted  # type: ignore[no-any-return]
    except ValueError:
        pass
    shown = repr(value[:100]) if isinstance(value, str) else "a file"
    raise HTTPError(400, f"The {what} {name!r:.100} must be {rule_of(type, min, max)}, not {shown}")


def _int(text: str) -> int:
    if len(text) > _MAX_DIGITS or not re.fullmatch(_INTEGER, text):
        raise ValueError(text)
    return int(text)


def _float(text: str) -> float:
    if len(text) > _MAX_DIGITS or not re.fullmatch(_DECIMAL, text) or abs(float(text)) == float("inf"):
        raise ValueError(text)
    return float(text)


def number(text: str) -> float:
    """An int where the text is one, else a float; ValueError for what is no number."""
    return _int(text) if re.fullmatch(_INTEGER, text) else _float(text)


def _bool(text: str) -> bool:
    if text not in _TRUTH:
        raise ValueError(text)
    return _TRUTH[text]


def is_file(type: Any) -> bool:
    """Whether a type is that of the file parts of a form, `FilePart`."""
    return getattr(type, "is_file_part", False)


_READ: dict[Any, Callable[[str], Any]] = {int: _int, float: _float, bool: _bool}
_NAMES: dict[Any, str] = {int: "an integer", float: "a number", bool: "true or false", str: "a text"}
_NAMES[number] = "a number"


def rule_of(type: Any, min: Any, max: Any) -> str:
    members = ", ".join(str(member.value) for member in getattr(type, "__members__", {}).values())
    rule = "a file" if is_file(type) else members and f"one of {members}"
    of = type if isinstance(type, builtins.type) else getattr(type, "__self__", type)  # date.fromisoformat
    rule = rule or _NAMES.get(type) or f"a {getattr(of, '__name__', type)}"
    unit = " characters" if type is str else ""
    if min is not None and max is not None:
        return f"{rule} of {min} to {max}{unit}"
    if min is not None:
        return f"{rule} of {min}{unit} or more"
    return rule if max is None else f"{rule} of at most {max}{unit}"
