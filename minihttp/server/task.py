# SPDX-License-Identifier: MIT
"""Tasks: the response to one request, made by a handler thread and reported as one `Served`.

A task knows its request's id, and can be left half-way while its client takes what there is: it is paused,
and goes on in any thread. Knows nothing of formats or counters.
"""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from time import perf_counter, time
from typing import Any

from waitress.buffers import ReadOnlyFileBasedBuffer
from waitress.channel import ClientDisconnected
from waitress.task import Task, WSGITask

from ..errors import HTTPError
from ..http.error_response import response_for
from ..http.headers import connection_options
from ..http.request import request_id
from ..http.response import Response
from ..logs import Served
from .heads import CANONICAL, Head, head_of, spelled
from .lean import LeanRequest

log = logging.getLogger("minihttp.server")

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")  # what a proxy may hand us to be written into our log
_BEFORE_THE_PATH = re.compile(r"^[^/*]+(//[^/]*)?")  # of a target in absolute form; it may hold a password
_MAX_METHOD_CHARACTERS = 20  # no method of a registry is longer, and a stranger's may be 64 KiB
_MAX_MESSAGE_CHARACTERS = 200  # waitress quotes what was sent
_MAX_JOINED_BYTES = 65_536  # a larger first piece is sent by itself: joining would copy it
_RETRY_SECONDS = "5"


class ResponseTask(Task):  # type: ignore[misc]
    """What both kinds of tasks share. `channel.server` has `draining`, `report` and `proxies`.

    Attributes:
        is_paused: there is more to say, when the client has taken most of what was said.
    """

    environ: dict[str, Any] | None = None
    wrote_header: bool
    logged_write_excess: bool
    is_paused = False
    has_body = True
    chunked_response: bool
    body_bytes = 0
    is_cut = False  # by an error of the application, half-way
    _began: float | None = None
    _head: Head | None = None  # as the application gave it

    def service(self) -> None:
        """Goes on as far as the client takes the response.

        Raises:
            ClientDisconnected: the client has gone.
        """
        if self._began is None:
            self._began = perf_counter()
        complete = False
        try:
            if not self.channel.connected:
                self.abandon()
                raise ClientDisconnected
            if not self.is_paused:
                self.start_time = time()
            self.is_paused = False
            self.execute()
            if not self.is_paused and (self.chunked_response or not self.wrote_header):
                self.finish()
            complete = not self.is_cut
        except OSError:
            self.close_on_finish, complete = True, not self.is_cut
        finally:
            report = self.channel.server.report
            if report is not None and self.wrote_header and not self.is_paused:
                report(self._served(perf_counter() - self._began, complete))  # if not, a 500 reports

    def abandon(self) -> None:
        """Gives up what is paused."""
        self.is_paused = False

    def park(self) -> bool:
        """Whether a paused task waits for something else than its client."""
        return False

    def build_response_header(self) -> bytes:
        """The head of the response: the application's fields, those of the connection, Server and Date.

        As waitress makes it, at a third of its cost, but for two things: waitress closes for want of a
        Content-Length, though chunks, a 204 and a 304 tell their end without one (RFC 9112 §6.3), and ends
        the response to a HEAD by a last chunk.
        """
        request, head = self.request, self._head
        if (
            head is not None
            and head.is_whole
            and head.content_length == self.content_length
            and request.__class__ is LeanRequest
            and not (self.close_on_finish or self.channel.server.draining)
        ):
            return head.at(int(self.start_time), self.channel.adj.ident)
        sent = request.connection
        if self.channel.server.draining or request.is_unread or "close" in connection_options(sent):
            self.set_close_on_finish()  # so that the client does not send its next request here
        has_body = self.has_body
        fields = [(CANONICAL[name], value) for name, value in self.response_headers]
        if not has_body:
            fields = [field for field in fields if field[0] != "Content-Length"]
        given = dict(fields)
        has_length = "Content-Length" in given
        self.chunked_response = False
        if not has_length and self.content_length is not None and has_body:
            fields.append(("Content-Length", str(self.content_length)))
            has_length = True
        if self.version == "1.0":
            if not (has_length and sent.lower() == "keep-alive"):
                self.close_on_finish = True
            if "Connection" not in given:
                fields.append(("Connection", "close" if self.close_on_finish else "Keep-Alive"))
        elif has_body and not has_length:
            fields.append(("Transfer-Encoding", "chunked"))
            self.chunked_response = request.command != "HEAD"
        return spelled(self.version, self.status, fields, int(self.start_time), self.channel.adj.ident)

    def write(self, data: bytes) -> None:
        """Sends a piece of the body; the head waits for the first one, and goes out with it."""
        if isinstance(data, str):  # found out before the head is made, so that it is a 500
            raise TypeError("the pieces of a response body are bytes, not str")
        if not self.complete:
            raise RuntimeError("start_response was not called before body written")
        size = len(data)
        head = b"" if self.wrote_header else self.build_response_header()
        piece = self._framed(data, size) if size else b""
        self.wrote_header = True
        if head and len(piece) > _MAX_JOINED_BYTES:
            self.channel.write_soon(head)
            head = b""
        self.channel.write_soon(head + piece if head else piece)
        self.body_bytes += size

    def _framed(self, data: bytes, size: int) -> bytes:
        """A piece of the body as it is sent: no more of it than the head has announced."""
        if not self.has_body:
            self.content_bytes_written += size
            self._warn_once("what the application wrote was not sent: a response %s has no body", self.status)
            return b""
        if self.chunked_response:
            return b"%X\r\n%b\r\n" % (size, data)
        length = self.content_length
        if length is None:
            return data
        left = length - self.content_bytes_written
        if left < size:
            self._warn_once("a response has more bytes than the %s it announced", length)
            data, size = data[:left], left
        self.content_bytes_written += size
        return data

    def _warn_once(self, message: str, value: object) -> None:
        if not self.logged_write_excess:
            self.logged_write_excess = True
            log.warning(message, value)

    def _served(self, seconds: float, complete: bool) -> Served:
        request, environ, body_bytes = self.request, self.environ or {}, self.body_bytes
        method = request.command
        if request.__class__ is LeanRequest:
            path = request.path
        else:
            method, path = method[:_MAX_METHOD_CHARACTERS], request.request_uri.partition("?")[0]
            if not path.startswith("/"):
                path = _BEFORE_THE_PATH.sub("", path) or "-"
        if not body_bytes and self.has_body and method != "HEAD":
            body_bytes = self.content_length or 0  # of a file
        found, status = environ.get, int(self.status[:3])
        route, id, client = found("minihttp.route"), found("minihttp.request_id"), found("REMOTE_ADDR")
        client = client or self.channel.addr[0]
        return Served(self.start_time, method, route, path, status, seconds, body_bytes, id, client, complete)


class Suspension:
    """A request that stays open without a thread until somebody knows the answer."""

    __slots__ = ("_channel", "_is_parked", "_lock", "answer")

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        self._lock = threading.Lock()
        self._is_parked = False
        self.answer: Callable[[Any], Iterable[bytes]] | None = None

    def resume(self, answer: Callable[[Any], Iterable[bytes]]) -> None:
        """Take the answer, start_response -> body, from any thread, perhaps before the request is parked."""
        with self._lock:
            self.answer = answer
            was_parked = self._is_parked
        if was_parked:
            self._channel.server.add_task(self._channel)

    def park(self) -> bool:
        """Leave the request open; False where the answer has come already."""
        with self._lock:
            self._is_parked = self.answer is None
            return self._is_parked


class ApplicationTask(ResponseTask, WSGITask):  # type: ignore[misc]
    """A request for the application."""

    complete: bool
    _suspension: Suspension | None = None  # the application will answer later
    _body: Iterable[bytes] | None = None  # what the application returned
    _pieces: Iterator[bytes] = iter(())

    def get_environment(self) -> dict[str, Any]:
        request = self.request
        if request.__class__ is LeanRequest:
            environ: dict[str, Any] = request.environ_on(self.channel)
            self.environ = environ
        else:
            environ = super().get_environment()
            digest = getattr(request.body_rcv and request.body_rcv.getbuf(), "digest", None)
            if digest is not None:
                environ["minihttp.body_sha256"] = digest.finish
        if request.__class__ is not LeanRequest or request.fields.are_of_proxy:
            self._apply_proxies(environ)
        else:
            request_id(environ)
        environ["minihttp.suspend"] = self._suspend
        if environ["PATH_INFO"].startswith("/_/"):
            environ["minihttp.server_state"] = self.channel.server.state
        return environ

    def _apply_proxies(self, environ: dict[str, Any]) -> None:
        proxies = self.channel.server.proxies
        given = environ.get("HTTP_X_REQUEST_ID", "")
        if given and proxies.trusts(self.channel.addr[0]) and _REQUEST_ID.fullmatch(given):
            environ["minihttp.request_id"] = given
        request_id(environ)
        try:
            proxies.apply(environ)
        except HTTPError:
            self.set_close_on_finish()
            raise

    def _suspend(self) -> Callable[[Callable[[Any], Iterable[bytes]]], None]:
        """Let the application return before it knows the answer (`http/deferred.py`)."""
        self._suspension = Suspension(self.channel)
        return self._suspension.resume

    def park(self) -> bool:
        """Whether nothing can be done before the application's answer comes, which brings the task back."""
        return self._suspension is not None and self._suspension.park()

    def start_response(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        """As PEP 3333 has it."""
        if exc_info:
            if self.wrote_header:
                raise exc_info[1]
        elif self.complete:
            raise AssertionError("start_response was called twice")
        self._head = head = head_of(status, headers)
        self.complete, self.status, self.response_headers = True, status, list(headers)
        self.has_body, self.content_length = head.has_body, head.content_length
        return self.write

    def execute(self) -> None:
        """Calls the application, and sends its body as far as the client takes it.

        An error of the application is logged under the request's id. One before the first byte is answered
        like any other, one half-way cuts the response.
        """
        try:
            try:
                self._run()
            finally:
                if not self.is_paused:
                    self.abandon()
        except ClientDisconnected:
            raise
        except BaseException as error:  # SystemExit too: a thread that ends here would never answer
            assert self.environ is not None
            if not self.wrote_header:
                self._answer(response_for(error, self.environ))
                return
            label = self.environ["REQUEST_METHOD"], self.environ.get("minihttp.route", "?")
            kind, id = type(error).__name__, self.environ["minihttp.request_id"]
            log.error("%s %s was cut half-way by %s request_id=%s", *label, kind, id, exc_info=error)
            self.is_cut, self.chunked_response = True, False  # no last chunk, which would say it is whole
            self.set_close_on_finish()

    def abandon(self) -> None:
        """Ends what the application returned, or would have answered."""
        self.is_paused = False
        suspension, self._suspension = self._suspension, None
        if suspension is not None and suspension.answer is not None:
            self._body = suspension.answer(lambda status, headers, exc_info=None: None)
        self._close_body()

    def _close_body(self) -> None:
        body, self._body, self._pieces = self._body, None, iter(())
        close = getattr(body, "close", None)
        if close is not None:
            close()

    def _run(self) -> None:
        body = self._body
        if self._suspension is not None:
            answer, self._suspension = self._suspension.answer, None
            assert answer is not None
            body = self._body = answer(self.start_response)
            self._pieces = iter(body)
        elif body is None:
            body = self._body = self.channel.server.application(self.get_environment(), self.start_response)
            if self._suspension is not None:
                self._close_body()  # it is empty, and the one of the answer takes its place
                self.is_paused = True
                return
            if isinstance(body, ReadOnlyFileBasedBuffer) and self._send_file(body):
                self._body = None  # the channel closes it
                return
            self._pieces = iter(body)
        for piece in self._pieces:
            if not self.wrote_header and self.content_length is None and getattr(body, "__len__", int)() == 1:
                self.content_length = len(piece)
            if piece:
                self.write(piece)
                if self.channel.is_backed_up:
                    self.is_paused = True
                    return
            elif not self.channel.connected:  # which nobody hears of who writes nothing
                raise ClientDisconnected
        length = self.content_length
        if length is not None and self.content_bytes_written != length and self.request.command != "HEAD":
            log.warning(
                "a response has %d bytes, not the %d it announced", self.content_bytes_written, length
            )
            self.set_close_on_finish()

    def _send_file(self, file: Any) -> bool:
        """Hands a file over to the channel; False for an empty one."""
        size = file.prepare(self.content_length)
        if not size:
            return False
        if self.content_length not in (None, size):
            self.remove_content_length_header()
        self.content_length = size
        self.write(b"")
        self.channel.write_soon(file)
        return True

    def _answer(self, response: Response) -> None:
        """Sends `response` in the place of what the application has begun to say."""
        environ = self.environ or {}
        if "minihttp.cors" in environ:  # or a page could not read why
            environ["minihttp.cors"].apply(response.headers, environ.get("HTTP_ORIGIN"))
        self.complete = False
        for piece in response(environ, self.start_response):
            self.write(piece)


class RefusalTask(ResponseTask):
    """A request that the server refuses by itself (400, 413, 431, 501, 503, 507), as the app would."""

    complete = True

    def execute(self) -> None:
        error = self.request.error
        message = f"{error.reason}: {error.body}"[:_MAX_MESSAGE_CHARACTERS]
        body = json.dumps({"error": message}, separators=(",", ":")).encode()
        self.status = f"{error.code} {error.reason}"
        self.response_headers.append(("Content-Type", "application/json"))
        self.response_headers.append(("X-Content-Type-Options", "nosniff"))
        if error.code == 503:
            self.response_headers.append(("Retry-After", _RETRY_SECONDS))
        self.content_length = len(body)
        self.set_close_on_finish()
        self.write(body)

    def _served(self, seconds: float, complete: bool) -> Served:
        served = super()._served(seconds, complete)
        pattern = self.channel.adj.find_pattern(self.request)  # the path of a route may hold a secret
        return served if pattern is None else served._replace(route=pattern)
