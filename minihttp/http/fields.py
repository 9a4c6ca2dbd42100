# SPDX-License-Identifier: MIT
"""Names with one or more values: the query of a URL, the fields of a form; and the urlencoded syntax of both.

`&` is the only separator (CVE-2021-23336). In a query a broken percent-encoding, or bytes that are not UTF-8,
are an error; a form is read as browsers read one, U+FFFD standing for what cannot be decoded. Knows nothing
of requests.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

from ..errors import HTTPError
from .target import decode_percent_bytes, percent_decode

_BYTE_ORDER_MARK = re.compile(r"\A(?:\xef\xbb\xbf|%EF%BB%BF)", re.IGNORECASE)  # UTF-8, as latin-1 shows it

T = TypeVar("T")
D = TypeVar("D")


class Fields(Generic[T]):
    """Fields in the order they came, looked up by name; read only."""

    __slots__ = ("_values",)

    def __init__(self, pairs: Iterable[tuple[str, T]] = ()) -> None:
        self._values: dict[str, list[T]] = {}
        for name, value in pairs:
            self._values.setdefault(name, []).append(value)

    def get(self, name: str, default: D | None = None) -> T | D | None:
        """The first value of `name`, or `default`."""
        values = self._values.get(name)
        return values[0] if values else default

    def get_all(self, name: str) -> list[T]:
        """Every value of `name`, in order."""
        return list(self._values.get(name, ()))

    def items(self) -> list[tuple[str, T]]:
        """All (name, value) pairs; those of one name stand together, in order."""
        return [(name, value) for name, values in self._values.items() for value in values]

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.items()!r})"


class QueryParams(Fields[str]):
    """The query of a URL: `get`, `get_all`, `in`, `items`."""

    __slots__ = ()


def parse_query(text: str, max_fields: int) -> list[tuple[str, str]]:
    """The (name, value) pairs of a query such as `a=1&b=2`.

    Args:
        text: latin-1, as WSGI has it.

    Raises:
        HTTPError: 400 for more than `max_fields` fields, or a field that is not percent-encoded UTF-8.
    """
    pairs = []
    for field in _split(text, "query", max_fields):
        name, _, value = field.replace("+", " ").partition("=")
        try:
            pairs.append((percent_decode(name), percent_decode(value)))
        except ValueError:
            shown = ascii(field[:100])
            raise HTTPError(400, f"The query field {shown} is not percent-encoded UTF-8") from None
    return pairs


def parse_form(
    body: bytes, max_fields: int, max_field_bytes: int, codec: str = "utf-8"
) -> list[tuple[str, str]]:
    """The (name, value) pairs of an urlencoded form, read as browsers do (WHATWG URL §5.1).

    A `%` without two hex digits stands for itself, bytes that cannot be decoded become U+FFFD, and a byte
    order mark before the first name is dropped.

    Args:
        codec: Python's name of the encoding of names and values.

    Raises:
        HTTPError: 400 for more than `max_fields` fields, 413 for one of more than `max_field_bytes`, as
            encoded.
    """
    text = _BYTE_ORDER_MARK.sub("", body.decode("latin-1"))
    pairs = []
    for field in _split(text, "form", max_fields):
        if len(field) > max_field_bytes:
            raise HTTPError(413, f"The form has a field larger than {max_field_bytes} bytes")
        name, _, value = field.replace("+", " ").partition("=")
        if "%" not in field and field.isascii() and codec == "utf-8":
            pairs.append((name, value))
        else:
            decoded = [decode_percent_bytes(part).decode(codec, "replace") for part in (name, value)]
            pairs.append((decoded[0], decoded[1]))
    return pairs


def _split(text: str, what: str, max_fields: int) -> Iterator[str]:
    if text.count("&") >= max_fields:
        raise HTTPError(400, f"The {what} has more than {max_fields} fields")
    return filter(None, text.split("&"))
