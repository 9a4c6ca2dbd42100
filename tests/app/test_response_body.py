# SPDX-License-Identifier: MIT
"""A handler that streams runs to its end when its client leaves, and what it was given is freed."""

from __future__ import annotations

import io
import itertools
import logging
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from minihttp import (
    App,
    ApplicationError,
    HttpRouter,
    Limits,
    Response,
    Schema,
    Table,
    internal_mutation,
    testing,
    v,
)
from tests.live import PATIENCE_SECONDS, Client, live

PIECE = b"x" * 65_536
schema = Schema(steps=Table({"n": v.number()}))


@internal_mutation(args={"n": v.number()})
def step(ctx: Any, n: float) -> None:
    ctx.db.insert("steps", {"n": n})


class Story:
    """What happened to a handler's code."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.ended = threading.Event()

    def app(self, make: Any, **settings: Any) -> App:
        http = HttpRouter()

        def handler(ctx: Any, request: Any) -> Response:
            return Response(self.told(make, ctx, request))

        http.route(path="/x", method="POST", handler=handler)
        app = App(http, schema=schema, modules={"m": __name__}, data=":memory:", workers=0, **settings)  # type: ignore[dict-item]
        return testing.in_memory(app, **settings)

    def told(self, make: Any, ctx: Any, request: Any) -> Iterator[bytes]:
        try:
            yield from make(ctx, request)
            self.words.append("end")
        except GeneratorExit:
            self.words.append("cut off")
            raise
        finally:
            self.words.append("client left" if request.client_left else "client there")
            self.ended.set()

    def wait(self) -> list[str]:
        assert self.ended.wait(PATIENCE_SECONDS)
        return self.words


def leave(client: Client) -> None:
    """Send a request, read a little, and go."""
    with socket.create_connection((client.host, client.port)) as sock:
        sock.sendall(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        assert sock.recv(10)


def steps(app: App) -> list[Any]:
    return [
        row["n"] for row in app.database.read(lambda transaction: transaction.db.query("steps").collect())
    ]


def test_it_runs_to_its_end_when_the_client_has_left() -> None:
    story = Story()

    def make(ctx: Any, request: Any) -> Iterator[bytes]:
        for n in range(300):
            ctx.run_mutation(step, n=n)
            yield PIECE

    with story.app(make) as app, live(app) as client:
        leave(client)
        assert story.wait() == ["end", "client left"]
        assert steps(app) == list(range(300))


def test_it_ends_at_the_handlers_deadline() -> None:
    story = Story()

    def make(ctx: Any, request: Any) -> Iterator[bytes]:
        while True:
            yield PIECE

    with story.app(make, limits=Limits(action_seconds=0.5)) as app, live(app) as client:
        leave(client)
        assert story.wait() == ["cut off", "client left"]


def test_a_handler_can_see_that_its_client_has_left() -> None:
    story = Story()

    def make(ctx: Any, request: Any) -> Iterator[bytes]:
        while not request.client_left:
            yield PIECE

    with story.app(make) as app, live(app) as client:
        leave(client)
        assert story.wait() == ["end", "client left"]


def test_what_it_raises_then_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    story = Story()

    def make(ctx: Any, request: Any) -> Iterator[bytes]:
        while not request.client_left:
            yield PIECE
        raise RuntimeError("too late")

    with story.app(make) as app, live(app) as client:
        leave(client)
        assert story.wait() == ["client left"]
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "POST /x failed after its client had left: RuntimeError request_id=" in record.getMessage()
    assert record.exc_info


def test_a_client_that_stays_gets_all_of_it() -> None:
    story = Story()
    with story.app(lambda ctx, request: [b"a", b"b", b"c"]) as app, live(app) as client:
        assert client.post("/x").body == b"abc"
        assert story.wait() == ["end", "client there"]


def is_closed_when_its_client_leaves(body: Any) -> bool:
    http = HttpRouter()
    http.route(path="/x", method="POST", handler=lambda ctx, request: Response(body))
    with live(App(http)) as client:
        leave(client)
        return bool(body.closed.wait(PATIENCE_SECONDS))


class Pieces:
    """An iterable that is no iterator, with a `close` of its own."""

    def __init__(self) -> None:
        self.closed = threading.Event()
        self.words: list[str] = []

    def __iter__(self) -> Iterator[bytes]:
        for _ in range(300):
            yield PIECE
        self.words.append("end")

    def close(self) -> None:
        self.closed.set()


def test_an_iterable_of_the_handlers_runs_to_its_end_too() -> None:
    pieces = Pieces()
    assert is_closed_when_its_client_leaves(pieces)
    assert pieces.words == ["end"]


def test_nothing_runs_for_a_head_request() -> None:
    story = Story()
    http = HttpRouter()
    handler = lambda ctx, request: Response(story.told(lambda *_: [b"a"], ctx, request))
    http.route(path="/x", method="GET", handler=handler)
    with live(App(http)) as client:
        assert client.request("HEAD", "/x").status == 200
    assert story.words == []


# ------------------------------------------------------------ code that ends nothing


def endless_pieces() -> Iterator[bytes]:
    while True:
        yield b""


@pytest.mark.parametrize("pieces", [endless_pieces, lambda: itertools.repeat(b"")])
def test_pieces_without_a_byte_are_no_progress(pieces: Callable[[], Any]) -> None:
    story = Story()
    with (
        story.app(lambda ctx, request: pieces(), limits=Limits(action_seconds=0.1)) as app,
        live(app) as client,
    ):
        assert client.post("/x").status == 408
        assert story.wait() == ["cut off", "client there"]


def test_a_client_that_left_is_seen_by_who_sends_nothing() -> None:
    story = Story()
    begun = threading.Event()

    def make(ctx: Any, request: Any) -> Iterator[bytes]:
        begun.set()
        while not request.client_left:
            yield b""

    with story.app(make) as app, live(app) as client:
        with socket.create_connection((client.host, client.port)) as sock:
            sock.sendall(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
            assert begun.wait(PATIENCE_SECONDS)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close by a reset
        assert story.wait() == ["end", "client left"]


class Fifo:
    """A file whose first bytes come and whose next ones never do."""

    def __init__(self) -> None:
        self.waits = threading.Event()
        self.closed = threading.Event()

    def read(self, size: int = -1) -> bytes:
        if not self.waits.is_set():
            self.waits.set()
            return b"x" * 10
        while True:
            time.sleep(0.001)

    def close(self) -> None:
        self.closed.set()


class Seekable(Fifo):
    """One that a server could have its main loop read."""

    _position = 0

    def seek(self, offset: int, whence: int = 0) -> int:
        self._position = (0, self._position, 100)[whence] + offset
        return self._position

    def tell(self) -> int:
        return self._position


@pytest.mark.parametrize("kind", [Fifo, Seekable])
def test_a_file_of_the_handlers_that_does_not_end_is_ended(
    kind: type[Fifo], caplog: pytest.LogCaptureFixture
) -> None:
    file = kind()
    http = HttpRouter()
    http.get("/x", lambda ctx, request: Response(file))
    http.get("/y", lambda ctx, request: Response("there"))
    with live(App(http, limits=Limits(action_seconds=0.2))) as client:
        with socket.create_connection((client.host, client.port)) as sock:
            sock.sendall(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
            assert sock.recv(10)
            assert file.waits.wait(PATIENCE_SECONDS)
            assert client.get("/y").body == b"there"  # the loop that serves all does not wait for it
            while sock.recv(65_536):
                pass
        assert file.closed.wait(PATIENCE_SECONDS)
    assert "GET /x ran longer than 0.2 s and is ended" in caplog.text
    assert "GET /x was cut half-way by DeadlineError" in caplog.text


def test_a_file_of_the_handlers_is_not_read_on_when_its_client_has_left() -> None:
    class Zeros(Fifo):
        def read(self, size: int = -1) -> bytes:
            return bytes(size)

    assert is_closed_when_its_client_leaves(Zeros())


def test_a_file_of_the_handlers_has_its_length_and_comes_whole(tmp_path: Path) -> None:
    class Own(io.BytesIO):
        pass

    path = tmp_path / "plain"
    path.write_bytes(b"c" * 100_000)
    bodies = {"/own": lambda: Own(b"a" * 100_000), "/memory": lambda: io.BytesIO(b"b" * 100_000)}
    bodies["/plain"] = lambda: path.open("rb")
    http = HttpRouter()
    for name, make in bodies.items():
        http.get(name, lambda ctx, request, make=make: Response(make()))
    with live(App(http)) as client:
        for name in bodies:
            reply = client.get(name)
            assert reply.headers["content-length"] == "100000"
            assert reply.body == name[1:2].translate({111: "a", 109: "b", 112: "c"}).encode() * 100_000
            assert client.request("HEAD", name).headers["content-length"] == "100000"


class EndlessDict(dict[str, Any]):
    def items(self) -> Any:
        while True:
            time.sleep(0.001)

    __iter__ = items


class EndlessList(list[bytes]):
    def __iter__(self) -> Any:
        while True:
            time.sleep(0.001)


def data_of_an_error(ctx: Any, request: Any) -> None:
    raise ApplicationError(EndlessDict(a=1))


@pytest.mark.parametrize(
    "handler",
    [
        lambda ctx, request: EndlessDict(a=1),
        lambda ctx, request: Response(EndlessList([b"a"])),
        data_of_an_error,
    ],
)
def test_methods_of_what_a_handler_gives_are_held_to_the_limit(handler: Any) -> None:
    http = HttpRouter()
    http.get("/x", handler)
    with live(App(http, limits=Limits(action_seconds=0.1))) as client:
        assert client.get("/x").status == 408


def test_a_hook_after_a_deferred_response_is_held_to_the_limit() -> None:
    http = HttpRouter()

    def endless(ctx: Any, request: Any, response: Response) -> None:
        while True:
            time.sleep(0.001)

    http.after(endless)
    http.mutation("/x", step)
    app = App(
        http, schema=schema, modules={"m": __name__}, data=":memory:", limits=Limits(action_seconds=0.1)
    )  # type: ignore[dict-item]
    with testing.in_memory(app, limits=Limits(action_seconds=0.1)) as app, live(app) as client:
        assert client.post("/x", {"n": 1}).status == 408
        assert steps(app) == [1]  # it was done all the same


def test_a_stream_of_a_hook_after_a_deferred_response_runs_to_its_end() -> None:
    story = Story()
    http = HttpRouter()
    make = lambda ctx, request: (PIECE for _ in range(300))
    http.after(lambda ctx, request, response: Response(story.told(make, ctx, request)))
    http.mutation("/x", step)
    app = App(http, schema=schema, modules={"m": __name__}, data=":memory:")  # type: ignore[dict-item]
    with testing.in_memory(app) as app, live(app) as client:
        with socket.create_connection((client.host, client.port)) as sock:
            body = b'{"n": 1}'
            head = b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            sock.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            assert sock.recv(10)
        assert story.wait() == ["end", "client left"]
