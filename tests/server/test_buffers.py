# SPDX-License-Identifier: MIT
"""A large upload goes from the socket into a nameless file beside the app's files, and gets a name there."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from minihttp import App, HttpRouter, Limits
from minihttp.files.blobs import spooled
from minihttp.server import Server
from tests.live import Validated

from .wire import PATIENCE_SECONDS, Connection, posted, running

DATA = os.urandom(2_000_000)


@pytest.fixture(params=["filesystem", "sqlite"])
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    router = HttpRouter()

    @router.route(path="/store", method="POST")
    def store(ctx: Any, request: Any) -> Any:
        seen = {"spooled": spooled(request.body)[0] is not None}
        if "skip" in request.query:
            request.body.read(1)
            seen["after"] = spooled(request.body)[0] is not None
        return {**seen, "id": ctx.storage.store(request.body)}

    with App(router, data=tmp_path, files=request.param, workers=0) as opened:
        yield opened


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("query", ["", "?skip=1"])
def test_large_bodies(app: App, chunked: bool, query: str) -> None:
    server = Server(Validated(app), port=0)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        connection = http.client.HTTPConnection(server.host, server.port, timeout=PATIENCE_SECONDS)
        body: Any = iter([DATA[:1_000_000], DATA[1_000_000:]]) if chunked else DATA
        connection.request("POST", f"/store{query}", body, encode_chunked=chunked)
        reply = json.loads(connection.getresponse().read())
        connection.close()
    finally:
        server.stop()
        thread.join()
    assert reply["spooled"] is True
    assert reply.get("after") is not True
    with app.files.outside().get(reply["id"]) as file:  # type: ignore[union-attr]
        assert file.sha256 == hashlib.sha256(DATA[1:] if query else DATA).hexdigest()
        if app.options.files == "filesystem":
            assert os.fstat(file._blob.fileno()).st_nlink == 1


def test_small_bodies_stay_in_memory(app: App) -> None:
    server = Server(Validated(app), port=0)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        connection = http.client.HTTPConnection(server.host, server.port, timeout=PATIENCE_SECONDS)
        connection.request("POST", "/store", b"small")
        assert json.loads(connection.getresponse().read())["spooled"] is False
        connection.close()
    finally:
        server.stop()
        thread.join()


def test_an_upload_url_takes_more_than_any_other_body(tmp_path: Path) -> None:
    limits = Limits(max_body_bytes=1_000_000, max_upload_bytes=3_000_000)
    http_router = HttpRouter()
    http_router.route(path="/wide", method="POST", max_body=2_000_000, handler=lambda ctx, request: {})
    with App(http_router, data=tmp_path, workers=0, limits=limits) as app:
        server = Server(Validated(app), port=0, max_body_bytes=limits.max_body_bytes)
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            url = app.files.outside().generate_upload_url()
            assert posted(server.url, url, 2_900_000) == 200
            assert posted(server.url, url, 3_200_000) == 413
            assert posted(server.url, url[:-1], 2_900_000) == 401, "a stranger may fill nothing"
            assert posted(server.url, "/wide", 1_900_000) == 200
            assert posted(server.url, "/wide", 2_200_000) == 413
            assert posted(server.url, "/nothing", 1_200_000) == 404
        finally:
            server.stop()
            thread.join()


class TestBudget:
    """What all connections hold of bodies and responses, in memory and in files."""

    SIZE = 500_000  # less than what goes to a file by itself
    HEAD = b"POST / HTTP/1.1\r\nHost: example.com\r\nContent-Length: %d\r\n\r\n" % SIZE

    @staticmethod
    def app(environ: dict[str, Any], start: Any) -> list[bytes]:
        body = environ["wsgi.input"].read()
        start("200 OK", [("Content-Length", str(len(str(len(body)))))])
        return [str(len(body)).encode()]

    @staticmethod
    def is_free(server: Server) -> bool:
        """Whether nothing is held any more, soon after the last response came."""
        budget = server._listener.budget
        with Connection(server) as other:
            return any(
                (budget.memory_bytes, budget.bytes, budget.files) == (0, 0, 0)
                for _ in range(10_000)
                if other.get("/", method="HEAD").status == 200
            )

    @contextmanager
    def holding(self, server: Server, count: int, done: Callable[[], bool]) -> Iterator[list[Connection]]:
        """So many connections, each of which still has to send the last byte of its body."""
        with ExitStack() as stack:
            clients = [stack.enter_context(Connection(server)) for _ in range(count)]
            for client in clients:
                client.send(self.HEAD + bytes(self.SIZE - 1))
            with Connection(server) as other:  # what was sent is in the kernel, until the loop has read it
                assert any(other.get().status == 200 and done() for _ in range(10_000))
            yield clients

    def test_what_has_no_room_in_memory_goes_to_files(self) -> None:
        with running(self.app, max_buffered_bytes=2_000_000) as server:
            budget = server._listener.budget
            sent = 30 * (self.SIZE - 1)
            with self.holding(server, 30, lambda: budget.memory_bytes + budget.bytes == sent) as clients:
                assert 1_000_000 < budget.memory_bytes <= 2_000_000
                assert 26 <= budget.files < 30
                for client in clients:
                    client.send(b"x")
                for client in clients:
                    assert client.read()[::2] == (200, str(self.SIZE).encode())
            assert self.is_free(server)

    @pytest.mark.parametrize("scarce", ["bytes", "files"])
    def test_past_the_budget_is_a_503_and_the_others_are_answered(self, scarce: str) -> None:
        max_spooled_bytes = 10_000_000 if scarce == "bytes" else 10**9  # a stranger's share is half
        with running(self.app, max_buffered_bytes=2_000_000, max_spooled_bytes=max_spooled_bytes) as server:
            budget = server._listener.budget
            if scarce == "files":
                budget.max_files = 20
            listener = server._listener

            def all_are_decided() -> bool:
                channels = list(listener.active_channels.values())
                half = [channel.request.body_bytes_received for channel in channels if channel.request]
                left = [channel for channel in channels if channel.lingering]
                return len(left) + half.count(self.SIZE - 1) == 30

            with self.holding(server, 30, all_are_decided) as clients:
                assert budget.memory_bytes <= 2_000_000 and budget.bytes <= 5_000_000 and budget.files <= 10
                replies = []
                for client in clients:
                    with suppress(ConnectionError):
                        client.send(b"x")
                    replies.append(client.read())
            statuses = [reply.status for reply in replies]
            assert statuses.count(200) + statuses.count(503) == 30 and 10 <= statuses.count(200) <= 14
            assert all("retry-after" in reply.headers for reply in replies if reply.status == 503)
            with Connection(server) as after:
                after.send(self.HEAD + bytes(self.SIZE))
                assert after.read().status == 200
            assert self.is_free(server)

    def test_small_bodies_that_wait_for_their_handlers_count_too(self) -> None:
        go_on = threading.Event()

        def app(environ: dict[str, Any], start: Any) -> list[bytes]:
            assert environ["REQUEST_METHOD"] == "GET" or go_on.wait(PATIENCE_SECONDS)
            return self.app(environ, start)

        with running(app, threads=21, max_buffered_bytes=200_000) as server, ExitStack() as stack:
            budget = server._listener.budget
            clients = [stack.enter_context(Connection(server)) for _ in range(20)]
            for client in clients:
                client.send(self.HEAD.replace(b"500000", b"50000") + bytes(50_000))
            with Connection(server) as other:
                assert any(
                    budget.memory_bytes + budget.bytes == 1_000_000
                    for _ in range(10_000)
                    if other.get().status == 200
                )
            assert budget.memory_bytes <= 200_000 and budget.files == 16
            go_on.set()
            assert [client.read()[::2] for client in clients] == [(200, b"50000")] * 20
            assert self.is_free(server)

    @pytest.mark.parametrize("size", [900_000, 30_000_000])
    def test_an_idle_connection_keeps_nothing_of_what_it_has_sent(self, size: int) -> None:
        def app(environ: dict[str, Any], start: Any) -> list[bytes]:
            start("200 OK", [("Content-Length", str(size))])
            return [bytes(size)]

        with running(app) as server:
            server._listener.adj.socket_options = [(socket.SOL_SOCKET, socket.SO_SNDBUF, 8_192)]
            with Connection(server, receive_buffer_bytes=4_096) as client:
                budget = server._listener.budget
                client.send(b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")
                with Connection(server) as other:
                    assert any(
                        budget.memory_bytes + budget.bytes
                        for _ in range(10_000)
                        if other.get("/", method="HEAD").status == 200
                    )
                assert len(client.read().body) == size
                assert self.is_free(server)
