# SPDX-License-Identifier: MIT
from __future__ import annotations

import io
import json
from typing import Any

import pytest
import webtest
from hypothesis import given
from hypothesis import strategies as st

from minihttp import App, HttpRouter
from minihttp.errors import HTTPError
from minihttp.http.body import Body, held_bodies, open_body, whole_bodies
from minihttp.http.request import Request
from tests.http.environs import make_environ, make_request


class Dribble(io.BytesIO):
    """Gives at most three bytes a call, as a socket may."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(3 if size is None or size < 0 else min(size, 3))


def body_of(data: bytes, length: int | None, limit: int = 100, stream: type[io.BytesIO] = io.BytesIO) -> Body:
    return Body(stream(data), length, limit)


@pytest.mark.parametrize("length", [None, 10])
@pytest.mark.parametrize("stream", [io.BytesIO, Dribble])
def test_reads_like_a_file(length: int | None, stream: type[io.BytesIO]) -> None:
    body = body_of(b"ab\ncd\nefgh", length, stream=stream)
    assert body.readline() == b"ab\n" and body.readline(2) == b"cd" and body.read(0) == b""
    assert body.read(1) == b"\n" and body.read() == b"efgh" and body.read() == body.readline() == b""
    assert body.count == 10
    assert list(body_of(b"ab\ncd\nefgh", length)) == [b"ab\n", b"cd\n", b"efgh"]


def test_stops_at_content_length() -> None:
    assert body_of(b"abcdef", 3).read() == b"abc"
    assert body_of(b"abc\ndef", 5).readline() + body_of(b"abc\ndef", 3).readline() == b"abc\nabc"


@pytest.mark.parametrize("stream", [io.BytesIO, Dribble])
@pytest.mark.parametrize("read", [lambda b: b.read(), lambda b: list(iter(lambda: b.read(2), b"")), list])
def test_fewer_bytes_than_announced_are_400(read: Any, stream: type[io.BytesIO]) -> None:
    with pytest.raises(HTTPError, match="3 bytes before its Content-Length") as caught:
        read(body_of(b"abcd", 7, stream=stream))
    assert caught.value.status == 400


@pytest.mark.parametrize("read", [lambda b: b.read(), lambda b: list(iter(lambda: b.read(2), b"")), list])
def test_the_limit_counts_bytes_where_no_length_is_known(read: Any) -> None:
    assert body_of(b"x" * 5, None, limit=5).read() == b"xxxxx"
    with pytest.raises(HTTPError, match="limit of 5 bytes") as caught:
        read(body_of(b"x" * 6, None, limit=5))
    assert caught.value.status == 413


def test_an_announced_excess_is_refused_before_reading() -> None:
    with pytest.raises(HTTPError) as caught:
        Body(None, 6, 5)
    assert caught.value.status == 413


def test_a_broken_connection_is_400() -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise ConnectionResetError

    with pytest.raises(HTTPError, match="connection broke"):
        body_of(b"abc", 3, stream=Broken).read()


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_methods_without_a_body(method: str) -> None:
    assert open_body(make_environ(method, b"ignored"), 5).read() == b""
    assert open_body(make_environ(method, CONTENT_LENGTH="x"), 5).read() == b""


@pytest.mark.parametrize("length", ["-5", "+2", "0x2", "2_0", "2, 2", " 2", "2.0", "٢", "x"])
def test_a_malformed_length_is_400(length: str) -> None:
    with pytest.raises(HTTPError, match="not a decimal number") as caught:
        open_body(make_environ(body=b"ab", CONTENT_LENGTH=length), 10)
    assert caught.value.status == 400


@pytest.mark.parametrize("length", ["11", "9" * 18, "9" * 5000])
def test_a_length_past_the_limit_is_413(length: str) -> None:
    with pytest.raises(HTTPError) as caught:
        open_body(make_environ(body=b"ab", CONTENT_LENGTH=length), 10)
    assert caught.value.status == 413


def test_without_a_length_only_a_terminated_stream_is_read() -> None:
    assert open_body(make_environ(body=b"ab", CONTENT_LENGTH=None), 10).read() == b""
    environ = make_environ(body=b"ab", CONTENT_LENGTH=None, wsgi__input_terminated=True)
    assert open_body(environ, 10).read() == b"ab"
    assert open_body(make_environ(body=b"ab", CONTENT_LENGTH=""), 10).read() == b""


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "br", "identity, gzip", "x\r\n"])
def test_compressed_bodies_are_415(encoding: str) -> None:
    with pytest.raises(HTTPError) as caught:
        open_body(make_environ(body=b"ab", headers={"Content-Encoding": encoding}), 10)
    assert caught.value.status == 415
    assert open_body(make_environ(body=b"ab", headers={"Content-Encoding": "Identity"}), 10).read() == b"ab"


@given(
    st.binary(max_size=50), st.integers(0, 60) | st.none(), st.integers(0, 60), st.lists(st.integers(0, 9))
)
def test_never_past_the_length_nor_the_limit(
    data: bytes, length: int | None, limit: int, sizes: list[int]
) -> None:
    try:
        body = Body(io.BytesIO(data), length, limit)
        parts = [body.readline(size) if size % 2 else body.read(size) for size in sizes] + [body.read()]
    except HTTPError as error:
        assert error.status in (400, 413)
    else:
        assert b"".join(parts) == data[:length]
        assert body.count <= limit


class TestHeldBodies:
    """Large JSON bodies that are decoded at once."""

    LIMITS = {"max_decoded_json_bytes": 250_000}

    def request(self, size: int) -> Request:
        body = json.dumps("x" * (size - 2)).encode()
        return make_request("POST", body, "application/json", limits=self.LIMITS)

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
        def request(size: int) -> Request:
            made = make_request("POST", bytes(size), limits={"max_buffered_bytes": 250_000})
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
