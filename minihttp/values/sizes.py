# SPDX-License-Identifier: MIT
"""How large a value is, by Convex's measure: what limits on arguments and results count."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from .formats import copy
from .plain import Int64, Unset
from .stored import Document, StoredDocument

_FIXED_SIZES: Final[dict[type, int]] = {type(None): 1, bool: 1, Unset: 1, int: 9, float: 9, Int64: 9}
_TO_BYTES: Final[dict[type, Callable[[Any], bytes]]] = {
    str: lambda value: value.encode("utf-8", "surrogatepass"),
    bytes: bytes,
    bytearray: bytes,
}


def size_bytes(value: Any) -> int:
    """The size of a value by Convex's measure (`crates/value`): a number 9, text and bytes their length + 2.

    Raises:
        ValidationError: for what is not a Convex value.
    """
    if value.__class__ is StoredDocument:  # what a query mostly returns
        return value.size_bytes
    try:
        return _size_of_items((value,))
    except (TypeError, KeyError, RecursionError):  # a subclass of a plain type, or no value at all
        return _size_of_items((copy(value),))


def largest_part(value: Any) -> Any:
    """The part that makes a value as large as it is: the innermost that has more than half of its size."""
    size = size_bytes(value)
    while isinstance(value, (dict, list, tuple)) and value:
        parts = value.values() if isinstance(value, dict) else value
        part = max(parts, key=size_bytes)
        if size_bytes(part) * 2 < size:
            break
        value = part
    return value


def _size_of_items(items: Iterable[Any]) -> int:
    size = 0
    for item in items:
        kind = type(item)
        fixed = _FIXED_SIZES.get(kind)
        if fixed is not None:
            size += fixed
        elif kind is str and item.isascii():
            size += 2 + len(item)
        elif kind is dict or kind is Document:
            size += 2 + len(item) + sum(map(len, item)) + _size_of_items(item.values())
        elif kind is StoredDocument:
            size += item.size_bytes
        elif kind is list or kind is tuple:
            size += 2 + _size_of_items(item)
        else:
            size += 2 + len(_TO_BYTES[kind](item))
    return size
