# SPDX-License-Identifier: MIT
"""A request parser that refuses what waitress lets through and RFC 9112 forbids.

Two fields where one may be (a second Host or Content-Type steers one of two readers), any doubt about where
the body ends (request smuggling), and versions that are not HTTP/1. Each is a 400, and the connection is
closed. Knows nothing of applications.
"""

from __future__ import annotations

import logging
import re
import time
from copy import copy
from functools import lru_cache
from typing import Any

from waitress.parser import HTTPRequestParser, ParsingError
from waitress.utilities import Error

from .buffers import SpoolBuffer
from .min_rate import MinRate

log = logging.getLogger("minihttp.server")

_SINGLE_FIELDS = re.compile(
    rb"\n(host|content-type|content-length|transfer-encoding|authorization|expect)[ \t]*:", re.IGNORECASE
)
_PLAIN_CHUNKED = re.compile(rb"\ntransfer-encoding:[ \t]*chunked[ \t]*\r", re.IGNORECASE)
_VERSIONS = ("1.0", "1.1")


@lru_cache(maxsize=64)
def _limited(adj: Any, limit_bytes: int) -> Any:
    """A server's settings with another limit of the body: waitress looks there while it comes."""
    limited = copy(adj)
    limited.max_request_body_size = limit_bytes
    return limited


class _NoRoom(Error):  # type: ignore[misc]
    code = 507
    reason = "Insufficient Storage"


class StrictParser(HTTPRequestParser):  # type: ignore[misc]
    """Reads one request; a `ParsingError` becomes the 400."""

    adj: Any
    body_rcv: Any
    _rate: MinRate | None = None

    def __init__(self, adj: Any) -> None:
        super().__init__(adj)
        self._began = time.time()

    def is_late(self, now: float) -> bool:
        """Whether it has been arriving for too long, `now` being Unix seconds."""
        if self._rate is None:
            self._rate = MinRate(self._began, self.adj)
        return self._rate.is_late(now, self.body_bytes_received)

    def restart_clock(self, now: float) -> None:
        """The time until now was not its fault."""
        self._rate = MinRate(now, self.adj, self.body_bytes_received)

    def received(self, data: bytes) -> int:
        """As waitress does; a body that the disk has no room for is refused, and what it took freed."""
        try:
            return int(super().received(data))
        except OSError as error:
            log.error("a request body cannot be spooled: %s", error)
            self.close()
            self.error, self.completed = _NoRoom("the request body cannot be kept"), True
            return len(data)

    def close(self) -> None:
        """Free the body's file, at once and not when the garbage is collected; a second call does nothing."""
        body, self.body_rcv = self.body_rcv, None
        if body is not None:
            try:
                body.getbuf().close()
            except OSError:  # it writes the rest before it closes
                pass

    def parse_header(self, header_plus: bytes) -> None:
        header_plus += b"\r\n"
        names = [name.lower() for name in _SINGLE_FIELDS.findall(header_plus)]
        if len(set(names)) < len(names):
            raise ParsingError(f"{max(names, key=names.count).decode('ascii')} is there twice")
        if b"transfer-encoding" in names and b"content-length" in names:  # RFC 9112 §6.1
            raise ParsingError("both transfer-encoding and content-length are there")
        if b"\n " in header_plus or b"\n\t" in header_plus:  # RFC 9112 §5.2
            raise ParsingError("a header field is folded over several lines")
        try:
            super().parse_header(header_plus)
        except ValueError:  # int() of more than 4,300 digits, urlsplit() of "http://["
            raise ParsingError("content-length is too long, or the target is no URL") from None
        if not self.chunked and not self.content_length:
            self.expect_continue = False  # there is no content to wait for, and waitress would wait for it
        if self.version not in _VERSIONS:
            raise ParsingError("the version of HTTP must be 1.0 or 1.1")
        if b"transfer-encoding" in names and not (self.chunked and _PLAIN_CHUNKED.search(header_plus)):
            raise ParsingError("transfer-encoding must be chunked, once, in HTTP/1.1")
        if self.proxy_netloc and "HOST" in self.headers:  # an absolute target's counts (RFC 9112 §3.2.2)
            self.headers["HOST"] = self.proxy_netloc
        if self.body_rcv is not None:
            self._expect_body()

    def _expect_body(self) -> None:
        """The limit of this route, and where a body too large for memory goes."""
        limit_bytes = self.adj.body_limit_bytes(self.command, self.request_uri)
        if limit_bytes != self.adj.max_request_body_size:
            self.adj = _limited(self.adj, limit_bytes)
        folder = self.adj.spool_folder()
        if folder is not None:
            self.body_rcv.buf = SpoolBuffer(self.adj.inbuf_overflow, folder)
