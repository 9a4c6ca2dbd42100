# SPDX-License-Identifier: MIT
"""An OpenID Connect provider on this machine, which can be slow, wrong, rotating and down."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.auth.makers import JWKS


class FakeProvider:
    """Attributes are what a test changes.

    Attributes:
        jwks: the document of keys; bytes are sent as they are.
        discovery: fields of the discovery document that differ.
        gate: a reply waits for it.
        asked: the paths of all requests.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.jwks: Any = JWKS
        self.discovery: dict[str, Any] = {}
        self.status = 200
        self.headers: dict[str, str] = {}
        self.redirects: dict[str, str] = {}
        self.gate = threading.Event()
        self.gate.set()
        self.arrived = threading.Event()
        self.asked: list[str] = []
        self.closed = False  # whether connections are closed without a reply

    def reply(self, path: str) -> tuple[int, dict[str, str], bytes]:
        if path in self.redirects:
            return 302, {"Location": self.redirects[path]}, b""
        body: Any = self.jwks
        if path.endswith("/.well-known/openid-configuration"):
            body = {"issuer": self.url, "jwks_uri": f"{self.url}/jwks.json", **self.discovery}
        return self.status, self.headers, body if isinstance(body, bytes) else json.dumps(body).encode()


@contextmanager
def fake_provider() -> Iterator[FakeProvider]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            provider.asked.append(self.path)
            provider.arrived.set()
            provider.gate.wait(30)
            if provider.closed:
                self.close_connection = True
                return
            status, headers, body = provider.reply(self.path)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                self.wfile.write(body)
            except OSError:  # who asked has gone
                pass

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    provider = FakeProvider(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield provider
    finally:
        provider.gate.set()
        server.shutdown()
        thread.join()
        server.server_close()
