# SPDX-License-Identifier: MIT
"""A request parser that refuses what waitress lets through and RFC 9112 forbids, and reads no body in vain.

Two fields where one may be (a second Host or Content-Type steers one of two readers), any doubt about where
the body ends (request smuggling), and versions that are not HTTP/1. Each is a 400, and the connection is
closed. When the head has come, the application says how large a body may be, or that it needs none to answer.
Knows nothing of applications.
"""

from __future__ import annotations

import logging
import re
from time import monotonic
from typing import Any

from waitress.parser import HTTPRequestParser, ParsingError, TransferEncodingNotImplemented
from waitress.utilities import (
    BadRequest,
    Error,
    RequestEntityTooLarge,
    RequestHeaderFieldsTooLarge,
    ServerNotImplemented,
)

from ..http.target import MAX_PATH_CHARACTERS
from .buffers import BodyBuffer, SpoolFullError
from .min_rate import MinRate
from .receiver import ChunkedReceiver

log = logging.getLogger("minihttp.server")

PROBES = frozenset(("/_/health", "/_/ready"))
MAX_FIELDS = 100
_SINGLE_FIELDS = re.compile(
    rb"\n(host|content-type|content-length|transfer-encoding|authorization|expect)[ \t]*:", re.IGNORECASE
)
_ADDED = re.compile(rb"\n(?:x-forwarded-[a-z]+|x-request-id):", re.IGNORECASE)
_PROXY_FIELDS = 8
_BEFORE_THE_PATH = 300  # method, scheme and authority
_PLAIN_CHUNKED = re.compile(rb"\ntransfer-encoding:[ \t]*chunked[ \t]*\r", re.IGNORECASE)
_VERSIONS = ("1.0", "1.1")
_BARE = {"CONTENT_TYPE", "CONTENT_LENGTH"}  # in an environ without HTTP_


class _NoRoom(Error):  # type: ignore[misc]
    code = 507
    reason = "Insufficient Storage"


class _TooLong(Error):  # type: ignore[misc]
    code = 414
    reason = "URI Too Long"


class Busy(Error):  # type: ignore[misc]
    """The server has no room for this request now."""

    code = 503
    reason = "Service Unavailable"


class Parser(HTTPRequestParser):  # type: ignore[misc]
    """Reads one request.

    Args:
        adj: the server's settings.
        probes_only: whether anything but a probe is refused.

    Attributes:
        is_unread: its body was left on the connection, since its head decides the response.
    """

    adj: Any
    body_rcv: Any
    error: Error | None
    header_plus: bytes
    command = request_uri = "-"  # until the head is read, or where it cannot be
    path = ""
    is_unread = False
    _rate: MinRate | None = None

    def __init__(self, adj: Any, probes_only: bool = False) -> None:
        super().__init__(adj)
        self.began = monotonic()
        self._probes_only = probes_only

    def is_late(self, now: float) -> bool:
        """Whether it has been arriving for too long; `now` is of the monotonic clock."""
        if self._rate is None:
            self._rate = MinRate(self.began, self.adj)
        return self._rate.is_late(now, self.body_bytes_received)

    def restart_clock(self, now: float) -> None:
        """The time until now was not its fault."""
        self._rate = MinRate(now, self.adj, self.body_bytes_received)

    @property
    def is_probe(self) -> bool:
        """Whether it asks how the server is, by the very target and no other spelling of it."""
        return self.request_uri in PROBES and self.command in ("GET", "HEAD")

    @property
    def connection(self) -> str:
        """The Connection field, "" where there is none."""
        return str(self.headers.get("CONNECTION", ""))

    def received(self, data: bytes) -> int:
        """Takes the next bytes of the connection; returns how many of them belong to this request.

        A body that the disk has no room for is refused, and what it took freed.
        """
        if self.completed:
            return 0
        try:
            return self._receive_body(data) if self.headers_finished else self._receive_head(data)
        except SpoolFullError:
            self._refuse(Busy("too many large bodies are on their way"))
        except OSError as error:
            log.error("a request body cannot be spooled: %s", error)
            self._refuse(_NoRoom("the request body cannot be kept"))
        return len(data)

    def _refuse(self, error: Error) -> None:
        self.error, self.completed, self.expect_continue = error, True, False
        self.close()

    def _receive_head(self, data: bytes) -> int:
        before = len(self.header_plus)
        block = self.header_plus + data if before else data
        # One empty line is what some clients send after a body (RFC 9112 §2.2).
        start = 2 if block.startswith(b"\r\n") else 0
        if block.startswith(b"\r\n", start) and start:
            self._refuse(BadRequest("more than one empty line is there before a request"))
            return len(data)
        end = block.find(b"\r\n\r\n", max(start, before - 3))
        size = len(block) if end < 0 else end
        if size >= self.adj.max_request_header_size:
            limit = self.adj.max_request_header_size
            self._refuse(RequestHeaderFieldsTooLarge(f"the head has {limit} bytes or more"))
            return len(data)
        if end < 0:
            self.header_plus = block
            return len(data)
        self.header_plus, self.headers_finished = b"", True
        try:
            self._read_head(block[start : end + 2])
            return end + 4 - before + self._expect_body(len(block) - end - 4)
        except ParsingError as error:
            self._refuse(BadRequest(error.args[0]))
        except TransferEncodingNotImplemented as error:
            self._refuse(ServerNotImplemented(error.args[0]))
        return len(data)

    def _receive_body(self, data: bytes) -> int:
        receiver = self.body_rcv
        taken = int(receiver.received(data))
        self.body_bytes_received += taken
        if receiver.error:
            self._refuse(receiver.error)
        elif receiver.completed:
            self.completed = True
            if self.chunked:  # for the application it is a body like any other
                self.headers["CONTENT_LENGTH"] = str(len(receiver))
        return taken

    def close(self) -> None:
        """Free the body's file, at once and not when the garbage is collected; a second call does nothing."""
        body, self.body_rcv = self.body_rcv, None
        if body is not None:
            try:
                body.getbuf().close()
            except OSError:  # it writes the rest before it closes
                pass

    def _read_head(self, head: bytes) -> None:
        """Checks and takes apart a head, each of whose lines ends with CR LF.

        Raises:
            ParsingError: a 400.
            TransferEncodingNotImplemented: a 501.
        """
        if head.count(b"\n") > MAX_FIELDS + 1 and self._count_fields(head) > MAX_FIELDS:
            self._refuse(RequestHeaderFieldsTooLarge(f"more than {MAX_FIELDS} fields are there"))
            return
        path = head[: head.find(b"\r\n")].partition(b"?")[0]
        if len(path) > MAX_PATH_CHARACTERS + _BEFORE_THE_PATH:  # what decodes it would take milliseconds
            self._refuse(_TooLong(f"the path has more than {MAX_PATH_CHARACTERS} characters"))
            return
        names = [name.lower() for name in _SINGLE_FIELDS.findall(head)]
        if len(set(names)) < len(names):
            raise ParsingError(f"{max(names, key=names.count).decode('ascii')} is there twice")
        if b"transfer-encoding" in names and b"content-length" in names:  # RFC 9112 §6.1
            raise ParsingError("both transfer-encoding and content-length are there")
        if b"\n " in head or b"\n\t" in head:  # RFC 9112 §5.2
            raise ParsingError("a header field is folded over several lines")
        try:
            self.parse_header(head)
        except ValueError:  # int() of more than 4,300 digits, urlsplit() of "http://["
            raise ParsingError("content-length is too long, or the target is no URL") from None
        if self.version not in _VERSIONS:
            raise ParsingError("the version of HTTP must be 1.0 or 1.1")
        if b"transfer-encoding" in names and not (self.chunked and _PLAIN_CHUNKED.search(head)):
            raise ParsingError("transfer-encoding must be chunked, once, in HTTP/1.1")
        if self.proxy_netloc and "HOST" in self.headers:  # an absolute target's counts (RFC 9112 §3.2.2)
            self.headers["HOST"] = self.proxy_netloc
        if self._probes_only and not self.is_probe:
            self._refuse(Busy("too many connections are open"))

    def _count_fields(self, head: bytes) -> int:
        """How many fields a client sent; a trusted proxy adds its own to as many as there may be."""
        count = head.count(b"\n") - 1
        return count - min(_PROXY_FIELDS, len(_ADDED.findall(head))) if self.adj.has_proxy else count

    def _expect_body(self, there_bytes: int) -> int:
        """What is done with the body, now that the head is read.

        Args:
            there_bytes: how many bytes came after the head already.

        Returns:
            How many of them are taken.
        """
        if self.error:
            return there_bytes
        if self.body_rcv is None:
            self.completed, self.expect_continue = True, False  # waitress would wait for an empty body
            return 0
        if not self.chunked and self.content_length <= min(there_bytes, self.adj.slack_bytes):
            self.expect_continue = False  # a small body that is there already costs less than the question
            self.body_rcv.buf = BodyBuffer(self.adj.inbuf_overflow, self.adj.budget)
            return 0
        plan = self.adj.plan_body(self)
        if plan is None:
            return self._leave_body(there_bytes)
        max_bytes, folder = plan
        slack_bytes = 0 if self.expect_continue else self.adj.slack_bytes
        if self.content_length > max_bytes + slack_bytes:
            self._refuse(RequestEntityTooLarge(f"the body is larger than {max_bytes} bytes"))
            return there_bytes
        budget = self.adj.budget
        is_large = self.content_length > self.adj.inbuf_overflow
        if is_large and not budget.has_room(self.content_length, folder):
            raise SpoolFullError
        buffer = BodyBuffer(self.adj.inbuf_overflow, budget, folder)
        if self.chunked:
            self.body_rcv = ChunkedReceiver(buffer, max_bytes + slack_bytes)
        else:
            self.body_rcv.buf = buffer
        return 0

    def _leave_body(self, there_bytes: int) -> int:
        """The response does not depend on the body: it is not waited for, nor asked for."""
        self.body_rcv, self.completed, self.expect_continue = None, True, False
        if not self.chunked and self.content_length <= there_bytes:
            return int(self.content_length)
        self.is_unread = True
        return there_bytes

    def environ(self) -> dict[str, str]:
        """What an application needs to know of the head to say what is done with the body."""
        environ = {name if name in _BARE else f"HTTP_{name}": text for name, text in self.headers.items()}
        environ["REQUEST_METHOD"], environ["REQUEST_URI"] = self.command, self.request_uri
        environ["QUERY_STRING"] = self.query
        return environ
