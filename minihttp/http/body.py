# SPDX-License-Identifier: MIT
"""The body of a request as a counting stream: never more than the limit, never silently less than announced.

Content-Length is a claim that is checked, and bytes are counted as they come (CVE-2026-33034). Knows nothing
of what the bytes mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BytesIO
from typing import TYPE_CHECKING, Any

from ..errors import HTTPError, no_attribute

BLOCK_BYTES = 256 * 1024
SMALL_BODY_BYTES = 64 * 1024  # a smaller body is not counted: the threads bound how many there are
WITHOUT_BODY = ("GET", "HEAD", "OPTIONS")  # Convex drops what they bring (`docs/convex.md` §2)
_MAX_LENGTH_DIGITS = 18
_NOTHING = BytesIO()


class Body:
    """A binary stream, read once: `read`, `readline`, iteration by lines.

    Attributes:
        count: the bytes read so far.
        length_bytes: what the client announced, or None.
        stream: what it reads from, `wsgi.input`: whoever reads there goes round every check.
        digest: number of bytes -> SHA-256 of a body that the server has hashed while it arrived; or None.

    Raises:
        HTTPError: while reading, 413 past the limit and 400 when the client sends less than it announced.
    """

    __slots__ = ("_left", "_limit_bytes", "count", "digest", "length_bytes", "stream")

    def __init__(
        self,
        stream: Any,
        length_bytes: int | None,
        limit_bytes: int,
        digest: Callable[[int], bytes | None] | None = None,
    ) -> None:
        """
        Args:
            stream: `wsgi.input`.
            length_bytes: what Content-Length says; None where the server ends the stream itself.
            limit_bytes: the most that is read.
            digest: as the attribute.
        """
        if length_bytes is not None and length_bytes > limit_bytes:
            raise too_large(limit_bytes)
        self.stream = stream
        self.digest = digest
        self.length_bytes = length_bytes
        self._left = length_bytes
        self._limit_bytes = limit_bytes
        self.count = 0

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, all that is left by default; b"" at the end."""
        if size is not None and size >= 0:
            return self._take(self.stream.read, size)
        left, read = self._left, self.stream.read
        data = self._take(read, BLOCK_BYTES if left is None else left)
        if len(data) == left:
            return data
        return b"".join([data, *iter(lambda: self._take(read, BLOCK_BYTES), b"")])

    if not TYPE_CHECKING:  # so that type checkers find what is not there

        def __getattr__(self, name: str) -> Any:
            hint = "it is a stream; request.json(), request.text() and request.bytes() read it"
            raise no_attribute(self, name, "" if name[:1] == "_" else hint)

    def readline(self, size: int = -1) -> bytes:
        """One line with its line feed, or at most `size` bytes of it; b"" at the end."""
        most = self._limit_bytes + 1 if size is None or size < 0 else size
        return self._take(self.stream.readline, most)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    def _take(self, read: Any, size: int) -> bytes:
        left = self._left
        wanted = self._limit_bytes - self.count + 1 if left is None else left
        if size < wanted:
            wanted = size
        if wanted <= 0:
            return b""
        try:
            data: bytes = read(wanted)
        except OSError as error:
            raise HTTPError(400, "The connection broke while the request body was read") from error
        self.count += len(data)
        if left is None:
            if self.count > self._limit_bytes:
                raise too_large(self._limit_bytes)
        elif not data:
            raise HTTPError(400, f"The request body ended {left} bytes before its Content-Length")
        else:
            self._left = left - len(data)
        return data


def open_body(environ: dict[str, Any], limit_bytes: int) -> Body:
    """The body of a request; an empty one for GET, HEAD and OPTIONS.

    Raises:
        HTTPError: 400 for a malformed Content-Length, 413 for one beyond the limit, 415 for a compressed body
            (CVE-2025-69223: nothing is ever decompressed).
    """
    if environ["REQUEST_METHOD"] in WITHOUT_BODY:
        return Body(_NOTHING, 0, limit_bytes)
    encoding = environ.get("HTTP_CONTENT_ENCODING", "")
    if encoding and encoding.strip().lower() != "identity":
        raise HTTPError(415, f"Content-Encoding {encoding[:100]!a} is not supported; send the body as it is")
    length = environ.get("CONTENT_LENGTH")
    if not length:  # without a length only a server that ends the stream itself can be read from
        return Body(environ["wsgi.input"], None if environ.get("wsgi.input_terminated") else 0, limit_bytes)
    if not (length.isascii() and length.isdigit()):
        raise HTTPError(400, f"Content-Length {length[:100]!a} is not a decimal number of bytes")
    if len(length) > _MAX_LENGTH_DIGITS:
        raise too_large(limit_bytes)
    return Body(environ["wsgi.input"], int(length), limit_bytes, environ.get("minihttp.body_sha256"))


def too_large(limit_bytes: int, what: str = "request body") -> HTTPError:
    """The 413 of a body over its limit."""
    return HTTPError(
        413, f"The {what} is larger than the limit of {limit_bytes} bytes", code="ContentTooLarge"
    )
