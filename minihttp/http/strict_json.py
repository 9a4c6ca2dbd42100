# SPDX-License-Identifier: MIT
"""JSON from a stranger: RFC 8259 in UTF-8 and nothing else, with every refusal a 400.

The standard library's decoder does the work; what it lets through (NaN, 1e400, lone surrogates, UTF-16) or
breaks on (depth, long numbers) is checked around it, so that ordinary documents pay almost nothing. The
objects inside become `InnerObject`s when one of them is first looked at: most bodies are only handed on.
Knows nothing of requests.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from ..errors import HTTPError, MissingFieldError, no_attribute
from ..limits import DEFAULT_LIMITS

_NAMES = {dict: "object", list: "array", str: "string", int: "integer", float: "number", bool: "boolean"}
_CONTAINERS = (dict, list)
_INFINITIES = frozenset([float("inf"), float("-inf")])
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
        max_elements: how many brackets, commas and colons there may be, outside of strings. Each stands for
        an
            object in memory that is far larger than itself, so they are counted before anything is parsed.
        expect: dict, list, str, int, float or bool, if the top level must be one.

    Raises:
        HTTPError: 400 for anything else than one valid, finite JSON value of the expected type, 413 for too
            many elements.
    """
    if len(data) > max_elements and _has_more_elements(data, max_elements):
        raise HTTPError(413, f"The JSON body has more than {max_elements} elements", code="ContentTooLarge")
    try:
        text = data.decode("utf-8")
        if text[:1] == "\ufeff":
            text = text[1:]
        value = _decode(text)
        if text.count("[") + text.count("{") > max_depth:
            _check_depth(value, max_depth)
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
        raise HTTPError(400, f"Invalid JSON: nested deeper than {max_depth}") from None
    except ValueError as error:  # from the hooks below, and int() past 4,300 digits
        raise HTTPError(400, f"Invalid JSON: {error}") from None
    if expect is not None:
        expect_type(value, expect)
    if value.__class__ is dict:
        value = JSONObject(value)
        value.is_fresh = True
        return value
    return _with_inner_objects(value) if value.__class__ is list else value


def expect_type(value: Any, expect: type | None) -> Any:
    """The JSON value, if it is of the expected type; HTTPError 400 if it is of another."""
    if expect is not None and not _fits(value, expect):
        wanted = _NAMES.get(expect, expect.__name__)
        raise HTTPError(400, f"Expected a JSON {wanted}, not {_NAMES.get(type(value), 'null')}")
    return value


def _count(data: bytes) -> int:
    return sum(map(data.count, (b"[", b"{", b",", b":")))


def _has_more_elements(data: bytes, max_elements: int) -> bool:
    """Whether a JSON text has more elements than this; what is in strings is none."""
    if _count(data) <= max_elements:
        return False
    plain = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    if plain.count(b'"') > 2 * max_elements + 2:  # between two strings there is a comma or a colon
        return True
    return _count(b"".join(plain.split(b'"')[::2])) > max_elements


def _finite(text: str) -> float:
    value = float(text)
    if value in _INFINITIES:
        raise ValueError(f"number {text[:40]} is out of range")
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_decoder: Any = json.JSONDecoder(parse_float=_finite, parse_constant=_refuse_constant)
_scan = _decoder.scan_once


def _decode(text: str) -> Any:
    """What `_decoder.decode` does, which looks for white space around the value first: mostly in vain."""
    try:
        value, end = _scan(text, 0)
    except StopIteration:  # no value begins here
        return _decoder.decode(text)
    rest = text[end:].lstrip(" \t\n\r")
    if rest:
        raise json.JSONDecodeError("Extra data", text, len(text) - len(rest))
    return value


def _check_depth(value: Any, max_depth: int) -> None:
    containers = [value] if isinstance(value, (dict, list)) else []
    for _ in range(max_depth):
        containers = [
            inner
            for outer in containers
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, (dict, list))
        ]
    if containers:
        raise ValueError(f"nested deeper than {max_depth}")


def _fits(value: Any, expect: type) -> bool:
    """Whether a value has the type; true and false are no numbers, an int is a float's equal."""
    if expect is float:
        return type(value) in (int, float)
    return type(value) is expect or (expect is dict and isinstance(value, dict))
