# SPDX-License-Identifier: MIT
"""Replies: `Response(body, status, headers)`, itself a WSGI application.

A body is text, bytes, a binary file or an iterable of bytes. Sizes that are known become Content-Length;
files go out by `wsgi.file_wrapper` where the server has one. Knows nothing of requests but the environ it is
called with.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import Any

from .headers import Headers, HeaderSource, Pair

_BLOCK_BYTES = 64 * 1024
_STATUS_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}
_JSON_TYPE = ("Content-Type", "application/json")
_TEXT_TYPE = ("Content-Type", "text/plain;charset=UTF-8")
_BYTES_TYPE = ("Content-Type", "application/octet-stream")
_WITHOUT_BODY = (204, 304)  # RFC 9110 §6.4.1
_encode_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode

Body = Any  # str | bytes | bytearray | memoryview | None | a binary file | Iterable[bytes]


class Response:
    """One reply.

    Args:
        body: text (sent as UTF-8, `text/plain;charset=UTF-8` unless `headers` says otherwise), bytes, a file
            opened for reading bytes (closed after sending), or an iterable of bytes (streamed).
        status: an integer from 200 to 599 (`convex.md` §2.2 P1).
        headers: a mapping, (name, value) pairs or Headers.

    Raises:
        ValueError: a status outside the range, a header that must not be sent.
        TypeError: a body of another type.
    """

    __slots__ = ("_pairs", "body", "status")

    def __init__(self, body: Body = b"", status: int = 200, headers: HeaderSource | None = None) -> None:
        if not isinstance(status, int) or not 200 <= status <= 599:
            raise ValueError(f"response status {status!r} is outside the range 200-599")
        self.status = status
        self._pairs: list[Pair] = [] if headers is None else Headers(headers)._pairs
        default_type = _BYTES_TYPE
        if body is None or isinstance(body, str) or body == b"":
            body, default_type = (body or "").encode(), _TEXT_TYPE
        elif isinstance(body, (bytearray, memoryview)):
            body = bytes(body)
        elif not isinstance(body, bytes) and not _is_stream(body):
            raise TypeError(
                "a response body is text, bytes, a file or an iterable of bytes, not"
                f" {type(body).__name__}; Response.json(value) sends JSON"
            )
        self.body = body
        if not self._has("content-type"):
            self._pairs.append(default_type)

    @classmethod
    def json(cls, value: Any, status: int = 200, headers: HeaderSource | None = None) -> Response:
        """`value` as compact JSON in UTF-8, always `application/json` (`convex.md` §2.2 P3).

        Raises:
            ValueError: for NaN or an infinity, which JSON cannot say, and as `Response`.
            TypeError: for a value that JSON has no form for.
        """
        if not isinstance(status, int) or not 200 <= status <= 599:
            raise ValueError(f"response status {status!r} is outside the range 200-599")
        response = cls.__new__(cls)
        response.body = _encode_json(value).encode()
        response.status = status
        response._pairs = [_JSON_TYPE]
        if headers is not None:
            response._pairs += [pair for pair in Headers(headers)._pairs if pair[0].lower() != "content-type"]
        return response

    @classmethod
    def redirect(cls, url: str, status: int = 302) -> Response:
        """An empty reply whose Location is `url` as it is: no absolute URL is built from the Host header."""
        return cls(b"", status, [("Location", url)])

    @property
    def headers(self) -> Headers:
        """The header fields; changes go into the reply."""
        return Headers.over(self._pairs)

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[[str, list[Pair]], Any]
    ) -> Iterable[bytes]:
        """Send the reply (PEP 3333); HEAD, 204 and 304 send no body."""
        status, body, pairs = self.status, self.body, self._pairs
        line = _STATUS_LINES.get(status) or f"{status} Unknown"
        if status in _WITHOUT_BODY:
            unsent = ("content-type", "content-length")
            start_response(line, [pair for pair in pairs if pair[0].lower() not in unsent])
            return _closed(body)
        size = len(body) if body.__class__ is bytes else _remaining_bytes(body)
        if size is None or self._has("content-length"):
            start_response(line, [*pairs])
        else:
            start_response(line, [*pairs, ("Content-Length", str(size))])
        if environ["REQUEST_METHOD"] == "HEAD":
            return _closed(body)
        if body.__class__ is bytes:
            return (body,)
        if hasattr(body, "read"):
            return environ.get("wsgi.file_wrapper", _FileBlocks)(body, _BLOCK_BYTES)  # type: ignore[no-any-return]
        return body  # type: ignore[no-any-return]

    def _has(self, wanted: str) -> bool:
        for name, _ in self._pairs:  # noqa: SIM110 - any() would cost a generator on every request
            if len(name) == len(wanted) and name.lower() == wanted:
                return True
        return False


class _FileBlocks:
    """A file in blocks, for servers without `wsgi.file_wrapper`."""

    def __init__(self, file: Any, block_bytes: int) -> None:
        self.file = file
        self.block_bytes = block_bytes

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self.file.read(self.block_bytes), b"")

    def close(self) -> None:
        _closed(self.file)


def _is_stream(body: Any) -> bool:
    return hasattr(body, "read") or (isinstance(body, Iterable) and not isinstance(body, dict))


def _closed(body: Any) -> tuple[bytes, ...]:
    """Close a body that will not be sent."""
    close = getattr(body, "close", None)
    if close is not None:
        close()
    return ()


def _remaining_bytes(body: Any) -> int | None:
    """How many bytes a file will still give, if that can be known: by seeking, or by its `size` attribute."""
    if not hasattr(body, "read"):
        return None
    if hasattr(body, "seek") and (not hasattr(body, "seekable") or body.seekable()):
        here: int = body.tell()
        end: int = body.seek(0, 2)
        body.seek(here)
        return end - here
    return getattr(body, "size", None)
