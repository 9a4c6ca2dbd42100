# SPDX-License-Identifier: MIT
"""Documents as data: which Python values are Convex values, how they are written, and how they are ordered.

One walk over a value serves every format; a format is a table from type to the writer of a leaf. Index keys
are bytes that sort as the values do, so `compare` is a comparison of keys. Sources: Convex's
`values/value.ts` for the formats and its messages, `crates/value/src/sorting.rs` for the order. Knows no
schema, no tables and no database.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Iterable, Mapping
from math import copysign, isfinite, isnan
from struct import Struct
from typing import Any, Final, NoReturn

from .errors import ValidationError

MAX_EXACT_INT: Final = 2**53  # beyond it float64 has gaps, so an int would come back as another one
MAX_FIELD_NAME_LENGTH: Final = 1_024
_MAX_SHOWN_CHARACTERS: Final = 240


class Int64(int):
    """A 64-bit signed integer: what `v.int64()` stores and `$integer` decodes to. A plain int is a float64.

    Raises:
        ValidationError: outside -2^63 … 2^63-1.
    """

    def __new__(cls, value: Any = 0) -> Int64:
        number = super().__new__(cls, value)
        if not -(2**63) <= number < 2**63:
            raise ValidationError(f"BigInt {show(int(number))} does not fit into a 64-bit signed integer.")
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
    try:
        text = json.dumps(value, default=repr, ensure_ascii=False)
    except (ValueError, TypeError, RecursionError):  # circular, 4,300 digits, odd keys, too deep
        text = f"a {type(value).__name__}"
    if len(text) > _MAX_SHOWN_CHARACTERS:
        text = text[:_MAX_SHOWN_CHARACTERS] + "…"
    return text.encode("utf-8", "backslashreplace").decode()


# ---------------------------------------------------------------- the walk


class _Problem(ValidationError):
    """What is wrong, and the path to it, collected from the inside out."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.path: list[str] = []


class _WireBounds:
    """The bounds of values that are not documents: only the depth, so that a circle or a JSON bomb ends."""

    max_document_depth = 64
    max_document_fields = max_array_length = 2**63


Leaves = Mapping[type, Callable[[Any], Any]]


def _walk(value: Any, leaves: Leaves, bounds: Any, depth: int = 1) -> Any:
    leaf = leaves.get(type(value))
    if leaf is not None:
        return leaf(value)
    if isinstance(value, (dict, list, tuple)):
        if depth > bounds.max_document_depth:
            raise _Problem(f"Value is nested too deeply (maximum nesting {bounds.max_document_depth})")
        if isinstance(value, dict):
            return _walk_object(value, leaves, bounds, depth)
        return _walk_array(value, leaves, bounds, depth)
    for base, exact in _EXACT.items():  # an IntEnum, a str subclass, a float of some library
        if isinstance(value, base):
            return leaves[base](exact(value))
    raise _Problem(f"{type(value).__name__} {show(repr(value))} is not a supported Convex type.")


def _walk_object(value: dict[Any, Any], leaves: Leaves, bounds: Any, depth: int) -> Any:
    if leaves is _DECODED and len(value) == 1:
        (tag,) = value
        if tag in _TAGS:
            return _TAGS[tag](value[tag])
    out = {}
    name: Any = ""
    try:
        for name, item in value.items():
            if item is not UNSET:
                if type(name) is not str or not _is_plain_name(name):
                    _check_field_name(name)
                leaf = leaves.get(type(item))
                out[name] = leaf(item) if leaf is not None else _walk(item, leaves, bounds, depth + 1)
    except _Problem as problem:
        problem.path.append(f".{name}")
        raise
    if len(out) > bounds.max_document_fields:
        raise _Problem(
            f"Object has too many fields ({len(out)} > maximum number {bounds.max_document_fields})"
        )
    return {name: out[name] for name in sorted(out)}


def _walk_array(value: list[Any] | tuple[Any, ...], leaves: Leaves, bounds: Any, depth: int) -> list[Any]:
    if len(value) > bounds.max_array_length:
        raise _Problem(f"Array length is too long ({len(value)} > maximum length {bounds.max_array_length})")
    out: list[Any] = []
    try:
        for item in value:
            out.append(_walk(item, leaves, bounds, depth + 1))
    except _Problem as problem:
        problem.path.append(f"[{len(out)}]")
        raise
    return out


_is_plain_name = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}", re.ASCII).fullmatch


def _check_field_name(name: Any) -> None:
    if not isinstance(name, str):
        raise _Problem(f"Field name {show(name)} is not a string")
    if name[:1] == "$":
        raise _Problem(f"Field name {name} starts with a '$', which is reserved.")
    if len(name) > MAX_FIELD_NAME_LENGTH:
        raise _Problem(f"Field name {name} exceeds maximum field name length {MAX_FIELD_NAME_LENGTH}.")
    for character in name:
        if not " " <= character <= "~":
            raise _Problem(
                f"Field name {name} has invalid character '{character}': "
                "Field names can only contain non-control ASCII characters"
            )


def _convert(value: Any, leaves: Leaves, bounds: Any = _WireBounds) -> Any:
    try:
        return _walk(value, leaves, bounds)
    except _Problem as problem:
        path = "".join(reversed(problem.path))
        text = f"{problem} (present at path {path})" if path else str(problem)
        raise ValidationError(text.encode("utf-8", "backslashreplace").decode()) from None


# ---------------------------------------------------------------- leaves

_EXACT: Final[dict[type, Callable[[Any], Any]]] = {
    Int64: Int64,
    int: int,
    float: float,
    str: str.__str__,
    bytes: bytes,
}
_FIXED_SIZES: Final[dict[type, int]] = {type(None): 1, bool: 1, Unset: 1, int: 9, float: 9, Int64: 9}
_TO_BYTES: Final[dict[type, Callable[[Any], bytes]]] = {
    str: lambda value: value.encode("utf-8", "surrogatepass"),
    bytes: bytes,
    bytearray: bytes,
}
_LITTLE_INT64, _LITTLE_DOUBLE, _BIG_DOUBLE = Struct("<q"), Struct("<d"), Struct(">d")


def _same(value: Any) -> Any:
    return value


def _text(value: str) -> str:
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise _Problem(
                f"String {show(value)} holds an unpaired surrogate, which is not Unicode text"
            ) from None
    return value


def _exact_int(value: int) -> int:
    if not -MAX_EXACT_INT <= value <= MAX_EXACT_INT:
        raise _Problem(
            f"Integer {show(value)} is beyond ±2^53, where a number is not exact; use Int64 (v.int64())"
        )
    return value


def _refuse_unset(value: Unset) -> NoReturn:
    raise _Problem("undefined is not a valid Convex value")


def _base64(value: bytes | bytearray) -> str:
    return b64encode(value).decode()


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
        raise _Problem(f"Number {value} is not finite and should be encoded as $float")
    return value


def _wire_float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        raise _Problem(f"Number {show(value)} does not fit into a float64") from None


def _tagged_bytes(value: bytes | bytearray) -> dict[str, str]:
    return {"$bytes": _base64(value)}


def _tag_bytes(tag: str, text: Any, length: int | None = None) -> bytes:
    if not isinstance(text, str):
        raise _Problem(f"Malformed {tag} field on {show({tag: text})}")
    try:
        data = b64decode(text, validate=True)
    except (Base64Error, ValueError):
        data = b""
    if _base64(data) != text:
        raise _Problem(f"Invalid base64 string {show(text)} in {tag}")
    if length is not None and len(data) != length:
        raise _Problem(f"Received {len(data)} bytes, expected {length} for {tag}")
    return data


def _untag_float(text: Any) -> float:
    value: float = _LITTLE_DOUBLE.unpack(_tag_bytes("$float", text, 8))[0]
    if _tagged_float(value) == value:
        raise _Problem(f"Float {repr(value).removesuffix('.0')} should be encoded as a number")
    return value


def _refuse_tag(what: str) -> Callable[[Any], NoReturn]:
    def refuse(value: Any) -> NoReturn:
        raise _Problem(f"Received a {what} which is no longer supported as a Convex type.")

    return refuse


_TAGS: Final[dict[str, Callable[[Any], Any]]] = {
    "$integer": lambda text: Int64(_LITTLE_INT64.unpack(_tag_bytes("$integer", text, 8))[0]),
    "$float": _untag_float,
    "$bytes": lambda text: _tag_bytes("$bytes", text),
    "$set": _refuse_tag("Set"),
    "$map": _refuse_tag("Map"),
}

_COPY: Final[Leaves] = {
    type(None): _same,
    bool: _same,
    str: _text,
    Unset: _refuse_unset,
    int: _exact_int,
    Int64: _same,
    float: _same,
    bytes: _same,
    bytearray: bytes,
}
_STORED: Final[Leaves] = {
    **_COPY,
    Int64: lambda value: {"$integer": _base64(_LITTLE_INT64.pack(value))},
    float: _tagged_float,
    bytes: _tagged_bytes,
    bytearray: _tagged_bytes,
}
_ENCODED: Final[Leaves] = {**_STORED, int: lambda value: float(_exact_int(value))}
_CLEAN: Final[Leaves] = {**_ENCODED, Int64: str, float: _clean_float, bytes: _base64, bytearray: _base64}
_DECODED: Final[Leaves] = {  # the one format whose objects may be tags
    type(None): _same,
    bool: _same,
    str: _text,
    int: _wire_float,
    float: _finite_float,
}


# ---------------------------------------------------------------- public


def copy(value: Any) -> Any:
    """A deep copy in plain types (tuples become lists, UNSET fields go).

    Raises:
        ValidationError: for what is not a Convex value, naming it and its path.
    """
    return _convert(value, _COPY)


def encode_wire(value: Any) -> Any:
    """A value as JSON data in format `convex_encoded_json`, keys sorted, every plain number a float.

    Raises:
        ValidationError: for what is not a Convex value, naming it and its path.
    """
    return _convert(value, _ENCODED)


def encode_clean(value: Any) -> Any:
    """A value as JSON data in format `json` (`convex_clean_json`): int64 and bytes as text; cannot be
    decoded.

    Raises:
        ValidationError: for what is not a Convex value, naming it and its path.
    """
    return _convert(value, _CLEAN)


def decode(data: Any) -> Any:
    """The value of JSON data in format `convex_encoded_json`; every plain number becomes a float.

    Raises:
        ValidationError: for JSON that encodes no value, naming it and its path.
    """
    return _convert(data, _DECODED)


def dumps(value: Any, bounds: Any = _WireBounds) -> str:
    """A value as the JSON text of a stored document: as `encode_wire`, but compact, and an int stays an int.

    Args:
        bounds: holds `max_document_depth`, `max_document_fields` and `max_array_length` (a `Limits` does).

    Raises:
        ValidationError: for what is not a Convex value or over a bound.
    """
    return _dump(_convert(value, _STORED, bounds))


def loads(text: str) -> Any:
    """The value of a text that `dumps` made."""
    return _load(text)[0] if '{"$' not in text else _load_tagged(text)


_dump = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), allow_nan=False, check_circular=False
).encode
_load = json.JSONDecoder().raw_decode


def _untag(data: dict[str, Any]) -> Any:
    if len(data) == 1:
        (tag,) = data
        if tag in _TAGS:
            return _TAGS[tag](data[tag])
    return data


_load_tagged = json.JSONDecoder(object_hook=_untag).decode


def size_bytes(value: Any) -> int:
    """The size of a value by Convex's measure (`crates/value`): a number 9, text and bytes their length + 2.

    Raises:
        ValidationError: for what is not a Convex value.
    """
    try:
        return _size_of_items((value,))
    except (TypeError, KeyError, RecursionError):  # a subclass of a plain type, or no value at all
        return _size_of_items((copy(value),))


def _size_of_items(items: Iterable[Any]) -> int:
    size = 0
    for item in items:
        kind = type(item)
        fixed = _FIXED_SIZES.get(kind)
        if fixed is not None:
            size += fixed
        elif kind is str and item.isascii():
            size += 2 + len(item)
        elif kind is dict:
            size += 2 + len(item) + sum(map(len, item)) + _size_of_items(item.values())
        elif kind is list or kind is tuple:
            size += 2 + _size_of_items(item)
        else:
            size += 2 + len(_TO_BYTES[kind](item))
    return size


# ---------------------------------------------------------------- order


def compare(a: Any, b: Any) -> int:
    """-1, 0 or 1: the total order of Convex values across types, UNSET first (`convex.md` §4.4)."""
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
