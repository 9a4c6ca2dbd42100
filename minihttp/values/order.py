# SPDX-License-Identifier: MIT
"""The total order of Convex values, as bytes that sort like them (`docs/convex.md` §4).

The tags and the escape are those of `crates/value/src/sorting.rs`. Knows no indexes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from struct import Struct
from typing import Any, Final

from .plain import Int64, Unset

_BIG_DOUBLE = Struct(">d")


def compare(a: Any, b: Any) -> int:
    """-1, 0 or 1: the total order of Convex values across types, UNSET first (`docs/convex.md` §4)."""
    left, right = index_key((a,)), index_key((b,))
    return (left > right) - (left < right)


def index_key(values: Iterable[Any]) -> bytes:
    """Bytes that sort as the sequences of values do.

    A tag below 0xFF opens each value and 0x00 ends what has no fixed length (0x00 inside is 0x00 0xFF), so
    `key + b"\\xff"` is above every key that begins with the same values and below every greater one.

    Args:
        values: values as `copy` or `loads` return them, or UNSET.
    """
    return b"".join([_KEYS[type(value)](value) for value in values])


def _float_key(value: float) -> bytes:
    raw = _BIG_DOUBLE.pack(value)
    if raw[0] & 0x80:  # negative: all bits flipped, so that the greater magnitude comes first
        return b"\x0d" + (int.from_bytes(raw, "big") ^ 0xFFFF_FFFF_FFFF_FFFF).to_bytes(8, "big")
    return b"\x0d" + (raw[0] | 0x80).to_bytes(1, "big") + raw[1:]


def _text_key(value: str) -> bytes:
    return b"\x10" + value.encode().replace(b"\0", b"\0\xff") + b"\0"


def _object_key(value: dict[str, Any]) -> bytes:
    return b"\x15" + b"".join([_text_key(name) + index_key((value[name],)) for name in sorted(value)]) + b"\0"


_KEYS: Final[dict[type, Callable[[Any], bytes]]] = {
    Unset: lambda value: b"\x01",
    type(None): lambda value: b"\x03",
    Int64: lambda value: b"\x08" + (value + 2**63).to_bytes(8, "big"),
    int: _float_key,
    float: _float_key,
    bool: lambda value: b"\x0f" if value else b"\x0e",
    str: _text_key,
    bytes: lambda value: b"\x11" + value.replace(b"\0", b"\0\xff") + b"\0",
    list: lambda value: b"\x12" + index_key(value) + b"\0",
    dict: _object_key,
}
