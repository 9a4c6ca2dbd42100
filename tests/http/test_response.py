# SPDX-License-Identifier: MIT
from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from minihttp.http.headers import Headers
from minihttp.http.response import Response
from tests.http.environs import Sent, make_environ

TEXT = "text/plain;charset=UTF-8"


class File(io.BytesIO):
    closings = 0

    def close(self) -> None:
        self.closings += 1  # stays readable, so that a test can ask


class Blob:
    """A file without seek, of a known size, as a file backend gives."""

    size = 3

    def __init__(self) -> None:
        self.read = io.BytesIO(b"abc").read


class Stream:
    """An iterable of bytes that remembers what was done to it."""

    def __init__(self, *chunks: bytes) -> None:
        self.chunks, self.closings = chunks, 0

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.chunks)

    def close(self) -> None:
        self.closings += 1


@pytest.mark.parametrize(
    ("body", "sent", "content_type"),
    [
        ("é", b"\xc3\xa9", TEXT),
        ("", b"", TEXT),
        (None, b"", TEXT),
        (b"", b"", TEXT),
        (b"\xff", b"\xff", "application/octet-stream"),
        (bytearray(b"a"), b"a", "application/octet-stream"),
        (memoryview(b"a"), b"a", "application/octet-stream"),
        (io.BytesIO(b"abc"), b"abc", "application/octet-stream"),
        (Blob(), b"abc", "application/octet-stream"),
    ],
)
def test_bodies_of_known_size(body: Any, sent: bytes, content_type: str) -> None:
    reply = Sent(Response(body))
    assert (reply.status, reply.body) == ("200 OK", sent)
    assert reply.header == {"content-type": content_type, "content-length": str(len(sent))}


def test_a_file_is_sent_from_where_it_stands() -> None:
    file = File(b"abcdef")
    file.seek(2)
    reply = Sent(Response(file))
    assert (reply.body, reply.header["content-length"], file.closings) == (b"cdef", "4", 1)


def test_a_file_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 200_000)
    reply = Sent(Response(path.open("rb"), headers={"Content-Type": "image/png"}))
    assert len(reply.body) == 200_000
    assert reply.header == {"content-type": "image/png", "content-length": "200000"}


def test_the_servers_file_wrapper_is_used() -> None:
    seen = []

    class Wrapper:
        def __init__(self, file: Any, block_bytes: int) -> None:
            seen.append(file)

        def __iter__(self) -> Iterator[bytes]:
            return iter([b"wrapped"])

    file = io.BytesIO(b"abcdefg")
    assert Sent(Response(file), wsgi__file_wrapper=Wrapper).body == b"wrapped" and seen == [file]


def test_a_stream_has_no_length_and_is_closed() -> None:
    stream = Stream(b"a", b"b")
    reply = Sent(Response(stream))
    assert reply.body == b"ab" and "content-length" not in reply.header and stream.closings == 1
    assert Sent(Response(chunk for chunk in [b"a", b"b"])).body == b"ab"
    assert Sent(Response([b"a", b"b"])).body == b"ab"


@pytest.mark.parametrize("make", [lambda: Stream(b"a"), lambda: File(b"abc"), lambda: "text"])
@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304), ("HEAD", 304)])
def test_where_no_body_may_be_sent(make: Any, method: str, status: int) -> None:
    body = make()
    reply = Sent(Response(body, status), method)
    assert reply.body == b"" and getattr(body, "closings", 1) == 1
    if status != 200:
        assert reply.headers == []
    elif not isinstance(body, Stream):
        assert reply.header["content-length"] in ("3", "4")


def test_a_handlers_own_headers_stand() -> None:
    reply = Sent(Response("{}", 201, {"content-type": "application/json", "X-A": "1"}))
    assert reply.status == "201 Created"
    assert reply.headers == [("content-type", "application/json"), ("X-A", "1"), ("Content-Length", "2")]
    reply = Sent(Response(b"", headers=[("Content-Length", "5"), ("Content-Type", "a/b")]), "HEAD")
    assert reply.headers == [("Content-Length", "5"), ("Content-Type", "a/b")]


def test_headers_can_be_changed_afterwards() -> None:
    response = Response("a")
    response.headers.append("Set-Cookie", "a=1")
    response.headers.append("Set-Cookie", "b=2")
    response.headers.set("content-type", "text/html")
    headers = Sent(response).headers
    assert [value for name, value in headers if name == "Set-Cookie"] == ["a=1", "b=2"]
    assert ("content-type", "text/html") in headers and len(headers) == 4


def test_the_given_headers_are_copied() -> None:
    given = Headers({"X-A": "1"})
    Response("a", headers=given).headers.set("X-B", "2")
    assert given.items() == [("X-A", "1")]


def test_a_response_can_be_sent_again() -> None:
    response = Response("again")
    assert Sent(response).headers == Sent(response).headers and Sent(response).body == b"again"


def test_json() -> None:
    reply = Sent(Response.json({"a": [1, "é", None]}, status=201, headers={"X-A": "1"}))
    assert reply.body == '{"a":[1,"é",null]}'.encode() and reply.status == "201 Created"
    assert reply.header == {"content-type": "application/json", "x-a": "1", "content-length": "19"}
    assert Sent(Response.json(None)).headers[0] == ("Content-Type", "application/json")


@pytest.mark.parametrize("name", ["Content-Type", "content-type"])
def test_a_media_type_of_ones_own_wins_over_that_of_json(name: str) -> None:
    reply = Sent(Response.json({}, 400, {name: "application/problem+json"}))
    types = [value for key, value in reply.headers if key.lower() == "content-type"]
    assert types == ["application/problem+json"] and reply.body == b"{}"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": 1.0, "b": [2.0, 2.5, -3.0]}, '{"a":1,"b":[2,2.5,-3]}'),
        (1.0, "1"),
        (-0.0, "0"),
        (1e16, "10000000000000000"),
        (123456789012345680000.0, "123456789012345680000"),
        (1e21, "1e+21"),
        ({2.0: (0.0, "1.0")}, '{"2":[0,"1.0"]}'),
        ({"text": "1.0, [2.0]", "e+": True}, '{"text":"1.0, [2.0]","e+":true}'),
        ([2**70, True], "[1180591620717411303424,true]"),
    ],
)
def test_whole_numbers_are_written_as_javascript_does(value: Any, text: str) -> None:
    assert Response.json(value).body.decode() == text


@pytest.mark.parametrize("value", [float("nan"), [float("inf")], {"a": -float("inf")}])
def test_json_refuses_what_json_cannot_say(value: Any) -> None:
    with pytest.raises(ValueError):
        Response.json(value)


def test_json_of_a_value_that_contains_itself_ends() -> None:
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(RecursionError):
        Response.json(circle)


def test_redirect() -> None:
    sent: list[Any] = []
    response = Response.redirect("/api/storage/x?y=1")
    # No Content-Type: not for a validator
    body = response(make_environ("GET"), lambda *head: sent.extend(head))
    assert b"".join(body) == b"" and sent[0] == "302 Found"
    assert sent[1] == [("Location", "/api/storage/x?y=1"), ("Content-Length", "0")]
    assert Response.redirect("https://a.example/", 308).status == 308
    with pytest.raises(ValueError, match="Location"):
        Response.redirect("/a\r\nSet-Cookie: x")


@pytest.mark.parametrize("status", [199, 600, 0, -200, "200", 200.0, None])
@pytest.mark.parametrize(
    "make", [lambda s: Response("", s), lambda s: Response.json({}, s), lambda s: Response.redirect("/", s)]
)
def test_status_is_an_integer_from_200_to_599(status: Any, make: Any) -> None:
    with pytest.raises(ValueError, match="outside the range 200-599"):
        make(status)


def test_an_unknown_status_has_a_reason_too() -> None:
    assert Sent(Response("", 299)).status == "299 Unknown" and Sent(Response("", 429)).status.startswith(
        "429 Too"
    )


@pytest.mark.parametrize("body", [{"a": 1}, 5, object()])
def test_other_bodies_are_refused(body: Any) -> None:
    with pytest.raises(TypeError, match=r"Response\.json"):
        Response(body)


def test_bad_headers_are_refused_even_without_asserts() -> None:
    with pytest.raises(ValueError):
        Response("", headers={"X-Echo": "a\r\nSet-Cookie: x"})
