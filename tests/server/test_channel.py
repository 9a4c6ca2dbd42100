# SPDX-License-Identifier: MIT
"""How a connection behaves on the wire."""

from __future__ import annotations

import hashlib
import io
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from minihttp.server import Server

from .wire import PATIENCE_SECONDS, Connection, exchange, running

BIG = bytes(range(256)) * 4096 * 15  # 15 MiB: more than any socket buffer
GATE = threading.Event()


def stream(chunks: int) -> Iterator[bytes]:
    for number in range(chunks):
        yield b"%08d" % number * 512


def broken_stream() -> Iterator[bytes]:
    yield b"begun"
    raise RuntimeError("half-way")


def echo(environ: dict[str, Any], start: Any) -> list[bytes]:
    body = environ["wsgi.input"].read()
    start("200 OK", [("Content-Length", str(len(body)))])
    return [body]


class ClosingLock:
    """Stands for the lock of a channel that the main loop closes while a handler waits for it."""

    def __init__(self, channel: Any) -> None:
        self.channel, self.lock = channel, channel.outbuf_lock
        channel.outbuf_lock = self

    def __enter__(self) -> None:
        self.channel.outbuf_lock = self.lock
        self.channel.handle_close()
        self.lock.acquire()

    def __exit__(self, *error: object) -> None:
        self.lock.release()


def app(environ: dict[str, Any], start: Any) -> Any:
    path = environ["PATH_INFO"]
    if path == "/echo":
        return echo(environ, start)
    if path == "/closing":
        ClosingLock(environ["waitress.client_disconnected"].__self__)
    if path == "/gate":
        GATE.wait(PATIENCE_SECONDS)
    if path in ("/204", "/304"):
        start(f"{path[1:]} Nothing", [])
        return []
    bodies: dict[str, Any] = {
        "/big": [BIG],
        "/pieces": [BIG[i : i + 65_536] for i in range(0, len(BIG), 65_536)],
        "/stream": stream(100),
        "/broken": broken_stream(),
        "/empty": [],
        "/text": iter(["text"]),
    }
    if path == "/file":
        start("200 OK", [("Content-Length", str(len(BIG)))])
        return environ["wsgi.file_wrapper"](io.BytesIO(BIG))
    body = bodies.get(path, [b"hello " + path.encode()])
    lengths = [("Content-Length", str(sum(map(len, body))))] if isinstance(body, list) else []
    start("200 OK", [("Content-Type", "text/plain"), *lengths])
    return body if environ["REQUEST_METHOD"] != "HEAD" else []


@pytest.fixture
def server() -> Iterator[Server]:
    GATE.clear()
    with running(app) as server:
        yield server
        GATE.set()


def test_many_requests_on_one_connection(server: Server) -> None:
    with Connection(server) as client:
        for number in range(20):
            reply = client.get(f"/{number}")
            assert (reply.status, reply.body) == (200, b"hello /%d" % number)
            assert reply.headers["server"] == "minihttp"


def test_head_has_the_length_and_no_body(server: Server) -> None:
    with Connection(server) as client:
        assert client.get("/", method="HEAD").headers["content-length"] == "7"
        assert client.get("/x").body == b"hello /x"


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_body_keeps_the_framing(server: Server, status: int) -> None:
    replies = exchange(server, b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % status)
    assert [(r.status, r.body) for r in replies] == [(status, b"")]
    assert not {"transfer-encoding", "content-type", "content-length"} & set(replies[0].headers)


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/204"), ("GET", "/304"), ("GET", "/stream"), ("HEAD", "/stream")]
)
def test_a_reply_without_a_length_leaves_the_connection_open(server: Server, method: str, path: str) -> None:
    with Connection(server) as client:
        assert "connection" not in client.get(path, method=method).headers
        assert client.get("/x").body == b"hello /x"


def test_text_instead_of_bytes_is_a_500(server: Server) -> None:
    with Connection(server) as client:
        assert client.get("/text").status == 500
        assert client.get("/x").body == b"hello /x"


def test_an_empty_body(server: Server) -> None:
    with Connection(server) as client:
        assert client.get("/empty").body == b""
        assert client.get("/x").body == b"hello /x"


def test_http_10_closes_and_keeps_alive_when_asked(server: Server) -> None:
    with Connection(server) as client:
        reply = client.get("/a", "Connection: keep-alive", version="1.0")
        assert (reply.version, reply.headers["connection"]) == ("HTTP/1.0", "Keep-Alive")
        assert client.get("/b", version="1.0").body == b"hello /b"
        assert client.is_closed()


def test_close_counts_among_other_options(server: Server) -> None:
    with Connection(server) as client:
        assert client.get("/a", "Connection: TE, Close").headers["connection"] == "close"
        assert client.is_closed()


def test_http_10_streams_without_chunks(server: Server) -> None:
    with Connection(server) as client:
        reply = client.get("/stream", version="1.0")
        assert "transfer-encoding" not in reply.headers
        assert reply.body == b"".join(stream(100))


def test_connection_close(server: Server) -> None:
    with Connection(server) as client:
        assert client.get("/a", "Connection: close").headers["connection"] == "close"
        assert client.is_closed()


def test_a_stream_is_chunked(server: Server) -> None:
    with Connection(server) as client:
        assert client.get("/stream").body == b"".join(stream(100))


def test_a_stream_that_raises_is_cut(server: Server) -> None:
    with Connection(server) as client:
        with pytest.raises(ConnectionError):
            client.get("/broken")


def test_pipelined_requests_are_answered_in_order(server: Server) -> None:
    requests = [b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % n for n in range(50)]
    assert [r.body for r in exchange(server, b"".join(requests))] == [b"hello /%d" % n for n in range(50)]


def test_pipelined_requests_with_bodies(server: Server) -> None:
    chunked = b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    sized = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\ndefg"
    assert [r.body for r in exchange(server, (chunked + sized) * 10)] == [b"abc", b"defg"] * 10


def test_a_request_sent_while_another_is_served(server: Server) -> None:
    with Connection(server) as client:
        client.send(b"GET /gate HTTP/1.1\r\nHost: a\r\n\r\n")
        client.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n" + b"x" * 100_000)
        with Connection(server) as other:
            assert other.get("/x").status == 200
        GATE.set()
        assert client.read().body == b"hello /gate"
        client.send(b"x" * 100_000)
        assert len(client.read().body) == 200_000


def test_expect_continue(server: Server) -> None:
    head = b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
    with Connection(server) as client:
        client.send(head)
        assert client.read_head().status == 100
        client.send(b"abc")
        assert client.read().body == b"abc"
        client.send(b"GET /gate HTTP/1.1\r\nHost: a\r\n\r\n" + head)  # while another request is served
        GATE.set()
        assert client.read().body == b"hello /gate"
        assert client.read_head().status == 100
        client.send(b"def")
        assert client.read().body == b"def"


@pytest.mark.parametrize("path", ["/big", "/pieces", "/file"])
def test_a_large_reply_to_the_only_client(server: Server, path: str) -> None:
    with Connection(server) as client:
        assert client.get(path).body == BIG
        assert client.get("/after").body == b"hello /after"


@pytest.mark.parametrize("path", ["/big", "/pieces", "/file"])
def test_a_slow_reader_gets_everything_and_disturbs_nobody(server: Server, path: str) -> None:
    with Connection(server, receive_buffer_bytes=4096) as slow:
        slow.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        head = slow.read_head()
        for number in range(10):
            with Connection(server) as other:
                assert other.get(f"/{number}").status == 200
        body = slow.file.read(int(head.headers["content-length"]))
        assert hashlib.sha256(body).digest() == hashlib.sha256(BIG).digest()
        assert slow.get("/after").body == b"hello /after"


def test_a_client_that_closed_its_sending_half_is_answered(server: Server) -> None:
    with Connection(server) as client:
        client.send(b"GET /gate HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
        client.socket.shutdown(socket.SHUT_WR)
        with Connection(server) as other:
            assert other.get("/x").status == 200
        GATE.set()
        assert [client.read().body, client.read().body] == [b"hello /gate", b"hello /2"]
        assert client.is_closed()


def test_clients_that_leave_do_no_harm(server: Server) -> None:
    for path in ("/big", "/stream", "/file", "/gate"):
        client = Connection(server, receive_buffer_bytes=4096)
        client.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset
        client.close()
    GATE.set()
    with Connection(server) as client:
        assert client.get("/x").status == 200


def test_a_connection_closed_under_a_handler_is_no_error(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    with Connection(server) as client:
        client.send(b"GET /closing HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.is_closed()
    with Connection(server) as client:
        assert client.get("/x").status == 200
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_a_hundred_connections_at_once(server: Server) -> None:
    clients = [Connection(server) for _ in range(100)]  # with 256 descriptors for both ends
    try:
        for client in clients:
            client.send(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
        assert {client.read().body for client in clients} == {b"hello /x"}
        assert {client.get("/y").body for client in clients} == {b"hello /y"}
    finally:
        for client in clients:
            client.close()
