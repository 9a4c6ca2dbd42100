# SPDX-License-Identifier: MIT
"""Convex's formats of a value (`docs/convex.md` §7), each a table from type to the writer of a leaf.

`convex_encoded_json` for the wire and for storage, which differ in plain ints only; `json`, which cannot be
decoded; and a copy in plain types. Messages are Convex's (`values/value.ts`).
"""

from __future__ import annotations

import json
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable
from math import copysign, isfinite, isnan
from struct import Struct
from typing import Any, Final, NoReturn

from ..json_numbers import compact
from .plain import Int64, Unset, show
from .walk import Format, Problem, WireBounds, convert

MAX_EXACT_INT: Final = 2**53  # beyond it float64 has gaps, so an int would come back as another one
_LITTLE_INT64, _LITTLE_DOUBLE = Struct("<q"), Struct("<d")


def _same(value: Any) -> Any:
    return value


def _text(value: str) -> str:
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Problem(
                f"String {show(value)} holds an unpaired surrogate, which is not Unicode text",
                value,
            ) from None
    return value


def _exact_int(value: int) -> int:
    if not -MAX_EXACT_INT <= value <= MAX_EXACT_INT:
        raise Problem(
            f"Integer {show(value)} is beyond ±2^53, where a number is not exact; use Int64 (v.int64())",
            value,
        )
    return value


def _refuse_unset(value: Unset) -> NoReturn:
    raise Problem("undefined is not a valid Convex value", value)


def _base64(value: bytes | bytearray) -> str:
    return b2a_base64(value, newline=False).decode()


def _tagged_float(value: float) -> float | dict[str, str]:
    if isfinite(value) and (value or copysign(1.0, value) > 0):
        return value
    return {"$float": _base64(_LITTLE_DOUBLE.pack(value))}


def _clean_float(value: float) -> float | str:
    if isfinite(value):
        return value
    return "NaN" if isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _finite_float(value: float) -> float:
    if not isfinite(value):
        raise Problem(f"Number {value} is not finite and should be encoded as $float", value)
    return value


def _wire_float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        raise Problem(f"Number {show(value)} does not fit into a float64", value) from None


def _tagged_bytes(value: bytes | bytearray) -> dict[str, str]:
    return {"$bytes": _base64(value)}


def _tag_bytes(tag: str, text: Any, length: int | None = None) -> bytes:
    if not isinstance(text, str):
        raise Problem(f"Malformed {tag} field on {show({tag: text})}", text)
    try:
        data = a2b_base64(text)  # leniently: what it passes over is missing when it is encoded again
    except (Base64Error, ValueError):
        data = b""
    if _base64(data) != text:
        raise Problem(f"Invalid base64 string {show(text)} in {tag}", text)
    if length is not None and len(data) != length:
        raise Problem(f"Received {len(data)} bytes, expected {length} for {tag}", text)
    return data


def _untag_float(text: Any) -> float:
    value: float = _LITTLE_DOUBLE.unpack(_tag_bytes("$float", text, 8))[0]
    if _tagged_float(value) == value:
        raise Problem(f"Float {repr(value).removesuffix('.0')} should be encoded as a number", text)
    return value


def _refuse_tag(what: str) -> Callable[[Any], NoReturn]:
    def refuse(value: Any) -> NoReturn:
        raise Problem(f"Received a {what} which is no longer supported as a Convex type.", value)

    return refuse


_TAGS: Final[dict[str, Callable[[Any], Any]]] = {
    "$integer": lambda text: Int64(_LITTLE_INT64.unpack(_tag_bytes("$integer", text, 8))[0]),
    "$float": _untag_float,
    "$bytes": lambda text: _tag_bytes("$bytes", text),
    "$set": _refuse_tag("Set"),
    "$map": _refuse_tag("Map"),
}


def _exact_ints(values: list[int]) -> list[int] | None:
    return list(values) if min(values) >= -MAX_EXACT_INT and max(values) <= MAX_EXACT_INT else None


def _floats(values: list[int]) -> list[float] | None:
    try:
        return list(map(float, values))
    except OverflowError:
        return None


def _exact_floats(values: list[int]) -> list[float] | None:
    return None if _exact_ints(values) is None else list(map(float, values))


def _texts(values: list[str]) -> list[str] | None:
    text = "".join(values)
    try:
        return list(values) if text.isascii() or text.encode() else None
    except UnicodeEncodeError:
        return None


def _finite_floats(values: list[float]) -> list[float] | None:
    return list(values) if all(map(isfinite, values)) else None


def _untagged_floats(values: list[float]) -> list[float] | None:
    return None if 0.0 in values else _finite_floats(values)  # it may be -0.0


_SAME_RUNS: Final[dict[type, Callable[[list[Any]], list[Any] | None]]] = {
    type(None): list,
    bool: list,
    str: _texts,
}
COPIED: Final = Format(
    {
        **dict.fromkeys((type(None), bool, float, Int64, bytes), _same),
        int: _exact_int,
        str: _text,
        bytearray: bytes,
        Unset: _refuse_unset,
    },
    runs={**_SAME_RUNS, float: list, int: _exact_ints},
)
STORED: Final = Format(
    {
        **COPIED.leaves,
        Int64: lambda value: {"$integer": _base64(_LITTLE_INT64.pack(value))},
        float: _tagged_float,
        bytes: _tagged_bytes,
        bytearray: _tagged_bytes,
    },
    runs={**_SAME_RUNS, float: _untagged_floats, int: _exact_ints},
)
ENCODED: Final = Format(
    {**STORED.leaves, int: lambda value: float(_exact_int(value))}, runs={**STORED.runs, int: _exact_floats}
)
CLEAN: Final = Format(
    {**ENCODED.leaves, Int64: str, float: _clean_float, bytes: _base64, bytearray: _base64},
    runs={**ENCODED.runs, float: _finite_floats},
)
DECODED: Final = Format(
    {type(None): _same, bool: _same, str: _text, int: _wire_float, float: _finite_float},
    _TAGS,
    runs={**_SAME_RUNS, float: _finite_floats, int: _floats},
)


def copy(value: Any) -> Any:
    """A deep copy in plain types (tuples become lists, UNSET fields go).

    Raises:
        ValidationError: for what is not a Convex value, naming it and its path.
    """
    return convert(value, COPIED)


def encode_wire(value: Any) -> Any:
    """A value as JSON data in format `convex_encoded_json`, keys sorted, every plain number a float.

    Raises:
        ValidationError: for what is not a Convex value, naming it and its path.
    """
    return convert(value, ENCODED)


def encode_clean(value: Any) -> Any:
    """A value as JSON data in format `json` (`convex_clean_json`): int64 and bytes as text; cannot be
    decoded.

    Raises:
        ValidationError: for what is not a Convex value, naming it and its path.
    """
    return convert(value, CLEAN)


def decode(data: Any, bounds: Any = WireBounds) -> Any:
    """The value of JSON data in format `convex_encoded_json`; every plain number becomes a float.

    Args:
        bounds: as `dumps`.

    Raises:
        ValidationError: for JSON that encodes no value or is over a bound, naming it and its path.
    """
    return convert(data, DECODED, bounds)


def dumps(value: Any, bounds: Any = WireBounds) -> str:
    """A value as the JSON text of a stored document: as `encode_wire`, but compact, and an int stays an int.

    Args:
        bounds: holds `max_document_depth`, `max_document_fields` and `max_array_length` (a `Limits` does).

    Raises:
        ValidationError: for what is not a Convex value or over a bound.
    """
    return compact(convert(value, STORED, bounds))


def dumps_changed(text: str, changes: dict[str, Any], bounds: Any = WireBounds) -> str:
    """The text of a stored object with other values of some fields, without those that are UNSET.

    What is not changed is written as it was: nobody looks into it again.

    Raises:
        ValidationError: for changes that `dumps` would refuse.
    """
    fields = {name: value for name, value in _load(text)[0].items() if name not in changes}
    return compact(dict(sorted({**fields, **convert(changes, STORED, bounds)}.items())))


def loads(text: str) -> Any:
    """The value of a text that `dumps` made."""
    return _load(text)[0] if '{"$' not in text else _load_tagged(text)


_load = json.JSONDecoder().raw_decode


def untag(data: dict[str, Any]) -> Any:
    """An object as `json` has read it, or the value that it stands for: `{\"$bytes\": …}` is bytes."""
    if len(data) == 1:
        (tag,) = data
        if tag in _TAGS:
            return _TAGS[tag](data[tag])
    return data


_load_tagged = json.JSONDecoder(object_hook=untag).decode
