# SPDX-License-Identifier: MIT
"""Tasks that know their request's id, and report what they served: one `Served` a request.

Knows nothing of formats or counters.
"""

from __future__ import annotations

import json
import logging
import re
import time
from typing import Any

from waitress.channel import ClientDisconnected
from waitress.task import ErrorTask, Task

from ..http.error_response import response_for
from ..http.headers import connection_options
from ..http.request import request_id
from ..http.response import Response
from ..logs import Served
from .channel import PatchedTask

log = logging.getLogger("minihttp.server")

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")  # what a proxy may hand us to be written into our log
_BEFORE_THE_PATH = re.compile(r"^[^/*]+(//[^/]*)?")  # of a target in absolute form; it may hold a password
_MAX_METHOD_CHARACTERS = 20  # no method of a registry is longer, and a stranger's may be 64 KiB
_MAX_MESSAGE_CHARACTERS = 200  # waitress quotes what was sent


class _Reporting(Task):  # type: ignore[misc]
    """What both kinds of tasks share. `channel.server` has `draining`, `report` and `trusted_proxy`."""

    environ: dict[str, Any] | None = None
    body_bytes = 0
    is_cut = False  # by an error of the application, half-way
    is_framed = False  # its end can be told from the connection's

    def build_response_header(self) -> bytes:
        options = connection_options(self.request.headers.get("CONNECTION", ""))
        if self.channel.server.draining or "close" in options:
            self.set_close_on_finish()  # so that the client does not send its next request here
        self.is_framed = self.version == "1.1"
        head: bytes = super().build_response_header()
        self.is_framed = False
        if getattr(self.request, "command", "-") == "HEAD":
            self.chunked_response = False  # not even the last chunk, which has no data
        return head

    def set_close_on_finish(self) -> None:
        """While the head is made, waitress would close for want of a Content-Length, though chunks, a 204 and
        a 304 tell their end without one (RFC 9112 §6.3).
        """
        if not self.is_framed:
            super().set_close_on_finish()

    def write(self, data: bytes) -> None:
        if isinstance(data, str):  # waitress finds out when the head is made, too late for a 500
            raise TypeError("the pieces of a response body are bytes, not str")
        super().write(data)
        self.body_bytes += len(data)

    def service(self) -> None:
        report = self.channel.server.report
        if report is None:
            super().service()
            return
        began, complete = time.perf_counter(), False
        try:
            super().service()
            complete = not self.is_cut
        finally:
            if self.wrote_header:  # if not, waitress answers 500 by another task, which reports
                report(self._served(time.perf_counter() - began, complete))

    def _served(self, seconds: float, complete: bool) -> Served:
        request, environ = self.request, self.environ or {}
        path = getattr(request, "request_uri", "-").partition("?")[0]
        if not path.startswith("/"):
            path = _BEFORE_THE_PATH.sub("", path) or "-"
        is_file = not self.body_bytes and self.has_body and environ.get("REQUEST_METHOD") != "HEAD"
        return Served(
            self.start_time,
            getattr(request, "command", "-")[:_MAX_METHOD_CHARACTERS],
            environ.get("minihttp.route"),
            path,
            int(self.status[:3]),
            seconds,
            (is_file and self.content_length) or self.body_bytes,
            environ.get("minihttp.request_id"),
            environ.get("REMOTE_ADDR") or self.channel.addr[0],
            complete,
        )


class ApplicationTask(_Reporting, PatchedTask):
    """A request for the application."""

    def get_environment(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environment()
        trusted = self.channel.server.trusted_proxy
        given = environ.get("HTTP_X_REQUEST_ID", "") if trusted in (self.channel.addr[0], "*") else ""
        if _REQUEST_ID.fullmatch(given):
            environ["minihttp.request_id"] = given
        request_id(environ)
        if environ["PATH_INFO"].startswith("/_/"):
            environ["minihttp.server_state"] = self.channel.server.state
        return environ

    def execute(self) -> None:
        """As waitress does, but that an error of the application is logged under the request's id.

        An error before the first byte is answered like any other, one half-way cuts the response.
        """
        try:
            super().execute()
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

    def _answer(self, response: Response) -> None:
        """Sends `response` in the place of what the application has begun to say."""

        def start_response(status: str, headers: list[tuple[str, str]]) -> None:
            self.status, self.response_headers, self.complete = status, headers, True

        environ = self.environ or {}
        if "minihttp.cors" in environ:  # or a page could not read why
            environ["minihttp.cors"].apply(response.headers, environ.get("HTTP_ORIGIN"))
        self.content_length = None
        for piece in response(environ, start_response):
            self.write(piece)


class RefusalTask(_Reporting, ErrorTask):  # type: ignore[misc]
    """A request that the server refuses by itself (400, 413, 431, 501), in the form of the app's errors."""

    def execute(self) -> None:
        error = self.request.error
        body = json.dumps({"error": f"{error.reason}: {error.body}"[:_MAX_MESSAGE_CHARACTERS]}).encode()
        self.status = f"{error.code} {error.reason}"
        self.response_headers.append(("Content-Type", "application/json"))
        self.response_headers.append(("X-Content-Type-Options", "nosniff"))
        self.content_length = len(body)
        self.set_close_on_finish()
        self.write(body)
