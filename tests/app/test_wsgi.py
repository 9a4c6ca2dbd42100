# SPDX-License-Identifier: MIT
"""A request through the app: what handlers return and raise becomes a response."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

import pytest

from minihttp import App, HttpRouter, Response, testing
from tests.app.asked import answering, call, raising


def test_head_is_get_without_a_body() -> None:
    seen = []

    def handler(ctx: Any, request: Any) -> Response:
        seen.append(request.method)
        return Response("hello")

    reply = call(answering(handler), "HEAD", "/x")
    assert (reply.status, reply.body, reply.headers["content-length"]) == (200, b"", "5")
    assert seen == ["HEAD"]


@pytest.mark.parametrize("value", [{"a": 1}, [1, 2]])
def test_a_dict_or_a_list_is_json(value: Any) -> None:
    reply = call(answering(lambda ctx, request: value), "GET", "/x")
    assert (reply.headers["content-type"], reply.json()) == ("application/json", value)


@pytest.mark.parametrize("value", [None, "text", b"bytes", 5, (1, 2)])
def test_anything_else_is_the_authors_mistake(value: Any, caplog: pytest.LogCaptureFixture) -> None:
    reply = call(answering(lambda ctx, request: value), "GET", "/x")
    assert (reply.status, reply.json()) == (500, {"error": "Internal server error"})
    assert re.search(r"the handler of GET /x \(.*asked\.py:\d+\) must return", caplog.text)


def test_the_request_id_of_the_server_is_kept() -> None:
    reply = call(raising(RuntimeError()), "GET", "/x", **{"minihttp.request_id": "from-the-proxy"})
    assert reply.headers["x-request-id"] == "from-the-proxy"


def test_whether_media_types_are_strict_is_a_setting() -> None:
    for strict, status in ((True, 415), (False, 200)):
        http = HttpRouter()
        http.route(path="/x", method="POST", handler=lambda ctx, request: {"got": request.json()})
        for app in (App(http, strict_media_type=strict), App(http).configure(strict_media_type=strict)):
            assert call(app, "POST", "/x", b"[1]", CONTENT_TYPE="text/plain").status == status
            assert call(app, "POST", "/x", b"[1]", CONTENT_TYPE="application/json").status == 200
            assert call(app, "POST", "/x", b"[1]", CONTENT_TYPE="text/html").status == 415
            with testing.in_memory(app) as copy:
                assert call(copy, "POST", "/x", b"[1]", CONTENT_TYPE="text/plain").status == status


def test_files_of_a_form_are_freed_after_the_reply() -> None:
    kept = []

    def handler(ctx: Any, request: Any) -> Response:
        part = request.form().get("file")
        kept.append(part)
        return Response(part)  # the reply reads it after the handler has returned

    content = os.urandom(2_000_000)
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
    body = head + content + b"\r\n--b--\r\n"
    app = answering(handler, method="POST")
    reply = call(app, "POST", "/x", body, CONTENT_TYPE="multipart/form-data; boundary=b")
    assert reply.body == content
    with pytest.raises(ValueError):
        kept[0].read()


def streamed() -> Iterator[bytes]:
    yield b"one "
    yield b"two"


def test_an_iterable_is_streamed() -> None:
    reply = call(answering(lambda ctx, request: Response(streamed())), "GET", "/x")
    assert (reply.body, "content-length" in reply.headers) == (b"one two", False)
