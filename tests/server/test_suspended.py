# SPDX-License-Identifier: MIT
"""Requests that stay open without a thread until the application knows the answer."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from minihttp import App, HttpRouter, Response
from minihttp.errors import HTTPError
from minihttp.http.deferred import Deferred
from minihttp.logs import Served

from .wire import PATIENCE_SECONDS, Connection, running

POST = b"POST /later HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
GET = b"GET /now HTTP/1.1\r\nHost: a\r\n\r\n"


class Waiting:
    """An app with a route that answers when the test says so."""

    def __init__(self) -> None:
        self.begun: queue.SimpleQueue[Any] = queue.SimpleQueue()
        http = HttpRouter()
        http.route(
            path="/later", method="POST", handler=lambda ctx, request: Deferred(self.begun.put, respond)
        )
        http.route(path="/at-once", method="POST", handler=lambda ctx, request: Deferred(at_once, respond))
        http.route(path="/now", method="GET", handler=lambda ctx, request: Response("now"))
        self.app = App(http)

    def next(self) -> Any:
        """What takes (result, error) of the request that has waited longest."""
        return self.begun.get(timeout=PATIENCE_SECONDS)


def at_once(done: Any) -> None:
    done("at once", None)


def respond(result: Any, error: BaseException | None) -> Response:
    if error is not None:
        raise error
    return Response(str(result))


@pytest.fixture
def waiting() -> Waiting:
    return Waiting()


@pytest.fixture
def connections(waiting: Waiting) -> Iterator[Any]:
    opened: list[Connection] = []
    with running(waiting.app, threads=1) as server:

        def connect() -> Connection:
            opened.append(Connection(server))
            return opened[-1]

        yield connect
        for connection in opened:
            connection.close()


def test_one_thread_keeps_many_requests_open(waiting: Waiting, connections: Any) -> None:
    clients = [connections() for _ in range(100)]
    for client in clients:
        client.send(POST)
    waiters = [waiting.next() for _ in clients]
    other = connections()
    other.send(GET)
    assert other.read().body == b"now"
    for n, done in enumerate(waiters):
        threading.Thread(target=done, args=(n, None)).start()
    answers = sorted(int(client.read().body) for client in clients)
    assert answers == list(range(100))


def test_an_answer_that_is_known_at_once(connections: Any) -> None:
    client = connections()
    for _ in range(50):
        client.send(POST.replace(b"/later", b"/at-once"))
        assert client.read().body == b"at once"


def test_what_follows_in_a_pipeline_waits(waiting: Waiting, connections: Any) -> None:
    client = connections()
    client.send(POST + GET + POST)
    done = waiting.next()
    assert waiting.begun.empty()
    done("first", None)
    assert [client.read().body, client.read().body] == [b"first", b"now"]
    waiting.next()("third", None)
    assert client.read().body == b"third"


def test_an_error_is_answered(waiting: Waiting, connections: Any) -> None:
    client = connections()
    for error, status in ((HTTPError(409, "taken"), 409), (ZeroDivisionError(), 500)):
        client.send(POST)
        waiting.next()(None, error)
        assert client.read().status == status


def test_a_client_that_left_changes_nothing_for_others(waiting: Waiting, connections: Any) -> None:
    gone, here = connections(), connections()
    gone.send(POST)
    done = waiting.next()
    gone.close()
    here.send(POST)
    other = waiting.next()
    done("nobody", None)
    other("somebody", None)
    assert here.read().body == b"somebody"


def test_a_drain_waits_for_what_is_open(waiting: Waiting) -> None:
    with running(waiting.app, threads=1) as server, Connection(server) as client:
        client.send(POST)
        done = waiting.next()
        server.stop()
        threading.Timer(0.2, done, ("drained", None)).start()
        assert client.read().body == b"drained"


def test_it_is_logged_once_when_it_is_answered(waiting: Waiting) -> None:
    lines: queue.SimpleQueue[Served] = queue.SimpleQueue()
    with running(waiting.app, threads=1, report=lines.put) as server, Connection(server) as client:
        client.send(POST)
        done = waiting.next()
        assert lines.empty()
        done("ok", None)
        client.read()
        line = lines.get(timeout=PATIENCE_SECONDS)
        assert (line.route, line.status, line.complete) == ("/later", 200, True)
        assert lines.empty()
