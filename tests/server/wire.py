# SPDX-License-Identifier: MIT
"""A server in a thread, and a client that sends raw bytes and reads whole replies."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from minihttp.server import Server

PATIENCE_SECONDS = 60.0  # a test that hangs fails; none waits so long
NEVER_SECONDS = 1000.0  # the loop is not to turn by itself, so that a wake-up which is missed hangs the test


class Reply(NamedTuple):
    """One reply as it was sent. `headers` has lower-case names; `body` is without chunk framing."""

    status: int
    headers: dict[str, str]
    body: bytes
    version: str


@contextmanager
def running(app: Any, **settings: Any) -> Iterator[Server]:
    """A server for `app` on a free port, in a thread of its own; drained at the end."""
    server = Server(app, port=0, **{"threads": 4, "grace_seconds": PATIENCE_SECONDS, **settings})
    thread = threading.Thread(target=server.run, args=(NEVER_SECONDS,))
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive(), "the server did not end"


class Connection:
    """A client connection: `send` bytes, `read` replies one after the other."""

    def __init__(self, server: Server, receive_buffer_bytes: int | None = None) -> None:
        self.socket = socket.socket()
        if receive_buffer_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        self.socket.settimeout(PATIENCE_SECONDS)
        try:
            self.socket.connect((server.host, server.port))
        except OSError:
            self.socket.close()
            raise
        self.file = self.socket.makefile("rb")

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self.file.close()
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def get(self, path: str = "/", *headers: str, method: str = "GET", version: str = "1.1") -> Reply:
        lines = [f"{method} {path} HTTP/{version}", "Host: example.com", *headers, "", ""]
        self.send("\r\n".join(lines).encode("latin-1"))
        return self.read(method == "HEAD")

    def read_head(self) -> Reply:
        first = self.file.readline()
        assert first, "the connection was closed without a reply"
        version, status = first.decode("latin-1").split()[:2]
        headers: dict[str, str] = {}
        while line := self.file.readline().decode("latin-1").rstrip("\r\n"):
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return Reply(int(status), headers, b"", version)

    def read(self, without_body: bool = False) -> Reply:
        reply = self.read_head()
        if without_body or reply.status in (204, 304) or reply.status < 200:
            return reply
        if reply.headers.get("transfer-encoding") == "chunked":
            return reply._replace(body=b"".join(self._chunks()))
        if "content-length" in reply.headers:
            return reply._replace(body=self.file.read(int(reply.headers["content-length"])))
        return reply._replace(body=self.file.read())

    def _chunks(self) -> Iterator[bytes]:
        while line := self.file.readline():
            size = int(line, 16)
            data = self.file.read(size)
            self.file.readline()
            if not size:
                return
            yield data
        raise ConnectionError("the reply was cut")

    def is_closed(self) -> bool:
        """Whether the server closes the connection, now that everything was read."""
        try:
            return not self.file.read(1)
        except ConnectionResetError:
            return True


def posted(server_url: str, target: str, size_bytes: int, headers: Mapping[str, str] | None = None) -> int:
    """The status of a POST of so many bytes, which may be refused before they are all sent."""
    client = http.client.HTTPConnection(urlsplit(server_url).netloc, timeout=PATIENCE_SECONDS)
    try:
        with suppress(BrokenPipeError, ConnectionResetError):
            client.request("POST", target, bytes(size_bytes), dict(headers or {}))
        return client.getresponse().status
    finally:
        client.close()


def exchange(server: Server, data: bytes) -> list[Reply]:
    """All the replies to `data` on a connection of its own, whose sending half is then closed."""
    with Connection(server) as client:
        client.send(data)
        client.socket.shutdown(socket.SHUT_WR)
        replies = []
        while client.file.peek(1):
            replies.append(client.read(b"HEAD" in data[:4]))
        return replies
