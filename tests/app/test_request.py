# SPDX-License-Identifier: MIT
"""What apps add to requests: large bodies are counted together, and media types need not be strict."""

from __future__ import annotations

import json
from typing import Any

import pytest
import webtest

from minihttp import App, HttpRouter, Limits, Request
from minihttp.app.request import AppRequest, LenientRequest, held_bodies, whole_bodies
from minihttp.errors import HTTPError
from tests.http.environs import make_environ


def app_request(*args: Any, limits: dict[str, float]) -> AppRequest:
    return AppRequest(make_environ(*args), "/", None, Limits(**limits))


class TestHeldBodies:
    """Large JSON bodies that are decoded at once."""

    LIMITS = {"max_decoded_json_bytes": 250_000}

    def request(self, size: int) -> AppRequest:
        body = json.dumps("x" * (size - 2)).encode()
        return app_request("POST", body, "application/json", limits=self.LIMITS)

    def test_past_the_limit_is_a_503_until_another_is_closed(self) -> None:
        first, second, third = (self.request(size) for size in (120_000, 120_000, 100_000))
        first.json()
        first.json()  # once more is no other
        second.json()
        with pytest.raises(HTTPError) as caught:
            third.json()
        assert caught.value.status == 503 and ("Retry-After", "1") in caught.value.headers
        assert first.closable
        first.close()
        first.close()
        assert len(third.json()) == 99_998
        for request in (second, third):
            request.close()
        assert held_bodies.bytes == 0

    @pytest.mark.parametrize("has_length", [True, False])
    def test_so_are_others_that_are_read_whole(self, has_length: bool) -> None:
        def request(size: int) -> AppRequest:
            made = app_request("POST", bytes(size), limits={"max_buffered_bytes": 250_000})
            if not has_length:
                made.environ |= {"CONTENT_LENGTH": "", "wsgi.input_terminated": True}
            return made

        first, second, small = request(150_000), request(150_000), request(60_000)
        assert first.bytes() is first.bytes()
        with pytest.raises(HTTPError) as caught:
            second.bytes()
        assert caught.value.status == 503 and ("Retry-After", "1") in caught.value.headers
        assert len(small.bytes()) == 60_000
        first.close()
        assert len(request(150_000).bytes()) == 150_000
        for one in (second, small):
            one.close()
        assert whole_bodies.bytes == 0

    def test_one_that_is_alone_may_be_larger(self) -> None:
        request = self.request(400_000)
        request.json()
        request.close()

    def test_a_request_that_nobody_closes_frees_it_when_it_is_gone(self) -> None:
        request = self.request(200_000)
        request.json()
        assert held_bodies.bytes == 200_000
        del request
        assert held_bodies.bytes == 0

    def test_small_ones_are_not_counted(self) -> None:
        many = [self.request(60_000) for _ in range(10)]
        for request in many:
            request.json()
        assert held_bodies.bytes == 0

    @pytest.mark.parametrize("what", ["sent", "broken", "raised"])
    def test_an_app_frees_it_whatever_comes_of_the_request(self, what: str) -> None:
        http = HttpRouter()

        @http.route(path="/x", method="POST")
        def post(ctx: Any, request: Request) -> Any:
            request.json()
            assert held_bodies.bytes > 0
            if what == "raised":
                raise RuntimeError
            return {"ok": True}

        body = b"[" * 70_000 if what == "broken" else json.dumps(["x" * 70_000]).encode()
        client = webtest.TestApp(App(http))
        status = {"sent": 200, "broken": 400, "raised": 500}[what]
        client.post("/x", body, {"Content-Type": "application/json"}, status=status)
        assert held_bodies.bytes == 0


def test_messages_name_the_class_that_users_import() -> None:
    request: Any = app_request(limits={})
    with pytest.raises(AttributeError, match="'Request' object has no attribute 'nothing'"):
        request.nothing()


@pytest.mark.parametrize(
    "content_type", [None, "", "text/plain", "text/plain;charset=UTF-8", "application/json"]
)
def test_json_where_media_types_are_not_strict(content_type: str | None) -> None:
    request = LenientRequest(make_environ("POST", b"[1]", content_type), "/")
    assert request.json() == [1]


@pytest.mark.parametrize(
    "content_type",
    ["application/x-www-form-urlencoded", "text/html", "text/plain, text/html", "text/plain; a", "x"],
)
def test_json_of_other_media_types_is_refused_all_the_same(content_type: str) -> None:
    with pytest.raises(HTTPError) as caught:
        LenientRequest(make_environ("POST", b"[1]", content_type), "/").json()
    assert caught.value.status == 415
