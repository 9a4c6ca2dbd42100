# SPDX-License-Identifier: MIT
"""Names with one or more values: the query of a URL, the fields of a form; and the urlencoded syntax of both.

`&` is the only separator (CVE-2021-23336). In a query a broken percent-encoding, or bytes that are not UTF-8,
are an error; a form is read as browsers read one, U+FFFD standing for what cannot be decoded. Knows nothing
of requests.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from ..errors import HTTPError, MissingFieldError
from .convert import convert
from .target import MAX_BROKEN, decode_leniently, decode_percent_bytes, percent_decode

_PLUS_AS_SPACE = bytes.maketrans(b"+", b" ")
_BYTE_ORDER_MARK = rb"\xef\xbb\xbf|(?i:%EF%BB%BF)"

if TYPE_CHECKING:
    from .parameters import Parameter

T = TypeVar("T")
D = TypeVar("D")
C = TypeVar("C")


class Fields(Generic[T]):
    """Fields in the order they came, looked up by name; read only.

    Attributes:
        what: what one is called in messages.
        lacked: whether a name was looked up that is not there.
        is_taken_whole: whether all of them were asked for at once.
    """

    __slots__ = ("_values", "is_taken_whole", "lacked")
    what = "field"

    def __init__(self, pairs: Iterable[tuple[str, T]] = ()) -> None:
        self._values: dict[str, list[T]] = {}
        self.lacked = self.is_taken_whole = False
        for name, value in pairs:
            self._values.setdefault(name, []).append(value)

    @overload
    def get(self, name: str) -> T | None: ...
    @overload
    def get(self, name: str, default: D) -> T | D: ...
    @overload
    def get(self, name: str, *, type: Callable[[str], C], min: Any = ..., max: Any = ...) -> C | None: ...
    @overload
    def get(
        self, name: str, default: D, *, type: Callable[[str], C], min: Any = ..., max: Any = ...
    ) -> C | D: ...
    def get(
        self, name: str, default: Any = None, *, type: Any = None, min: Any = None, max: Any = None
    ) -> Any:
        """The first value of `name`, or `default`: `get("limit", default=10, type=int, min=0, max=100)`.

        Args:
            default: what to return where there is no such field; it is not checked.
            type: `int`, `float`, `bool`, `str`, or a function that raises ValueError for a text that it does
                not take; without it the value stays as it was sent.
            min, max: the least and the greatest value; of a `str` the least and the greatest length.

        Raises:
            HTTPError: 400, with the name, the value and the rule, for a value that does not fit.
        """
        values = self._values.get(name)
        if not values:
            if not isinstance(name, str):
                raise TypeError(f"a parameter is read by [{name!r}], and knows its type and its default")
            self.lacked = True
            return default
        if type is None and min is None and max is None:
            return values[0]
        return convert(self.what, name, values[0], type or str, min, max)

    @overload
    def __getitem__(self, name: str) -> T: ...
    @overload
    def __getitem__(self, name: Parameter[C]) -> C: ...
    def __getitem__(self, name: Any) -> Any:
        """The first value of a name, or what a `Parameter` reads; HTTPError 400 where there is none (it is a
        KeyError, too).
        """
        if not isinstance(name, str):
            return name.read(self)
        values = self._values.get(name)
        if not values:
            raise MissingFieldError(name, self.what)
        return values[0]

    @overload
    def get_all(self, name: str) -> list[T]: ...
    @overload
    def get_all(self, name: str, *, type: Callable[[str], C], min: Any = ..., max: Any = ...) -> list[C]: ...
    def get_all(self, name: str, *, type: Any = None, min: Any = None, max: Any = None) -> list[Any]:
        """Every value of `name`, in order; `type`, `min` and `max` count for each as in `get`."""
        values = self._values.get(name, ())
        if type is None and min is None and max is None:
            return list(values)
        return [convert(self.what, name, value, type or str, min, max) for value in values]

    def items(self) -> list[tuple[str, T]]:
        """All (name, value) pairs; those of one name stand together, in order."""
        self.is_taken_whole = True
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
    """The query of a URL: `get`, `get_all`, `query["q"]`, `in`, `items`."""

    __slots__ = ()
    what = "query parameter"


class PathParams(dict[str, str]):
    """The `{name}` segments of a path: a dict of texts, whose `get` also converts."""

    __slots__ = ()

    if TYPE_CHECKING:

        @overload
        def __getitem__(self, name: str) -> str: ...
        @overload
        def __getitem__(self, name: Parameter[C]) -> C: ...
        def __getitem__(self, name: Any) -> Any: ...

    def __missing__(self, name: Any) -> Any:
        """What a `Parameter` reads: as a key it is never in this dict."""
        if not isinstance(name, str):
            return name.read(self)
        names = ", ".join(f"{{{known}}}" for known in self) or "none"
        raise KeyError(f"the path of the route has no {{{name}}}; it has {names}")

    @overload
    def get(self, name: str, default: D = ...) -> str | D: ...
    @overload
    def get(self, name: str, *, type: Callable[[str], C], min: Any = ..., max: Any = ...) -> C: ...
    def get(
        self, name: str, default: Any = None, *, type: Any = None, min: Any = None, max: Any = None
    ) -> Any:
        """The segment: `path_params.get("number", type=int, min=1)`, as in `Fields.get`.

        Raises:
            HTTPError: 400, with the name, the value and the rule, for a value that does not fit.
            KeyError: with a `type`, for a name that is not in the route's path.
        """
        if type is None and min is None and max is None:
            return super().get(name, default)
        return convert("path parameter", name, self[name], type or str, min, max)


def parse_query(text: str, max_fields: int) -> list[tuple[str, str]]:
    """The (name, value) pairs of a query such as `a=1&b=2`.

    Args:
        text: latin-1, as WSGI has it.

    Raises:
        HTTPError: 400 for more than `max_fields` fields, or a field that is not percent-encoded UTF-8.
    """
    if _is_many(text.count("&"), "query", max_fields):
        try:
            return _decoded(decode_percent_bytes(_marked(text.encode("latin-1"))), "strict")
        except ValueError:
            raise HTTPError(400, "The query has a field that is not percent-encoded UTF-8") from None
    pairs = []
    for field in filter(None, text.split("&")):
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
        HTTPError: 400 for more than `max_fields` fields or 1,000 `%` that stand for themselves, 413 for a
            field of more than `max_field_bytes`, as encoded.
    """
    mark = re.match(_BYTE_ORDER_MARK, body)
    body = body[mark.end() :] if mark else body
    is_many = _is_many(body.count(b"&"), "form", max_fields)
    if len(body) > max_field_bytes and max(map(len, body.split(b"&"))) > max_field_bytes:
        raise HTTPError(413, f"The form has a field larger than {max_field_bytes} bytes")
    if is_many and codec == "utf-8":
        data, count = decode_leniently(_marked(body))
        pairs = _decoded(data, "replace")
    else:
        pairs, count = [], 0
        for field in filter(None, body.translate(_PLUS_AS_SPACE).split(b"&")):
            name, _, value = field.partition(b"=")
            (name, broken), (value, more) = decode_leniently(name), decode_leniently(value)
            count += broken + more
            if count > MAX_BROKEN:
                break
            pairs.append((name.decode(codec, "replace"), value.decode(codec, "replace")))
    if count > MAX_BROKEN:
        raise HTTPError(400, f"The form has more than {MAX_BROKEN} '%' without two hex digits")
    return pairs


def _is_many(separators: int, what: str, max_fields: int) -> bool:
    """Whether there are so many fields that it pays to decode them together; HTTPError 400 for too many."""
    if separators >= max_fields:
        raise HTTPError(400, f"The {what} has more than {max_fields} fields")
    return separators > _FEW


_FEW = 8
# Two bytes that are in no UTF-8 stand for `&` and `=` while all fields are decoded together. One that was
# sent is as wrong as 0xFF is.
_AS_MARKS = bytes.maketrans(b"+&=\xf8\xf9", b" \xf8\xf9\xff\xff")
_AS_EQUAL_SIGNS = bytes.maketrans(b"\xf9", b"=")
_MARK_DIGITS = b"F8", b"f8", b"F9", b"f9"


def _marked(data: bytes) -> bytes:
    for digits in _MARK_DIGITS if b"%" in data else ():
        if digits in data:
            data = data.replace(b"%" + digits, b"%FF")
    return data.translate(_AS_MARKS)


def _decoded(data: bytes, errors: str) -> list[tuple[str, str]]:
    """The (name, value) pairs of fields that are marked and percent-decoded."""
    pairs = []
    for field in filter(None, data.split(b"\xf8")):
        name, _, value = field.partition(b"\xf9")
        if b"\xf9" in value:
            value = value.translate(_AS_EQUAL_SIGNS)
        pairs.append((name.decode("utf-8", errors), value.decode("utf-8", errors)))
    return pairs
