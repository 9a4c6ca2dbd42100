# SPDX-License-Identifier: MIT
"""How a real Convex snapshot writes values and ids (`crates/value`, `crates/shape_inference` of its source).

A table's `generated_schema.jsonl` says which encoding its documents have: `"uniform"` (an int64 is a whole
number, a float64 has a point), or the table's shape, with which the older, ambiguous JSON is read: there an
int64 and bytes are strings. Without that file values are `convex_encoded_json`. Knows no archives.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Callable, Iterable
from struct import unpack
from typing import Any, Final

from ..errors import SnapshotError
from ..values import Int64, loads, untag

Document = dict[str, Any]
Shape = list[tuple[str, Any]]
"""The variants of a union: (kind, what is inside)."""

# ---------------------------------------------------------------- ids

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base32, in lower case
_VALUES: Final = {character: value for value, character in enumerate(_ALPHABET)}
_LENGTHS: Final = range(31, 38)  # 1 to 5 bytes of table number, 16 of the id, 2 of checksum
_INTERNAL_BYTES: Final = 16


def read_id(text: object) -> tuple[int, bytes] | None:
    """The table number and the 16 bytes of a Convex document id, or None for any other text."""
    if not isinstance(text, str) or len(text) not in _LENGTHS or not _VALUES.keys() >= set(text):
        return None
    number = 0
    for character in text:
        number = number << 5 | _VALUES[character]
    size = len(text) * 5 // 8
    data = (number >> len(text) * 5 - size * 8).to_bytes(size, "big")
    body, checksum = data[:-2], data[-2:]
    table_bytes, internal = body[:-_INTERNAL_BYTES], body[-_INTERNAL_BYTES:]
    if _fletcher16(body) != checksum or write_id(_read_varint(table_bytes), internal) != text:
        return None
    return _read_varint(table_bytes), internal


def write_id(table_number: int, internal: bytes) -> str:
    """The Convex document id of a table number and 16 bytes."""
    body = _varint(table_number) + internal
    data = body + _fletcher16(body)
    length = (len(data) * 8 + 4) // 5
    number = int.from_bytes(data, "big") << length * 5 - len(data) * 8
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(length * 5 - 5, -1, -5))


def _varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; every byte but the last has its highest bit set."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _read_varint(data: bytes) -> int:
    return sum((byte & 0x7F) << 7 * place for place, byte in enumerate(data))


def _fletcher16(data: bytes) -> bytes:
    """Fletcher's checksum with modulus 256 (RFC 1145, appendix I)."""
    low = high = 0
    for byte in data:
        low = (low + byte) & 255
        high = (high + low) & 255
    return bytes((low, high))


# ---------------------------------------------------------------- values


def decoder(schema_lines: Iterable[bytes] | None) -> Callable[[bytes], Any]:
    """What reads a line of `documents.jsonl` of one table.

    Args:
        schema_lines: those of the table's `generated_schema.jsonl`, or None where there is none.

    Raises:
        SnapshotError: the shape cannot be read.
    """
    lines = iter(schema_lines or ())
    first = json.loads(next(lines, b"null"))
    if first is None:
        return lambda line: loads(line.decode())
    if first == "uniform":
        return lambda line: _uniform(line.decode())
    shape = read_shape(first)
    contexts: dict[str, Any] = {}
    for line in lines:
        contexts.update(json.loads(line))

    def read(line: bytes) -> Any:
        value = json.loads(line)
        id = value.get("_id") if isinstance(value, dict) else None
        return _apply(value, contexts.get(str(id), "infer"), shape)

    return read


_uniform = json.JSONDecoder(object_hook=untag, parse_int=Int64).decode

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|<|>|\{|\}|\?|: |, | \| |[^\s"<>{}?:,|]+')
_TEXT_KINDS: Final[dict[str, tuple[str, ...]]] = {  # what a string in JSON can stand for, by the shape
    "int64": ("int64",),
    "inf": ("float64inf",),
    "-inf": ("float64inf",),
    "NaN": ("NaN", "float64inf"),
    "float64": ("NaN", "float64inf"),
    "bytes": ("bytes",),
    "unknown": ("infer", "int64"),  # anything: two of them are enough to be ambiguous
    **dict.fromkeys(("string", "id", "field_name", "literal"), ("infer",)),
}


def read_shape(text: Any) -> Shape:
    """The shape that a text such as `{"n": int64 | null, "t"?: array<string>}` describes.

    Raises:
        SnapshotError: for any other text.
    """
    try:
        tokens = _TOKEN.findall(text)
        if "".join(tokens) != text:
            raise ValueError
        tokens.reverse()
        shape = _read_union(tokens)
        if tokens:
            raise ValueError
    except (ValueError, IndexError, TypeError):
        raise SnapshotError(
            f"generated_schema.jsonl has a shape that cannot be read: {text!r:.200}"
        ) from None
    return shape


def _read_union(tokens: list[str]) -> Shape:
    """Take one shape off the end of `tokens`, which are in reverse."""
    shape = [_read_variant(tokens)]
    while tokens and tokens[-1] == " | ":
        tokens.pop()
        shape.append(_read_variant(tokens))
    return shape


def _read_variant(tokens: list[str]) -> tuple[str, Any]:
    word = tokens.pop()
    if word == "{":
        return "object", _read_fields(tokens)
    if word.startswith('"'):
        return "literal", None
    if not tokens or tokens[-1] != "<":
        return word, None
    tokens.pop()
    inside: Any = tokens.pop() if word == "id" else _read_union(tokens)
    while (mark := tokens.pop()) == ", ":
        inside = _read_union(tokens)  # of a record the values come last
    if mark != ">":
        raise ValueError(mark)
    return word, inside


def _read_fields(tokens: list[str]) -> dict[str, Shape]:
    fields: dict[str, Shape] = {}
    while (word := tokens.pop()) != "}":
        name = json.loads(tokens.pop() if word == ", " else word)
        if tokens[-1] == "?":
            tokens.pop()
        if tokens.pop() != ": ":
            raise ValueError(name)
        fields[name] = _read_union(tokens)
    return fields


def _apply(value: Any, context: Any, shape: Shape) -> Any:
    """A value of the older JSON, by what its document's context says, else by the shape."""
    if isinstance(value, str):
        kinds = {kind for variant, _ in shape for kind in _TEXT_KINDS.get(variant, ())}
        if context == "infer" and len(kinds) == 1:
            (context,) = kinds
        return _from_text(value, context)
    if isinstance(value, list):
        element = [inner for kind, inside in shape if kind == "array" for inner in inside]
        each = context if isinstance(context, list) else ["infer"] * len(value)
        return [_apply(item, how, element or _rest(shape)) for item, how in zip(value, each, strict=True)]
    if isinstance(value, dict):
        hints = context if isinstance(context, dict) else {}
        return {n: _apply(item, hints.get(n, "infer"), _field(shape, n)) for n, item in value.items()}
    return value


def _field(shape: Shape, name: str) -> Shape:
    found = [inner for kind, fields in shape if kind == "object" for inner in fields.get(name, ())]
    return found + [inner for kind, inside in shape if kind == "record" for inner in inside] + _rest(shape)


def _rest(shape: Shape) -> Shape:
    return [variant for variant in shape if variant[0] == "unknown"]


def _from_text(text: str, context: Any) -> Any:
    if isinstance(context, dict):
        [number] = unpack("<d", b64decode(context["$float64NaN"]))
        return number
    if context == "int64":
        return Int64(int(text))
    if context == "float64inf":
        return float(text)
    return b64decode(text, validate=True) if context == "bytes" else text
