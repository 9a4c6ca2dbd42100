# SPDX-License-Identifier: MIT
"""Names with one or more values: the query of a URL, the fields of a form; and the urlencoded syntax of both.

`&` is the only separator (CVE-2021-23336). A broken percent-encoding or bytes that are not UTF-8 are an
error, never a silently replaced character. Knows nothing of requests.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

from ..errors import HTTPError
from .target import percent_decode

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


def parse_urlencoded(
    text: str, what: str, max_fields: int, max_field_bytes: int | None = None
) -> list[tuple[str, str]]:
    """The (name, value) pairs of `a=1&b=2` (WHATWG URL §5.1, but strict about percent-encoding).

    Args:
        text: latin-1, as WSGI has it.
        what: what the text is, for messages: "query" or "form".

    Raises:
        HTTPError: 400 for more than `max_fields` fields, or a field that is not percent-encoded UTF-8; 413
            for one of more than `max_field_bytes`, as encoded.
    """
    if text.count("&") >= max_fields:
        raise HTTPError(400, f"The {what} has more than {max_fields} fields")
    pairs = []
    for field in text.split("&"):
        if max_field_bytes is not None and len(field) > max_field_bytes:
            raise HTTPError(413, f"The {what} has a field larger than {max_field_bytes} bytes")
        if field:
            name, _, value = field.replace("+", " ").partition("=")
            try:
                pairs.append((percent_decode(name), percent_decode(value)))
            except ValueError:
                shown = ascii(field[:100])
                raise HTTPError(400, f"The {what} field {shown} is not percent-encoded UTF-8") from None
    return pairs
