# SPDX-License-Identifier: MIT
"""JSON from a stranger: RFC 8259 in UTF-8 and nothing else, with every refusal a 400.

The standard library's decoder does the work; what it lets through (NaN, 1e400, lone surrogates, UTF-16) or
breaks on (depth, long numbers) is checked around it, so that ordinary documents pay almost nothing. What a
text will cost is told from its brackets and commas, before anything is made of it. The objects inside become
`InnerObject`s when one of them is first looked at, since most bodies are only handed on; of an array the
decoder makes them. Knows nothing of requests.
"""

from __future__ import annotations

import gc
import json
import re
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from ..errors import HTTPError, MissingFieldError, no_attribute
from ..json_numbers import STRICT
from ..limits import DEFAULT_LIMITS, KIB

_NAMES = {dict: "object", list: "array", str: "string", int: "integer", float: "number", bool: "boolean"}
_skip_white_space: Any = re.compile(r"[ \t\n\r]*").match
_find_surrogate = re.compile(r"\\u[dD]").search
_escaped_quote = re.compile(rb'\\["\\]')
_MANY = 64  # is one in so many bytes
_STARTS_BYTES = 160 * KIB, 480 * KIB
_MAX_DIGITS = 1_000  # int() takes quadratic time
_STEP_BYTES = 100  # of so many one is looked at, which are ten digits of a number that is too long
_find_long: Any = re.compile(rb"[0-9]{10}").search
_SHORT_BYTES = 500
_LONG_BYTES = 64 * KIB
_CONTAINERS = frozenset([dict, list])
_MANY_CONTAINERS = 1_000
_FEW_ELEMENTS = 1_000  # which every text may have, unless the limit is smaller
_FEW_NUMBERS = 500  # or few for the text: to look at each takes no longer than to look through the text
_BYTES_A_NUMBER = 100
MostValues = tuple[int, int, int]
_encode = json.JSONEncoder(ensure_ascii=False).encode


class InnerObject(dict[str, Any]):
    """A JSON object of a body: `body["name"]` is a 400 "Missing required field: name" when it is missing.

    Attributes:
        lacked: whether a field was looked up that is not there.
    """

    lacked = False

    def __missing__(self, name: str) -> Any:
        raise MissingFieldError(name)

    if not TYPE_CHECKING:  # so that type checkers find what is not there

        def __getattr__(self, name: str) -> Any:
            raise no_attribute(self, name, "" if name[:1] == "_" else f'it is a dict: write body["{name}"]')

    def get(self, name: str, default: Any = None) -> Any:
        if name in self:
            return self[name]
        self.lacked = True
        return default


class JSONObject(InnerObject):
    """The JSON object at the top of a body.

    Attributes:
        is_taken_whole: whether it was asked for all its fields, as `f(**body)` does.
        as_decoded: what is here as a plain dict, for an encoder, while the objects inside are such dicts
            too; afterwards None.
    """

    is_taken_whole = False
    as_decoded: dict[str, Any] | None = None

    def __getitem__(self, name: str) -> Any:
        value = super().__getitem__(name)
        if value.__class__ in _CONTAINERS and self.as_decoded is not None:
            _put_inner_objects(self.as_decoded, [(name, value)])
            value = self.as_decoded[name]
            super().__setitem__(name, value)
        return value

    def _open(self) -> None:
        """All that is inside is about to be handed out, or something else comes in."""
        if self.as_decoded is not None:
            self.as_decoded = None
            _put_inner_objects(self, super().items())

    def decoded(self) -> dict[str, Any]:
        """A plain dict of what is there, for an encoder: that costs less than to open it."""
        return dict(dict.items(self))

    def keys(self) -> Any:
        self.is_taken_whole = True
        return super().keys()

    def items(self) -> Any:
        self.is_taken_whole = True
        self._open()
        return super().items()

    def __iter__(self) -> Iterator[str]:  # it is what makes `**body` ask for the keys
        self.is_taken_whole = True
        return super().__iter__()


def _opening(name: str) -> Any:
    """A method of dict that opens the object before."""
    plain = getattr(dict, name)

    def method(self: JSONObject, *arguments: Any, **fields: Any) -> Any:
        self._open()
        return plain(self, *arguments, **fields)

    return method


_OPENING = "__delitem__ __ior__ __or__ __setitem__ clear copy pop popitem setdefault update values"
for _name in _OPENING.split():
    setattr(JSONObject, _name, _opening(_name))


def _put_inner_objects(container: Any, items: Iterable[tuple[Any, Any]]) -> None:
    """Make each object in a decoded container an `InnerObject`; the lists stay the same lists."""
    for place, inner in items:
        kind = inner.__class__
        if kind is dict:
            inner = container[place] = InnerObject(inner)
            if inner and not _CONTAINERS.isdisjoint(map(type, inner.values())):
                _put_inner_objects(inner, inner.items())
        elif kind is list and inner and not _CONTAINERS.isdisjoint(map(type, inner)):
            _put_inner_objects(inner, enumerate(inner))


def most_values(max_elements: int, size: int) -> MostValues:
    """How many values, how many arrays and objects among them, and how many objects a JSON text of so many
    bytes may have.

    A fifth of the limit, and more as the text grows: rows of numbers and records of short fields stay far
    below, and a text of nothing but brackets costs little more than its bytes.
    """
    base = max_elements // 5 if max_elements > 5_000 else 1_000
    containers = base // 4
    return min(base + size // 4, max_elements), containers + size // 8, containers + size // 16


_ANY_DENSITY = (DEFAULT_LIMITS.max_json_elements,) * 3


def parse_json(
    data: bytes,
    max_depth: int,
    expect: type | None = None,
    *,
    most: MostValues | int = _ANY_DENSITY,
    is_plain: bool = False,
) -> Any:
    """The value of a JSON text; a top-level object is a `JSONObject`, those inside are
    `InnerObject`.

    Args:
        data: the text in UTF-8; a byte order mark before it is ignored (RFC 8259 §8.1, and as `fetch` does).
        max_depth: how deep arrays and objects may nest.
        most: how many values there may be; as a number, how many in a text of any size, of which a shorter
            one may have fewer. The opening brackets and commas outside of strings tell it. Each value takes
            far more time and memory than its text, so they are counted before anything is parsed.
        expect: dict, list, str, int, float or bool, if the top level must be one.
        is_plain: whether all objects are to be plain dicts, for what only looks through them.

    Raises:
        HTTPError: 400 for anything else than one valid, finite JSON value of the expected type, and for a
            number of more than 1,000 digits; 413 for too many values.
    """
    if len(data) < _SHORT_BYTES:
        count, brackets = len(data), data.count(b"{") + data.count(b"[")
    else:  # which is quicker than to count where there are many
        counted = _without_long_strings(data).translate(None, _NO_COUNTED)
        count, brackets = len(counted), len(counted.translate(None, b","))
    if brackets > max_depth or count > _FEW_ELEMENTS or not isinstance(most, int) or count > most:
        if isinstance(most, int):
            most = most_values(most, len(data))
        if brackets > max_depth or count > most[0]:
            for start in _STARTS_BYTES:  # what is refused by its start need not be looked at as a whole
                if len(data) > 2 * start:
                    _check_outline(data[:start], max_depth, most)
            _check_outline(data, max_depth, most)
    try:
        text, start = data.decode("utf-8"), 0
        if text[:1] not in "{[":
            text = text.removeprefix("\ufeff")
            start = _skip_white_space(text).end()
        has_inner = not is_plain and text[start : start + 1] == "["
        scan = _scanner_for(data, count, has_inner)
        value = (
            _decode_large(text, start, scan) if brackets > _MANY_CONTAINERS else _decode(text, start, scan)
        )
        if "\\" in text and _find_surrogate(text):
            _encode(value).encode("utf-8")  # fails for a surrogate that is not one of a pair
    except json.JSONDecodeError as error:
        raise HTTPError(
            400, f"Invalid JSON: {error.msg} at line {error.lineno} column {error.colno}"
        ) from None
    except UnicodeDecodeError as error:
        raise HTTPError(400, f"Invalid JSON: byte {error.start} is not UTF-8") from None
    except UnicodeEncodeError:
        raise HTTPError(400, "Invalid JSON: an unpaired surrogate is not a character") from None
    except RecursionError:
        raise _too_deep(max_depth) from None
    except ValueError as error:  # from the hooks below
        raise HTTPError(400, f"Invalid JSON: {error}") from None
    if expect is not None:
        expect_type(value, expect)
    if isinstance(value, dict) and not is_plain:
        whole = JSONObject(value)
        whole.as_decoded = value
        return whole
    return value


def expect_type(value: Any, expect: type | None) -> Any:
    """The JSON value, if it is of the expected type; HTTPError 400 if it is of another."""
    if expect is not None and not _fits(value, expect):
        wanted = _NAMES.get(expect, expect.__name__)
        found = dict if isinstance(value, dict) else type(value)
        raise HTTPError(400, f"Expected a JSON {wanted}, not {_NAMES.get(found, 'null')}")
    return value


def _too_deep(max_depth: int) -> HTTPError:
    return HTTPError(400, f"Invalid JSON: nested deeper than {max_depth}")


# What goes of a text, so that its brackets, its commas, and the quotes around strings stay.
_NO_OUTLINE = bytes(sorted(set(range(256)) - set(b'[]{},"')))
_NO_COUNTED = _NO_OUTLINE + b'"]}'
_AS_SQUARE = bytes.maketrans(b"{}", b"[]")
_STEPS = bytes.maketrans(b"[]", b"\x01\xff")  # as signed bytes
_BLOCK_BRACKETS = 32
_COUNTED = (
    (b"]}", "elements"),
    (b",]}", "arrays and objects"),
    (b"[,]}", "objects"),
)  # by what does not count


def _check_outline(data: bytes, max_depth: int, most: MostValues) -> None:
    """Refuses a JSON text that would cost too much, before it is parsed.

    What is refused is at least as large as the text says up to its first mistake, where parsing would end.
    """
    outline = _outline(data)
    brackets = outline.translate(_AS_SQUARE, b",")
    if b"[" * (max_depth + 1) in brackets:
        raise _too_deep(max_depth)
    for limit, (others, what) in zip(most, _COUNTED, strict=True):
        if len(outline.translate(None, others)) > limit:
            raise HTTPError(413, f"The JSON has more than {limit} {what}", code="ContentTooLarge")
    if _is_deeper(brackets, max_depth):
        raise _too_deep(max_depth)


def _outline(data: bytes) -> bytes:
    """The commas and brackets of a JSON text that are not in its strings."""
    escapes = data.count(b"\\")
    if escapes > len(data) // _MANY:
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    elif escapes:  # which is the quicker where there are few
        data = _escaped_quote.sub(b"", data)
    if data.count(b'"') < len(data) // _MANY:
        return b"".join(data.split(b'"')[::2]).translate(None, _NO_OUTLINE)
    # What is between no two quotes any more is in a string still, or outside still.
    outline = data.translate(None, _NO_OUTLINE).replace(b'""', b"")
    return b"".join(outline.split(b'"')[::2]) if b'"' in outline else outline


def _without_long_strings(data: bytes) -> bytes:
    """A long text without its strings, where they are few, so that what is in them is not counted."""
    if len(data) < _LONG_BYTES or data.count(b'"', 0, 4 * KIB) > 4 * KIB // _MANY:
        return data
    few = len(data) // _MANY
    if b"\\" in data:
        if len(data.split(b"\\", few)) > few:
            return data
        data = _escaped_quote.sub(b"", data)
    pieces = data.split(b'"', few)
    return data if len(pieces) > few else b"".join(pieces[::2])


def _is_deeper(brackets: bytes, max_depth: int) -> bool:
    """Whether square brackets nest deeper than this, up to the first that closes what is not open."""
    depth = 0
    for start in range(0, len(brackets), _BLOCK_BRACKETS):
        block = brackets[start : start + _BLOCK_BRACKETS]
        opened = block.count(b"[")
        if depth + opened > max_depth:  # perhaps: then one by one
            from array import array  # rare

            depths = accumulate(array("b", block.translate(_STEPS)))
            if depth + max(depths) > max_depth:
                return True
        depth += 2 * opened - len(block)
        if depth < 0:
            return False
    return False


def _short(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise ValueError(f"a number has more than {_MAX_DIGITS} digits")
    return int(text)


@cache
def _scanner(has_inner: bool, is_long: bool, is_strict: bool) -> Any:
    hooks = dict(STRICT)
    if has_inner:
        hooks["object_hook"] = InnerObject
    if is_long:
        hooks["parse_int"] = _short
    if not is_strict:
        del hooks["parse_float"]  # the decoder's own takes a third of the time
    decoder: Any = json.JSONDecoder(**hooks)
    return decoder.scan_once


def _scanner_for(data: bytes, count: int, has_inner: bool) -> Any:
    """The quickest scanner that refuses each number of a text which is not finite, or too long."""
    if len(data) <= _MAX_DIGITS:
        return _scanner(has_inner, False, True)
    is_few = count < _FEW_NUMBERS or count * _BYTES_A_NUMBER < len(data)
    if is_few and _find_long(data[::_STEP_BYTES]) is None:
        return _scanner(has_inner, False, True)
    zeros = data.translate(_AS_ZEROS)
    has_many = _MANY_DIGITS in zeros
    is_long = has_many and _TOO_MANY_DIGITS in zeros
    return _scanner(has_inner, is_long, is_few or has_many or _has_large_exponent(zeros))


def _decode(text: str, start: int, scan: Any) -> Any:
    """The value of the text from there on."""
    try:
        value, end = scan(text, start)
    except StopIteration as stopped:
        raise json.JSONDecodeError("Expecting value", text, stopped.value) from None
    if end < len(text) and (end := _skip_white_space(text, end).end()) < len(text):
        raise json.JSONDecodeError("Extra data", text, end)
    return value


def _decode_large(text: str, start: int, scan: Any) -> Any:
    """As `_decode`, for a text with many arrays and objects.

    Nothing is garbage while they grow, and looking for garbage takes several times as long as to decode them.
    """
    if not gc.isenabled():
        return _decode(text, start, scan)
    gc.disable()
    try:
        return _decode(text, start, scan)
    finally:
        gc.enable()


_AS_ZEROS = bytes.maketrans(b"123456789E", b"000000000e")
_TOO_MANY_DIGITS = b"0" * (_MAX_DIGITS + 1)
_MANY_DIGITS = b"0" * 200  # fewer, and two digits of exponent, make no number that is not finite


def _has_large_exponent(zeros: bytes) -> bool:
    """Whether a number may have an exponent of three digits, in a text whose digits are zeros."""
    return b"0e" in zeros and (b"0e000" in zeros or b"0e+000" in zeros)  # the first is found quickest


def _fits(value: Any, expect: type) -> bool:
    """Whether a value has the type; true and false are no numbers, an int is a float's equal."""
    if expect is float:
        return type(value) in (int, float)
    return type(value) is expect or (expect is dict and isinstance(value, dict))
