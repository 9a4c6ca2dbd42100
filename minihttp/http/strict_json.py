# SPDX-License-Identifier: MIT
"""JSON from a stranger: RFC 8259 in UTF-8 and nothing else, with every refusal a 400.

The standard library's decoder does the work; what it lets through (NaN, 1e400, lone surrogates, UTF-16) or
breaks on (depth, long numbers) is checked around it, so that ordinary documents pay almost nothing. What a
text will cost is told from its brackets and commas, before anything is made of it. The objects inside become
`InnerObject`s when one of them is first looked at, since most bodies are only handed on; of a large body the
decoder makes them. Knows nothing of requests.
"""

from __future__ import annotations

import gc
import json
import re
from array import array
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from ..errors import HTTPError, MissingFieldError, no_attribute
from ..json_numbers import STRICT
from ..limits import DEFAULT_LIMITS

_NAMES = {dict: "object", list: "array", str: "string", int: "integer", float: "number", bool: "boolean"}
_skip_white_space: Any = re.compile(r"[ \t\n\r]*").match
_MAX_DIGITS = 1_000  # int() takes quadratic time
_LONG_BYTES = 500  # among as many digits as that there is a whole block of this size, wherever blocks begin
_CONTAINERS = (dict, list)
_MANY_CONTAINERS = 1_000
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
        is_fresh: whether the objects inside are plain dicts still, as they were decoded.
    """

    is_taken_whole = False
    is_fresh = False

    def __getitem__(self, name: str) -> Any:
        value = super().__getitem__(name)
        if self.is_fresh and value.__class__ in _CONTAINERS:
            value = _with_inner_objects(value)
            super().__setitem__(name, value)
        return value

    def _open(self) -> None:
        """All that is inside is about to be handed out, or something else comes in."""
        if self.is_fresh:
            self.is_fresh = False
            _put_inner_objects(self, super().items())

    def __setitem__(self, name: str, value: Any) -> None:
        self._open()
        super().__setitem__(name, value)

    def update(self, *others: Any, **fields: Any) -> None:
        self._open()
        super().update(*others, **fields)

    def decoded(self) -> dict[str, Any]:
        """A plain dict of what is there, for an encoder: that costs less than to open it."""
        return dict(super().items())

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

    def values(self) -> Any:
        self._open()
        return super().values()

    def pop(self, *arguments: Any) -> Any:
        self._open()
        return super().pop(*arguments)

    def popitem(self) -> tuple[str, Any]:
        self._open()
        return super().popitem()

    def setdefault(self, name: str, default: Any = None) -> Any:
        self._open()
        return super().setdefault(name, default)

    def copy(self) -> dict[str, Any]:
        self._open()
        return super().copy()

    def __or__(self, other: Any) -> Any:
        self._open()
        return super().__or__(other)

    def __ior__(self, other: Any) -> Any:
        self._open()
        return super().__ior__(other)


def _with_inner_objects(value: Any) -> Any:
    """A decoded array or object in which each object is an `InnerObject`; the lists stay the same lists."""
    if value.__class__ is dict:
        value = InnerObject(value)
        _put_inner_objects(value, value.items())
    else:
        _put_inner_objects(value, enumerate(value))
    return value


def _put_inner_objects(container: Any, items: Iterable[tuple[Any, Any]]) -> None:
    for place, inner in items:
        if inner.__class__ in _CONTAINERS:
            container[place] = _with_inner_objects(inner)


def parse_json(
    data: bytes,
    max_depth: int,
    expect: type | None = None,
    *,
    max_elements: int = DEFAULT_LIMITS.max_json_elements,
) -> Any:
    """The value of a JSON text; a top-level object is a `JSONObject`, those inside are
    `InnerObject`.

    Args:
        data: the text in UTF-8; a byte order mark before it is ignored (RFC 8259 §8.1, and as `fetch` does).
        max_depth: how deep arrays and objects may nest.
        max_elements: how many values there may be, told by the opening brackets and commas outside of
            strings. Each takes far more time and memory than its text, so they are counted before anything
            is parsed.
        expect: dict, list, str, int, float or bool, if the top level must be one.

    Raises:
        HTTPError: 400 for anything else than one valid, finite JSON value of the expected type, and for a
            number of more than 1,000 digits; 413 for too many elements.
    """
    objects = data.count(b"{")
    brackets = objects + data.count(b"[")
    if brackets > max_depth or len(data) > max_elements:
        _check_outline(data, max_depth, max_elements)
    try:
        text = data.decode("utf-8")
        if text[:1] == "\ufeff":
            text = text[1:]
        is_long = len(data) >= _LONG_BYTES and _has_long_number(data)
        is_large = brackets > _MANY_CONTAINERS
        value = _decode_large(text, is_long) if is_large else _decode(text, _scan_long if is_long else _scan)
        if "\\" in text and ("\\ud" in text or "\\uD" in text):
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
    if isinstance(value, dict):
        value = JSONObject(value)
        value.is_fresh = not is_large
        return value
    return _with_inner_objects(value) if objects and not is_large and value.__class__ is list else value


def expect_type(value: Any, expect: type | None) -> Any:
    """The JSON value, if it is of the expected type; HTTPError 400 if it is of another."""
    if expect is not None and not _fits(value, expect):
        wanted = _NAMES.get(expect, expect.__name__)
        found = dict if isinstance(value, dict) else type(value)
        raise HTTPError(400, f"Expected a JSON {wanted}, not {_NAMES.get(found, 'null')}")
    return value


def _too_deep(max_depth: int) -> HTTPError:
    return HTTPError(400, f"Invalid JSON: nested deeper than {max_depth}")


# What stays of a text: brackets of both kinds as square ones, commas, and the quotes around strings.
_AS_SQUARE = bytes.maketrans(b"{}", b"[]")
_NO_OUTLINE = bytes(sorted(set(range(256)) - set(b'[]{},"')))
_NO_COUNTED = _NO_OUTLINE + b'"]}'
_STEPS = bytes.maketrans(b"[]", b"\x01\xff")  # as signed bytes
_FLAT_LEVELS = 8  # are taken off one by one, which costs least where there are few


def _check_outline(data: bytes, max_depth: int, max_elements: int) -> None:
    """Refuses a JSON text that would cost too much, before it is parsed.

    What is refused is at least as large as the text says up to its first mistake, where parsing would end.
    """
    counted = data.translate(_AS_SQUARE, _NO_COUNTED)
    if len(counted) <= max_elements and counted.count(b"[") <= max_depth:  # even with what is in strings
        return
    outline = _outline(data)
    if b"[" * (max_depth + 1) in outline:
        raise _too_deep(max_depth)
    if outline.count(b"[") + outline.count(b",") > max_elements:
        raise HTTPError(413, f"The JSON has more than {max_elements} elements", code="ContentTooLarge")
    brackets = outline.translate(None, b",")
    if brackets.count(b"[") >= brackets.count(b"]") and _is_deeper(brackets, max_depth):
        raise _too_deep(max_depth)


def _outline(data: bytes) -> bytes:
    """The commas and brackets of a JSON text that are not in its strings."""
    if b"\\" in data:
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    outline = data.translate(_AS_SQUARE, _NO_OUTLINE)
    if b'"' in outline:
        outline = outline.replace(b'""', b"")  # strings in which there is none
        if b'"' in outline:  # where there is one, not all quotes stand in pairs
            outline = b"".join(data.split(b'"')[::2]).translate(_AS_SQUARE, _NO_OUTLINE)
    return outline


def _is_deeper(brackets: bytes, max_depth: int) -> bool:
    """Whether square brackets nest deeper than this."""
    levels = min(_FLAT_LEVELS, max_depth)
    for _ in range(levels):
        if not brackets:
            return False
        brackets = brackets.replace(b"[]", b"")
    return max(accumulate(array("b", brackets.translate(_STEPS))), default=0) > max_depth - levels


def _short(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise ValueError(f"a number has more than {_MAX_DIGITS} digits")
    return int(text)


def _scanner(has_inner: bool, is_long: bool) -> Any:
    hooks = dict(STRICT)
    if has_inner:
        hooks["object_hook"] = InnerObject
    if is_long:
        hooks["parse_int"] = _short
    decoder: Any = json.JSONDecoder(**hooks)
    return decoder.scan_once


_scan, _scan_long = _scanner(False, False), _scanner(False, True)
_scan_large = {is_long: _scanner(True, is_long) for is_long in (False, True)}


def _decode(text: str, scan: Any) -> Any:
    """The value of the whole text."""
    start = _skip_white_space(text).end() if text[:1] in " \t\n\r" else 0
    try:
        value, end = scan(text, start)
    except StopIteration as stopped:
        raise json.JSONDecodeError("Expecting value", text, stopped.value) from None
    if end < len(text) and (end := _skip_white_space(text, end).end()) < len(text):
        raise json.JSONDecodeError("Extra data", text, end)
    return value


def _decode_large(text: str, is_long: bool) -> Any:
    """As `_decode`, with the inner objects, for a text with many arrays and objects.

    Nothing is garbage while they grow, and looking for garbage takes several times as long as to decode them.
    """
    if not gc.isenabled():
        return _decode(text, _scan_large[is_long])
    gc.disable()
    try:
        return _decode(text, _scan_large[is_long])
    finally:
        gc.enable()


def _has_long_number(data: bytes) -> bool:
    """Whether there may be a number that is too long."""
    return any(data[start : start + _LONG_BYTES].isdigit() for start in range(0, len(data), _LONG_BYTES))


def _fits(value: Any, expect: type) -> bool:
    """Whether a value has the type; true and false are no numbers, an int is a float's equal."""
    if expect is float:
        return type(value) in (int, float)
    return type(value) is expect or (expect is dict and isinstance(value, dict))
