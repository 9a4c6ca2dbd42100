# SPDX-License-Identifier: MIT
"""A handler that streams runs to its end when its client leaves, and what it was given is freed."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from minihttp import App, HttpRouter, Limits, Response, Schema, Table, internal_mutation, testing, v
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
    http = HttpRouter()
    http.route(path="/x", method="POST", handler=lambda ctx, request: Response(pieces))
    with live(App(http)) as client:
        leave(client)
        assert pieces.closed.wait(PATIENCE_SECONDS)
    assert pieces.words == ["end"]


def test_nothing_runs_for_a_head_request() -> None:
    story = Story()
    http = HttpRouter()
    handler = lambda ctx, request: Response(story.told(lambda *_: [b"a"], ctx, request))
    http.route(path="/x", method="GET", handler=handler)
    with live(App(http)) as client:
        assert client.request("HEAD", "/x").status == 200
    assert story.words == []
