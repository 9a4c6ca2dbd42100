# SPDX-License-Identifier: MIT
"""Responses that are made once something has become durable, under any WSGI server."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from webtest import TestApp

from minihttp import App, Cors, HttpRouter, Response
from minihttp.errors import HTTPError
from minihttp.http.deferred import Deferred


def soon(call: Callable[[], None]) -> None:
    threading.Thread(target=call).start()


def app_of(start: Any, respond: Any) -> TestApp:
    http = HttpRouter(cors=Cors(origins=["https://a.example"]))
    http.route(path="/x", method="POST", handler=lambda ctx, request: Deferred(start, respond))
    return TestApp(App(http))


def respond(result: Any, error: BaseException | None) -> Response:
    if error is not None:
        raise error
    return Response.json({"result": result}, status=201)


@pytest.mark.parametrize("later", [soon, lambda call: call()], ids=["another thread", "at once"])
def test_a_server_that_cannot_suspend_waits(later: Any) -> None:
    app = app_of(lambda done: later(lambda: done(7, None)), respond)
    response = app.post("/x", headers={"Origin": "https://a.example"})
    assert (response.status_int, response.json) == (201, {"result": 7})
    assert response.headers["Access-Control-Allow-Origin"] == "https://a.example"


def fail(done: Any) -> None:
    raise HTTPError(409, "not now")


@pytest.mark.parametrize(
    "start", [lambda done: soon(lambda: done(None, HTTPError(409, "not now"))), fail], ids=["told", "raised"]
)
def test_its_error_is_answered_like_one_of_the_handler(start: Any) -> None:
    response = app_of(start, respond).post("/x", status=409)
    assert response.json == {"error": "not now"}


def test_an_error_that_is_no_callers_is_a_500() -> None:
    app = app_of(lambda done: done(None, ZeroDivisionError("secret")), respond)
    assert app.post("/x", status=500).json == {"error": "Internal server error"}


class Server:
    """A WSGI server that lets a request stay open."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.answers: list[Any] = []
        self.statuses: list[str] = []

    def post(self, **environ: str) -> list[bytes]:
        def suspend() -> Any:
            return self.answers.append

        return list(
            self._app(
                {
                    "REQUEST_METHOD": "POST",
                    "PATH_INFO": "/x",
                    "HTTP_HOST": "localhost",
                    "minihttp.suspend": suspend,
                    **environ,
                },
                self._start_response,
            )
        )

    def _start_response(self, status: str, headers: Any) -> None:
        self.statuses.append(status)

    def resume(self) -> bytes:
        return b"".join(self.answers.pop()(self._start_response))


def test_a_server_that_suspends_is_answered_later() -> None:
    waiting: list[Any] = []
    http = HttpRouter()
    http.route(path="/x", method="POST", handler=lambda ctx, request: Deferred(waiting.append, respond))
    server = Server(App(http))
    assert server.post() == []
    assert (server.answers, server.statuses) == ([], [])
    waiting[0]({"a": 1}, None)
    assert server.resume() == b'{"result":{"a":1}}'
    server.post()
    waiting[1](None, HTTPError(409, "not now"))
    assert server.resume() == b'{"error":"not now"}'
    assert server.statuses == ["201 Created", "409 Conflict"]
