# SPDX-License-Identifier: MIT
"""From the target of a request to its route and back: targets as servers hand them on, and what may change
between two requests."""

from __future__ import annotations

from typing import Any

import pytest

from minihttp import App, Cors, HttpRouter, Response
from minihttp.errors import ValidationError
from minihttp.http.sent import sent_with
from tests.app.asked import call


def app() -> App:
    http = HttpRouter()
    http.get("/plain", lambda ctx, request: Response("plain"))
    http.get("/caf%C3%A9", lambda ctx, request: Response("café"))
    http.get("/users/{id}", lambda ctx, request: Response(f"user {request.path_params['id']}"))
    http.get("/{first}/of/{last}", lambda ctx, request: Response(repr(dict(request.path_params))))
    http.get("/{page}", lambda ctx, request: Response(f"page {request.path_params['page']}"))
    http.route(path_prefix="/files/", method="GET", handler=lambda ctx, request: Response(request.tail))
    return App(http)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/plain", "plain"),
        ("/plain?x=1", "plain"),
        ("/caf%c3%a9", "café"),
        ("/caf%C3%A9?", "café"),
        ("/users/42", "user 42"),
        ("/users/42?a=/b", "user 42"),
        ("/users/a%2Fb", "user a/b"),
        ("/a%20b/of/c", "{'first': 'a b', 'last': 'c'}"),
        ("/home", "page home"),
        ("/files/", ""),
        ("/files/a/b.txt?v", "a/b.txt"),
        ("/files/%C3%A9", "é"),
        ("http://example.com/plain", "plain"),
        ("plain", 404),  # no path, so that of PATH_INFO counts
        ("x/plain", 404),
        ("*", 404),
        ("/users/..", 400),
        ("/files/./x", 400),
        ("/users/a b", 400),
        ("/users/%zz", 400),
        ("/users/%00", 400),
        ("/files/\xe9", 400),
        ("/users/", 404),
        ("/users//", 404),
        ("/", 404),
        ("/files", "page files"),
    ],
)
def test_targets(target: str, expected: str | int) -> None:
    reply = call(app(), "GET", "/", REQUEST_URI=target)
    assert reply.status == (200 if isinstance(expected, str) else expected)
    assert not isinstance(expected, str) or reply.text == expected


def test_a_prefix_of_everything_and_a_parameter_of_the_root_need_a_slash() -> None:
    http = HttpRouter()
    http.route(path_prefix="/", method="GET", handler=lambda ctx, request: Response(request.tail))
    assert http.find("x", "GET") is None and http.find("x/y", "GET") is None and http.find("", "GET") is None
    http.get("/{name}", lambda ctx, request: Response("named"))
    assert http.find("x", "GET") is None and http.find("/x", "GET") is not None
    assert call(App(http), "GET", "/", REQUEST_URI="*").text == ""
    assert call(App(http), "GET", "/", REQUEST_URI="/x/y").text == "x/y"


def test_the_user_s_patterns_give_way_to_the_framework_s_routes() -> None:
    http = HttpRouter()
    for path in ("/{a}/{b}", "/api/{b}", "/_x/{b}"):
        http.get(path, lambda ctx, request: Response("the user's"))
    made = App(http, function_api=False)
    assert call(made, "GET", "/", REQUEST_URI="/_/health").json()["status"] == "ok"
    for target in ("/a/b", "/_x/health", "/api/x", "/_/nothing"):
        assert call(made, "GET", "/", REQUEST_URI=target).text == "the user's"


def test_below_a_mount_the_path_is_what_follows_it() -> None:
    made = app()
    assert call(made, "GET", "/plain", REQUEST_URI="/base/plain", SCRIPT_NAME="/base").text == "plain"
    reply = call(made, "GET", "/users/42", REQUEST_URI="/base/users/42", SCRIPT_NAME="/base")
    assert reply.text == "user 42"
    assert call(made, "GET", "/users/42", REQUEST_URI="/users/42", SCRIPT_NAME="/users").text == "page 42"


def test_hosts_that_are_said_later_count_from_then_on() -> None:
    made = app()
    assert call(made, "GET", "/plain", HTTP_HOST="evil.example").status == 200
    made.listen_on("127.0.0.1")
    assert call(made, "GET", "/plain", HTTP_HOST="evil.example").status == 421
    made.configure(hosts=["evil.example"])
    assert call(made, "GET", "/plain", HTTP_HOST="evil.example").status == 200


def test_routes_and_rules_that_come_later_count() -> None:
    made = app()
    assert call(made, "GET", "/x/y").status == 404
    made.http.get("/x/y", lambda ctx, request: Response("late"))
    made.http.cors = Cors(["https://a.example"])
    reply = call(made, "GET", "/x/y", HTTP_ORIGIN="https://a.example")
    assert (reply.text, reply.headers["access-control-allow-origin"]) == ("late", "https://a.example")


def test_what_a_handler_puts_into_the_parameters_was_not_sent() -> None:
    http, told = HttpRouter(), []

    def handler(ctx: Any, request: Any) -> Response:
        request.path_params["id"] = "made up"
        for value in ("42", "made up"):
            told.append(sent_with(request).message(ValidationError("refused").refusing(value)))
        return Response("ok")

    http.get("/users/{id}", handler)
    call(App(http), "GET", "/users/42")
    assert told == ["refused", None]


def test_a_hook_may_put_a_stream_or_other_bytes_in_the_place_of_a_text() -> None:
    http = HttpRouter()
    http.get("/stream", lambda ctx, request: Response("text"))
    http.get("/bytes", lambda ctx, request: Response("text"))

    @http.after
    def change(ctx: Any, request: Any, response: Response) -> None:
        response.body = iter([b"one ", b"two"]) if request.path == "/stream" else b"other bytes"

    reply = call(App(http), "GET", "/stream")
    assert (reply.text, "content-length" in reply.headers) == ("one two", False)
    reply = call(App(http), "GET", "/bytes")
    assert (reply.text, reply.headers["content-length"]) == ("other bytes", "11")


def test_a_status_without_a_name_and_a_response_that_is_used_again() -> None:
    http, kept = HttpRouter(), Response("kept", 299)
    http.get("/x", lambda ctx, request: kept)
    made = App(http)
    for method, text in (("GET", "kept"), ("HEAD", ""), ("GET", "kept")):
        reply = call(made, method, "/x")
        assert (reply.status, reply.text, reply.headers["content-length"]) == (299, text, "4")


def test_requests_of_routes_without_parameters_have_none() -> None:
    seen = []

    def handler(ctx: Any, request: Any) -> Response:
        seen.append((request.path_params, request.tail))
        return Response("ok")

    http = HttpRouter()
    http.get("/x", handler)
    made = App(http)
    call(made, "GET", "/x")
    seen[0][0]["id"] = "1"
    call(made, "GET", "/x")
    assert seen == [({"id": "1"}, ""), ({}, "")]
