# SPDX-License-Identifier: MIT
"""Serving on the standard library alone, for a machine without waitress: `wsgiref` with a thread a request.

It lacks what waitress and our patches give: speed, protection from slow clients, chunked request bodies, and
a drain that waits for downloads.
"""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Callable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from ..errors import ConfigurationError
from ..logs import Served

LACKS = "without waitress, on the standard library: slow, no defence against slow clients, no chunked bodies"
_SILENT_SECONDS = 60.0
_MAX_LINE_BYTES = 64 * 1024


class _Handler(WSGIRequestHandler):
    timeout = _SILENT_SECONDS
    server: _Server

    def handle(self) -> None:
        self._started, self._status = time.time(), 0
        try:
            super().handle()
        except (OSError, ValueError):  # the client left, or is too slow
            pass

    def get_environ(self) -> dict[str, Any]:
        environ = super().get_environ()
        environ["REQUEST_URI"] = self.path
        environ["REMOTE_ADDR"] = self.client_address[0]
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            environ["CONTENT_LENGTH"] = "unknown"  # the app refuses it
        self._environ = environ
        return environ

    def address_string(self) -> str:
        return str(self.client_address[0])  # no look-up of names

    def log_request(self, code: Any = "-", size: Any = "-") -> None:
        if self.server.report is not None and str(code).isdigit():
            environ = getattr(self, "_environ", {})
            path = self.path.partition("?")[0]
            route, request_id = environ.get("minihttp.route"), environ.get("minihttp.request_id")
            facts = (self.command[:20], route, path, int(code), time.time() - self._started)
            body_bytes = int(size) if str(size).isdigit() else 0
            client = self.address_string()
            self.server.report(Served(self._started, *facts, body_bytes, request_id, client, True))

    def log_message(self, format: str, *args: Any) -> None:
        return


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    report: Callable[[Served], None] | None = None

    @property
    def url(self) -> str:
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}"

    def server_bind(self) -> None:  # without the look-up of the host's name
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()


def serve(
    app: Any,
    *,
    host: str,
    port: int,
    grace_seconds: float,
    ready: Callable[[Any], None],
    report: Callable[[Served], None] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; requests in flight have `grace_seconds` to end.

    Raises:
        ConfigurationError: the address cannot be used, or stored documents do not match the schema.
    """
    try:
        server = _Server((host, port), _Handler)
    except OSError as error:
        raise ConfigurationError(f"cannot listen on {host}:{port}: {error.strerror}") from None
    server.report = report
    server.set_app(app)

    refusals: list[Exception] = []

    def stop(number: int, frame: Any) -> None:
        threading.Thread(target=server.shutdown).start()

    def refuse(error: Exception) -> None:
        refusals.append(error)
        server.shutdown()

    try:
        app.listen_on(host)
        app.when_refused(refuse)
        app.prepare()
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, stop)
        ready(server)
        server.serve_forever(poll_interval=0.1)
        if refusals:
            raise refusals[0]
    finally:
        server.socket.close()
        end = time.monotonic() + grace_seconds
        for thread in list(threading.enumerate()):
            if thread.name.endswith("(process_request_thread)"):
                thread.join(max(0.0, end - time.monotonic()))
        app.close(max(0.0, end - time.monotonic()))
