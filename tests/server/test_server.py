# SPDX-License-Identifier: MIT
"""Drain, probes, reports, the listening socket."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from minihttp import App, Cors, HttpRouter, Response
from minihttp.errors import HTTPError
from minihttp.server import Served, Server
from minihttp.server.sockets import acked_bytes
from minihttp.tracebacks import users_frames
from tests.server.listening import BIG, Gated

from .wire import PATIENCE_SECONDS, Connection, running


def in_flight(server: Server, path: str) -> Connection:
    client = Connection(server, receive_buffer_bytes=4096)
    client.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    return client


def test_a_drain_finishes_what_is_in_flight_and_nothing_else() -> None:
    app = Gated()
    with running(app) as server:
        idle = Connection(server)
        assert idle.get("/x").status == 200
        download, slow = in_flight(server, "/big"), in_flight(server, "/gate")
        head = download.read_head()
        app.entered.acquire()
        server.stop()
        assert idle.is_closed()
        with pytest.raises(ConnectionRefusedError):
            Connection(server)
        assert download.file.read(int(head.headers["content-length"])) == BIG
        app.gate.set()
        reply = slow.read()
        assert (reply.status, reply.headers["connection"]) == (200, "close")
        assert slow.is_closed() and download.is_closed()
        for client in (idle, download, slow):
            client.close()


def test_a_drain_lets_a_body_arrive() -> None:
    with running(Gated()) as server, Connection(server) as client, Connection(server) as other:
        client.send(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc")
        assert other.get("/x").status == 200  # a connection that is new is left a second for its request
        while sum(arrived(server)) < 3:
            assert other.get("/x").status == 200
        server.stop()
        assert other.is_closed()
        client.send(b"def")
        assert client.read().status == 200


def test_a_drain_ends_with_the_grace() -> None:
    app = Gated()
    with running(app, grace_seconds=0.05) as server:
        client = in_flight(server, "/gate")
        app.entered.acquire()
        server.stop()
        assert client.is_closed()
        client.close()
        app.gate.set()


def test_a_handler_that_outlives_the_server_writes_to_no_other_file() -> None:
    app = Gated()
    with running(app, grace_seconds=0.01) as server:
        client = in_flight(server, "/gate")
        app.entered.acquire()
    pipe = os.pipe()  # has the numbers that the server's own had
    app.gate.set()
    server.stop()
    server._listener.pull_trigger()
    os.set_blocking(pipe[0], False)
    with pytest.raises(BlockingIOError):
        os.read(pipe[0], 1)
    os.close(pipe[0])
    os.close(pipe[1])
    client.close()


def test_probes_are_answered_while_every_thread_is_busy() -> None:
    app = Gated()
    with running(app, threads=2) as server:
        clients = [in_flight(server, "/gate") for _ in range(3)]
        app.entered.acquire()
        app.entered.acquire()
        with Connection(server) as probe:
            assert probe.get("/_/health").status == 200
        app.gate.set()
        for client in clients:
            assert client.read().status == 200
            client.close()


def test_a_head_that_never_ends_is_cut() -> None:
    with running(Gated()) as server, Connection(server) as slow, Connection(server) as other:
        slow.send(b"GET / HTTP/1.1\r\nX: ")
        while not under_way(server):
            assert other.get("/x").status == 200
        server._listener.maintenance(time.monotonic() + 25)
        slow.send(b"y")  # activity does not help
        assert other.get("/x").status == 200
        server._listener.maintenance(time.monotonic() + 31)
        server._listener.pull_trigger()
        assert slow.is_closed()


def test_a_body_that_drips_is_cut_and_a_slow_one_is_not() -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n"
    with (
        running(Gated(), min_body_bytes_per_second=1000) as server,
        Connection(server) as slow,
        Connection(server) as stalled,
    ):
        drips = [Connection(server) for _ in range(50)]
        for client in drips:
            client.send(head + b"x")
        slow.send(head + bytes(200_000))
        stalled.send(head + bytes(200_000))
        while sum(arrived(server)) < 400_050:
            with Connection(server) as other:
                assert other.get("/x").status == 200

        listener, began = server._listener, time.monotonic()
        listener._next_maintenance = math.inf  # no time passes but what the test says

        def after(seconds: float) -> None:
            for channel in list(listener.active_channels.values()):
                channel.active_at = began + seconds  # a byte has just come, which does not help
            listener.maintenance(began + seconds)
            listener.pull_trigger()

        after(29)
        after(32)
        assert all(client.is_closed() for client in drips)
        after(85)
        slow.send(bytes(50_000))
        while sum(arrived(server)) < 450_000:
            with Connection(server) as other:
                assert other.get("/x").status == 200
        after(95)
        assert stalled.is_closed()  # 60 s at most: what came fast at first does not pay for hours
        after(130)
        slow.send(bytes(50_000))
        assert slow.read().status == 200
        for client in drips:
            client.close()


def test_a_client_that_reads_no_more_holds_neither_connection_nor_thread() -> None:
    ended = threading.Semaphore(0)

    def app(environ: dict[str, Any], start: Any) -> Iterator[bytes]:
        start("200 OK", [])
        try:
            for _ in range(0 if environ["PATH_INFO"] == "/x" else 10):  # far more than the buffer's 16 MiB
                yield BIG
        finally:
            ended.release()

    with running(app, threads=2) as server:
        stuck = [in_flight(server, "/") for _ in range(2)]
        for client in stuck:
            client.read_head()
        settings = server._listener.adj
        settings.cleanup_interval = server._listener._next_maintenance = 0
        settings.channel_timeout = -1
        wake = server._listener.pull_trigger  # often, as we do not see when the app begins to wait
        for _ in stuck:
            assert any(ended.acquire(timeout=0.01) or wake() for _ in range(6000))
        settings.channel_timeout = 30
        with Connection(server) as other:
            assert other.get("/x").status == 200
        for client in stuck:
            client.close()


def test_a_reply_that_is_hardly_taken_is_cut_and_a_slow_one_is_not() -> None:
    def app(environ: dict[str, Any], start: Any) -> list[bytes]:
        start("200 OK", [("Content-Length", str(len(BIG)))])
        return [BIG]

    with (
        running(app) as server,
        in_flight(server, "/") as drip,
        in_flight(server, "/") as slow,
    ):
        assert drip.read_head().status == slow.read_head().status == 200
        listener, began, taken = server._listener, time.monotonic(), 0
        listener._next_maintenance = math.inf  # no time passes but what the test says
        while len(listener._rates) < 2:  # until both replies are on their way
            listener.maintenance(began)
        before = max(rate.passed_bytes for rate in listener._rates.values())
        assert drip.file.read(1)  # a few kilobytes, by way of its buffer: some seconds more
        while max(acked_bytes(channel.socket) or 0 for channel in listener._rates) < before + 1_000_000:
            taken += len(slow.file.read(10_000))
        for seconds in (29, 60, 85):
            listener.maintenance(began + seconds)
            assert len(listener.active_channels) == (2 if seconds == 29 else 1)
        assert len(slow.file.read(len(BIG) - taken)) == len(BIG) - taken
        with suppress(ConnectionResetError):
            assert len(drip.file.read()) < len(BIG) - 1


def under_way(server: Server) -> list[Any]:
    """The requests that have begun to come."""
    requests = [channel.request for channel in list(server._listener.active_channels.values())]
    return [request for request in requests if request is not None]


def arrived(server: Server) -> list[int]:
    """How much of each body on its way has come."""
    return [request.body_bytes_received for request in under_way(server)]


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("http://user:secret@example.com/x?secret=1", "/x"),
        ("x+y://user:secret@example.com/x", "/x"),
        ("http://user:secret@example.com", "-"),
        ("user:secret@example.com:443", "-"),
        ("*", "*"),
    ],
)
def test_a_report_holds_no_password_and_no_method_without_end(target: str, path: str) -> None:
    served: list[Served] = []
    with running(Gated(), report=served.append) as server, Connection(server) as client:
        client.get(target, method="A" * 1000)
    assert [(report.method, report.path) for report in served] == [("A" * 20, path)]


def test_every_request_is_reported_once() -> None:
    served: list[Served] = []
    with running(Gated(), report=served.append) as server:
        with Connection(server) as client:
            first = client.get("/routed?secret=1")
            client.get("/big")
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
            assert client.read().status == 400
    assert [(s.method, s.route, s.path, s.status, s.body_bytes) for s in served[:2]] == [
        ("GET", "/{name}", "/routed", 200, 16),
        ("GET", None, "/big", 200, len(BIG)),
    ]
    assert served[0].request_id == first.body.decode() and served[0].client == "127.0.0.1"
    assert (served[2].method, served[2].status, served[2].request_id) == ("-", 400, None)
    assert len(served) == 3 and all(s.complete and 0 < s.seconds < PATIENCE_SECONDS for s in served)


@pytest.mark.parametrize("error", [RuntimeError("half-way"), OSError(5, "half-way")])
def test_a_reply_that_is_cut_is_reported_and_logged(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    def app(environ: dict[str, Any], start: Any) -> Any:
        start("200 OK", [])
        yield b"begun"
        raise error

    served: list[Served] = []
    with running(app, report=served.append) as server, Connection(server) as client:
        with pytest.raises(ConnectionError):
            client.get("/")
    assert [(s.status, s.body_bytes, s.complete) for s in served] == [(200, 5, False)]
    [record] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert record.getMessage().endswith(f"by {type(error).__name__} request_id={served[0].request_id}")
    assert record.exc_info and record.exc_info[1] is error
    assert {frame.name for frame in users_frames(error)} == {"app"}


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RuntimeError("secret"), 500),
        (OSError(5, "secret"), 500),
        (SystemExit(1), 500),
        (HTTPError(404, "gone"), 404),
    ],
)
def test_an_error_before_the_first_byte_is_answered_and_logged(
    error: BaseException, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    def app(environ: dict[str, Any], start: Any) -> Any:
        start("200 OK", [("Content-Length", "5"), ("X-Secret", "1")])
        if environ["PATH_INFO"] == "/":
            raise error
        yield b"hello"

    served: list[Served] = []
    with running(app, report=served.append) as server, Connection(server) as client:
        reply = client.get("/")
        assert client.get("/", method="HEAD").status == status
        assert client.get("/x").body == b"hello"
    assert (reply.status, reply.headers["content-type"]) == (status, "application/json")
    assert b"secret" not in reply.body and "x-secret" not in reply.headers
    assert reply.headers["x-request-id"] == served[0].request_id
    logged = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(logged) == (2 if status == 500 else 0)
    for record, request in zip(logged, served, strict=False):
        assert record.getMessage().endswith(f"{type(error).__name__} request_id={request.request_id}")
        assert record.exc_info and record.exc_info[1] is error
        assert {frame.name for frame in users_frames(error)} == {"app"}


def test_a_page_can_read_the_error_before_the_first_byte() -> None:
    def stream() -> Iterator[bytes]:
        raise HTTPError(404, "gone")
        yield b""

    http = HttpRouter(cors=Cors(["https://a.example"]))
    http.route(path="/", method="GET", handler=lambda ctx, request: Response(stream()))
    with running(App(http)) as server, Connection(server) as client:
        reply = client.get("/", "Origin: https://a.example")
    assert (reply.status, reply.headers["access-control-allow-origin"]) == (404, "https://a.example")


@pytest.mark.parametrize(
    ("trusted", "given", "taken"),
    [
        ("127.0.0.1", "abc-123", True),
        ("127.0.0.1", "a b", False),
        ("127.0.0.1", "x" * 129, False),
        ("192.0.2.1", "abc-123", False),
        (None, "abc-123", False),
    ],
)
def test_a_request_id_is_taken_from_the_trusted_proxy_only(
    trusted: str | None, given: str, taken: bool
) -> None:
    with running(Gated(), trusted_proxy=trusted) as server, Connection(server) as client:
        body = client.get("/x", f"X-Request-Id: {given}").body.decode()
        assert (body == given) is taken and (taken or len(body) == 16)


PROGRAM = """
import sys, threading
from minihttp.server import serve
gate = threading.Event()
class App:
    def prepare(self): print("prepare")
    def close(self, grace_seconds): print("close", grace_seconds > 0)
    def __call__(self, environ, start):
        if environ["PATH_INFO"] == "/wait":
            print("in", flush=True)
            gate.wait(0.3)
        if environ["PATH_INFO"] == "/never":
            print("in", flush=True)
            gate.wait()
        start("200 OK", [("Content-Length", "2")])
        return [b"ok"]
serve(App(), port=0, ready=lambda server: print(server.port, flush=True))
print("end")
"""


def start_program() -> tuple[subprocess.Popen[str], Any]:
    program = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True)
    assert program.stdout is not None
    assert program.stdout.readline() == "prepare\n"
    server = type("Address", (), {"host": "127.0.0.1", "port": int(program.stdout.readline())})
    return program, server


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_exits_0(number: signal.Signals) -> None:
    program, server = start_program()
    with program, Connection(server) as client:
        assert program.stdout is not None
        client.send(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
        assert program.stdout.readline() == "in\n"
        program.send_signal(number)
        assert client.read().body == b"ok"
        assert program.stdout.read() == "close True\nend\n"
        assert program.wait(PATIENCE_SECONDS) == 0


def test_a_second_signal_exits_at_once() -> None:
    program, server = start_program()
    with program, Connection(server) as client:
        assert program.stdout is not None
        client.send(b"GET /never HTTP/1.1\r\nHost: a\r\n\r\n")
        assert program.stdout.readline() == "in\n"
        program.send_signal(signal.SIGTERM)
        with pytest.raises((ConnectionRefusedError, ConnectionResetError)):  # the first signal was heard
            while True:
                Connection(server).close()
        program.send_signal(signal.SIGTERM)
        assert program.wait(PATIENCE_SECONDS) == -signal.SIGTERM
