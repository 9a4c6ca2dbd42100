# SPDX-License-Identifier: MIT
from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minihttp.errors import HTTPError
from minihttp.http.body import Body, open_body
from tests.http.environs import make_environ


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
