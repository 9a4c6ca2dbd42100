# SPDX-License-Identifier: MIT
"""Responses: `Response(body, status, headers)`, itself a WSGI application.

A body is text, bytes, a binary file or an iterable of bytes. Sizes that are known become Content-Length;
files go out by `wsgi.file_wrapper` where the server has one. Knows nothing of requests but the environ it is
called with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any

from ..json_numbers import compact
from .headers import Headers, HeaderSource, Pair
from .strict_json import JSONObject

_BLOCK_BYTES = 64 * 1024
_BODILESS = (204, 304)  # RFC 9110 §6.4.1
_LINES_WITH_BODY = {200: "200 OK"}  # the others come with their first response
_JSON_TYPE = ("Content-Type", "application/json")
_TEXT_TYPE = ("Content-Type", "text/plain;charset=UTF-8")
_BYTES_TYPE = ("Content-Type", "application/octet-stream")
_SMALL_BYTES = 4_096
_NO_FLOATS = frozenset([str, int, bool, type(None)])


@cache
def _status_line(status: int) -> str:
    """`404 Not Found`; the names are in `http`, which takes 1 ms to load."""
    from http import HTTPStatus

    names = {known.value: known.phrase for known in HTTPStatus}
    line = f"{status} {names.get(status, 'Unknown')}"
    return line if status in _BODILESS else _LINES_WITH_BODY.setdefault(status, line)


class _LengthFields(dict[int, Pair]):
    """Content-Length fields by the number; those of small bodies are kept, as a new one costs thrice that."""

    def __missing__(self, count: int) -> Pair:
        field = "Content-Length", str(count)
        if count < _SMALL_BYTES:
            self[count] = field
        return field


_lengths = _LengthFields()


def encode_json(value: Any, encode: Callable[[Any], str] = compact, method: str = "json_text") -> str:
    """A value as compact JSON. An object that has its text at hand (a document that nobody has looked into)
    gives it and is not encoded: as the value, in a list, or in a dict of these.

    Args:
        encode: writes every other value.
        method: by which an object gives its text, or None where it must be encoded.
    """
    if value.__class__ is JSONObject:
        decoded = value.as_decoded  # it holds no object with a text
        if decoded is not None:
            return encode(decoded)
        value = value.decoded()
    text = _text(value, encode, method)
    if text is None and value.__class__ is dict and _holds_text(value, method):
        fields = [_field(name, item, encode, method) for name, item in value.items()]
        return f"{{{','.join([field for field in fields if field])}}}"
    return encode(value) if text is None else text


def _text(value: Any, encode: Callable[[Any], str], method: str) -> str | None:
    """The text of an object that has one, or of a list of such objects."""
    if value.__class__ is list:
        if value and hasattr(type(value[0]), method):
            together = getattr(value[0], method + "s", None)  # many texts are looked through at once
            texts = None if together is None else together(value)
            texts = texts or [_text(item, encode, method) or encode(item) for item in value]
            return f"[{','.join(texts)}]"
        return None
    # Of the type: an object of a body makes a message for each attribute that it lacks
    return getattr(value, method)() if hasattr(type(value), method) else None


def _holds_text(value: dict[Any, Any], method: str) -> bool:
    for item in value.values():
        if hasattr(type(item[0] if item.__class__ is list and item else item), method):
            return True
    return False


def _field(name: Any, value: Any, encode: Callable[[Any], str], method: str) -> str:
    text = _text(value, encode, method)
    if text is None:
        return encode({name: value})[1:-1]
    return encode({name: None})[1 : -len("null}")] + text


def _encode_as_javascript(value: Any) -> str:
    """As `JSON.stringify` writes it: a float that is a whole number has no fraction."""
    text = compact(value)
    # Such a float may be there. One letter is found fastest, and two from the end in a third of the time.
    if ("." in text and text.rfind(".0") >= 0) or ("+" in text and "e+" in text):
        text = compact(_with_whole_numbers(value))
    return text


def _with_whole_numbers(value: Any) -> Any:
    """A JSON value in which floats that are whole numbers are integers, below 1e21 as in JavaScript.

    Source: ECMA-262, Number::toString; from 1e21 on it writes an exponent, and Python does too.
    """
    if isinstance(value, float):
        return _as_int(value) if value.is_integer() and abs(value) < 1e21 else value
    if isinstance(value, dict):
        return {
            key if key.__class__ is str else _with_whole_numbers(key): (
                inner if inner.__class__ in _NO_FLOATS else _with_whole_numbers(inner)
            )
            for key, inner in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [inner if inner.__class__ in _NO_FLOATS else _with_whole_numbers(inner) for inner in value]
    return value


def _as_int(value: float) -> int:
    """Zeros follow the digits that tell a float from its neighbours: beyond 2^53 JavaScript has no more."""
    if abs(value) < 2**53:
        return int(value)
    from decimal import Decimal  # rare, and slow to import

    return int(Decimal(repr(value)))


Body = Any  # str | bytes | bytearray | memoryview | None | a binary file | Iterable[bytes]


class Response:
    """One response.

    Args:
        body: text (sent as UTF-8, `text/plain;charset=UTF-8` unless `headers` says otherwise), bytes, a file
            opened for reading bytes (closed after sending), or an iterable of bytes (streamed).
        status: an integer from 200 to 599 (`docs/convex.md` §2).
        headers: a mapping, (name, value) pairs or Headers.

    Raises:
        ValueError: a status outside the range, a header that must not be sent.
        TypeError: a body of another type.
    """

    __slots__ = ("_own_pairs", "body", "status")
    body: Body
    _own_pairs: list[Pair] | None  # None for a text with the fields of every text

    def __init__(self, body: Body = b"", status: int = 200, headers: HeaderSource | None = None) -> None:
        if headers is None and body.__class__ is str and status.__class__ is int and 200 <= status <= 599:
            self.body = body.encode()  # the common case, at half the cost
            self.status = status
            self._own_pairs = None
            return
        default_type = _TEXT_TYPE
        if isinstance(body, str):
            body = body.encode()
        elif body is None or body == b"":
            body = b""
        else:
            body, default_type = _as_body(body), _BYTES_TYPE
        if not isinstance(status, int) or not 200 <= status <= 599:
            raise ValueError(f"response status {status!r} is outside the range 200-599")
        self.status = status
        self.body = body
        self._own_pairs = pairs = [] if headers is None else Headers(headers)._pairs
        names = [name.lower() for name, _ in pairs]
        if "content-type" not in names:
            pairs.append(default_type)
        if body.__class__ is bytes and "content-length" not in names:
            pairs.append(_lengths[len(body)])

    @classmethod
    def json(cls, value: Any, status: int = 200, headers: HeaderSource | None = None) -> Response:
        """`value` as compact JSON in UTF-8, `application/json` unless `headers` says otherwise.

        A float that is a whole number is written as JavaScript writes it: 1.0 as `1`.

        Raises:
            ValueError: for NaN or an infinity, which JSON cannot say, and as `Response`.
            TypeError: for a value that JSON has no form for.
            RecursionError: for a value that contains itself.
        """
        body = encode_json(value, _encode_as_javascript).encode()
        if headers is None and status.__class__ is int and 200 <= status <= 599:
            return cls.prepared(body, status, [_JSON_TYPE])
        own = Headers(headers or ())
        if "Content-Type" not in own:
            own.append(*_JSON_TYPE)
        return cls(body, status, own)

    @classmethod
    def prepared(cls, body: bytes, status: int, pairs: list[Pair]) -> Response:
        """A response of parts that are known to be right; nothing is checked or added but Content-Length."""
        response = cls.__new__(cls)
        response.body = body
        response.status = status
        pairs.append(_lengths[len(body)])
        response._own_pairs = pairs
        return response

    @classmethod
    def redirect(cls, url: str, status: int = 302) -> Response:
        """An empty response whose Location is `url` as it is: the Host header makes no absolute URL of it."""
        response = cls(b"", status, [("Location", url)])
        response.headers.delete("Content-Type")  # there is no content
        return response

    @property
    def headers(self) -> Headers:
        """The header fields; changes go into the response."""
        return Headers.over(self._pairs())

    def _pairs(self) -> list[Pair]:
        pairs = self._own_pairs
        if pairs is None:
            pairs = self._own_pairs = [_TEXT_TYPE]
            if self.body.__class__ is bytes:  # a hook may have put a stream in the place of the text
                pairs.append(_lengths[len(self.body)])
        return pairs

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[[str, list[Pair]], Any]
    ) -> Iterable[bytes]:
        """Send the response (PEP 3333); HEAD, 204 and 304 send no body."""
        body, pairs = self.body, self._own_pairs
        line = _LINES_WITH_BODY.get(self.status)
        if line is None or body.__class__ is not bytes:
            return self._send_unusual(environ, start_response)
        if pairs is None:
            start_response(line, [_TEXT_TYPE, _lengths[len(body)]])
        else:
            start_response(line, [*pairs])
        return () if environ["REQUEST_METHOD"] == "HEAD" else (body,)

    def _send_unusual(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """A stream, a file, no body at all, or the first with its status."""
        body, headers = self.body, Headers.over([*self._pairs()])
        bodiless = self.status in _BODILESS
        if bodiless:
            headers.delete("Content-Type")
            headers.delete("Content-Length")
        elif "Content-Length" not in headers and (size := remaining_bytes(body)) is not None:
            headers.append("Content-Length", str(size))
        start_response(_status_line(self.status), headers._pairs)
        if bodiless or environ["REQUEST_METHOD"] == "HEAD":
            close = getattr(body, "close", None)
            if close is not None:
                close()
            return ()
        if hasattr(body, "read"):
            return environ.get("wsgi.file_wrapper", FileBlocks)(body, _BLOCK_BYTES)  # type: ignore[no-any-return]
        return (body,) if isinstance(body, bytes) else body


class FileBlocks:
    """A file in blocks, for servers without `wsgi.file_wrapper` and files that no server reads itself."""

    def __init__(self, file: Any, block_bytes: int = _BLOCK_BYTES) -> None:
        self.file = file
        self.block_bytes = block_bytes

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self.file.read(self.block_bytes), b"")

    def close(self) -> None:
        if hasattr(self.file, "close"):
            self.file.close()


def _as_body(body: Any) -> Any:
    if isinstance(body, (bytes, bytearray, memoryview)):
        return bytes(body)
    if hasattr(body, "read") or (isinstance(body, Iterable) and not isinstance(body, dict)):
        return body
    raise TypeError(
        f"a response body is text, bytes, a file or an iterable of bytes, not {type(body).__name__};"
        " Response.json(value) sends JSON"
    )


def remaining_bytes(body: Any) -> int | None:
    """How many bytes a file will still give, if that can be known: by seeking, or by its `size` attribute."""
    if not hasattr(body, "read"):
        return None
    if hasattr(body, "seek") and (not hasattr(body, "seekable") or body.seekable()):
        here: int = body.tell()
        end: int = body.seek(0, 2)
        body.seek(here)
        return end - here
    return getattr(body, "size", None)
