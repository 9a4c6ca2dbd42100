# SPDX-License-Identifier: MIT
"""Hostile and odd bytes on a real socket: each gets its status, in JSON, and the server lives on.

A row is (name, what is sent, the statuses of the replies). Whatever could make two readers disagree about
where a request ends closes the connection.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minihttp import App, HttpRouter, Limits, Response
from minihttp.server import Server
from tests.live import Validated

from .wire import Connection, exchange, running

http = HttpRouter()
handled: list[str] = []


@http.route(path="/x", method="GET")
def get_x(ctx: Any, request: Any) -> Response:
    handled.append("GET")
    return Response("x", headers={"Content-Type": "text/plain"})


@http.route(path="/origin", method="GET")
def origin(ctx: Any, request: Any) -> Response:
    return Response(request.origin)


@http.route(path="/none", method="GET")
def none(ctx: Any, request: Any) -> Response:
    return Response(None, status=204)


@http.route(path="/x", method="POST")
def post_x(ctx: Any, request: Any) -> Response:
    handled.append("POST")
    return Response.json({"length": len(request.bytes())})


@http.route(path="/json", method="POST")
def post_json(ctx: Any, request: Any) -> Response:
    return Response.json({"got": request.json()})


@http.route(path="/error", method="GET")
def error(ctx: Any, request: Any) -> Response:
    raise RuntimeError("secret detail")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    app = App(http, data=":memory:", limits=Limits(max_body_bytes=100_000))
    with running(Validated(app), max_body_bytes=100_000) as server:
        yield server


def request(
    target: str, *headers: str, method: str = "GET", version: str = " HTTP/1.1", body: bytes = b""
) -> bytes:
    return "\r\n".join([f"{method} {target}{version}", *headers, "", ""]).encode("latin-1") + body


def get(target: str, *headers: str) -> bytes:
    return request(target, "Host: a", *headers)


def post(*headers: str, body: bytes = b"", version: str = " HTTP/1.1") -> bytes:
    return request("/x", "Host: a", *headers, method="POST", version=version, body=body)


def json_post(*headers: str) -> bytes:
    return request("/json", "Host: a", "Content-Length: 2", *headers, method="POST", body=b"{}")


SMUGGLED = get("/x")
JSON = "Content-Type: application/json"
CHUNKED = "Transfer-Encoding: chunked"
CASES: list[tuple[str, bytes, list[int]]] = [
    # -- Host (RFC 9112 §3.2)
    ("no Host", request("/x"), [400]),
    ("no Host in HTTP/1.0", request("/x", version=" HTTP/1.0"), [200]),
    ("two Hosts", request("/x", "Host: a", "Host: b"), [400]),
    ("two equal Hosts", request("/x", "Host: a", "host: a"), [400]),
    ("Host with user and path", request("/x", "Host: a@b/c?d"), [400]),
    ("Host with a list", request("/x", "Host: a, b"), [400]),
    ("empty Host", request("/x", "Host:"), [400]),
    ("blank before the colon", request("/x", "Host : a"), [400]),
    # -- Content-Type
    ("two Content-Types", json_post("Content-Type: text/plain", JSON), [400]),
    ("joined Content-Types", json_post(f"{JSON}, text/plain"), [415]),
    ("JSON in a parameter", json_post("Content-Type: text/plain; a=application/json"), [415]),
    ("compressed", json_post(JSON, "Content-Encoding: gzip"), [415]),
    # -- where the body ends (RFC 9112 §6): what follows must never be taken for a request
    ("two lengths", post("Content-Length: 0", "Content-Length: 5", body=b"hello" + SMUGGLED), [400]),
    ("two equal lengths", post("Content-Length: 5", "Content-Length: 5", body=b"hello" + SMUGGLED), [400]),
    ("a list of lengths", post("Content-Length: 5, 5", body=b"hello" + SMUGGLED), [400]),
    ("signed length", post("Content-Length: +5", body=b"hello" + SMUGGLED), [400]),
    ("negative length", post("Content-Length: -5", body=b"hello" + SMUGGLED), [400]),
    ("hexadecimal length", post("Content-Length: 0x5", body=b"hello" + SMUGGLED), [400]),
    ("underscore in length", post("Content-Length: 1_0", body=b"hello" + SMUGGLED), [400]),
    ("length of 5,000 digits", post("Content-Length: " + "1" * 5000, body=SMUGGLED), [400]),
    ("length beyond the limit", post("Content-Length: 99999999999", body=SMUGGLED), [413]),
    ("length and chunks", post("Content-Length: 5", CHUNKED, body=b"0\r\n\r\n" + SMUGGLED), [400]),
    ("chunked twice", post(CHUNKED, CHUNKED, body=b"0\r\n\r\n" + SMUGGLED), [400]),
    ("chunked, chunked", post("Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n" + SMUGGLED), [400]),
    ("gzip, chunked", post("Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n" + SMUGGLED), [501]),
    ("xchunked", post("Transfer-Encoding: xchunked", body=b"0\r\n\r\n" + SMUGGLED), [501]),
    ("vertical tab and chunked", post("Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n" + SMUGGLED), [400]),
    ("chunks in HTTP/1.0", post(CHUNKED, body=b"0\r\n\r\n" + SMUGGLED, version=" HTTP/1.0"), [400]),
    ("folded Transfer-Encoding", post("Transfer-Encoding:\r\n chunked", body=b"0\r\n\r\n" + SMUGGLED), [400]),
    ("chunk size is no number", post(CHUNKED, body=b"xyz\r\n" + SMUGGLED), [400]),
    ("negative chunk size", post(CHUNKED, body=b"-5\r\nhello\r\n0\r\n\r\n" + SMUGGLED), [400]),
    ("chunk without its end", post(CHUNKED, body=b"2\r\nhello\r\n0\r\n\r\n" + SMUGGLED), [400]),
    ("body cut short", post("Content-Length: 10", body=b"hello"), []),
    ("chunks cut short", post(CHUNKED, body=b"5\r\nhel"), []),
    ("chunks beyond the limit", post(CHUNKED, body=b"100000\r\n" + b"x" * 1048576 + b"\r\n0\r\n\r\n"), [413]),
    ("a body on GET", request("/x", "Host: a", "Content-Length: 5", body=b"hello" + SMUGGLED), [200, 200]),
    # -- target
    ("no slash", get("x"), [400]),
    ("asterisk", request("*", "Host: a", method="OPTIONS"), [400]),
    ("CONNECT", request("a:80", "Host: a", method="CONNECT"), [400]),
    ("absolute form", get("http://a/x"), [200]),
    ("absolute form without a host", get("http://[/x"), [400]),
    ("absolute form with a password", get("http://user:pass@a/x"), [400]),
    ("absolute form and no Host", request("http://a/x"), [400]),
    ("NUL", get("/%00"), [400]),
    ("encoded line end", get("/x%0d%0aSet-Cookie:a"), [400]),
    ("raw control character", get("/\x01"), [400]),
    ("bytes beyond ASCII", get("/\xe9"), [400]),
    ("broken percent-encoding", get("/%zz"), [400]),
    ("not UTF-8", get("/%ff"), [400]),
    ("dot segments", get("/../x"), [400]),
    ("encoded dot segments", get("/%2e%2e/x"), [400]),
    ("two slashes", get("//x"), [404]),
    ("redirect by slashes", get("//evil.example/%2e%2e"), [400]),
    # -- the head
    ("no version", request("/x", version=""), [400]),
    ("HTTP/2.0", request("/x", "Host: a", version=" HTTP/2.0"), [400]),
    ("HTTP/0.9", request("/x", "Host: a", version=" HTTP/0.9"), [400]),
    ("nonsense", b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", [400]),
    ("bare CR in a header", get("/x", "A: b\rC: d"), [400]),
    ("bare LF in a header", get("/x", "A: b\nC: d"), [400]),
    ("NUL in a header", get("/x", "A: \x00"), [400]),
    ("header without colon", get("/x", "hello"), [400]),
    ("header of 100 kB", get("/x", "A: " + "b" * 100_000), [431]),
    ("10,000 headers", get("/x", *[f"A{n}: b" for n in range(10_000)]), [431]),
    ("an empty line first", b"\r\n" + get("/x"), [200]),
    ("an empty line between", post("Content-Length: 2", body=b"ab\r\n") + get("/x"), [200, 200]),
    ("two empty lines first", b"\r\n\r\n" + get("/x"), [400]),
    ("a line feed first", b"\n" + get("/x"), [400]),
    ("a blank first", b" " + get("/x"), [400]),
    ("101 fields", get("/x", *[f"A{n}: b" for n in range(100)]), [431]),
    ("100 fields", get("/x", *[f"A{n}: b" for n in range(99)]), [200]),
    ("bare LF after a size", post(CHUNKED, body=b"2\nab\r\n0\r\n\r\n" + SMUGGLED), [400]),
    ("an empty line before a size", post(CHUNKED, body=b"\r\n2\r\nab\r\n0\r\n\r\n" + SMUGGLED), [400]),
    ("trailers ended by bare LF", post(CHUNKED, body=b"2\r\nab\r\n0\r\nA: b\n\n" + SMUGGLED), [400]),
    ("trailers", post(CHUNKED, body=b"2\r\nab\r\n0\r\nA: b\r\n\r\n") + get("/x"), [200, 200]),
    ("a body to no route", request("/y", "Host: a", "Content-Length: 5", method="POST"), [404]),
    ("chunks to no route", request("/y", "Host: a", CHUNKED, method="POST"), [404]),
    ("a body of another method", request("/x", "Host: a", "Content-Length: 5", method="PUT"), [405]),
    ("a body on GET that does not come", request("/x", "Host: a", "Content-Length: 5"), [200]),
    ("a body to a path that cannot be", request("/../x", "Host: a", CHUNKED, method="POST"), [400]),
    # -- methods and replies
    ("unknown path", get("/y"), [404]),
    ("unknown method", request("/x", "Host: a", method="BREW"), [405]),
    ("lower-case method", request("/x", "Host: a", method="delete"), [400]),
    ("TRACE", request("/x", "Host: a", "Cookie: secret", method="TRACE"), [405]),
    ("HEAD", request("/x", "Host: a", method="HEAD"), [200]),
    ("204", get("/none"), [204]),
    ("an exception", get("/error"), [500]),
    ("unknown Expect", get("/x", "Expect: 200-maybe"), [200]),
    ("Expect without content", get("/x", "Expect: 100-continue"), [200]),
    ("three in one packet", get("/x") * 3, [200, 200, 200]),
    ("a good one, then a bad one", get("/x") + request("/x", "Host: a", "Host: b") + get("/x"), [200, 400]),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "statuses"), [row[1:] for row in CASES], ids=[row[0] for row in CASES])
def test_odd_bytes(server: Server, sent: bytes, statuses: list[int]) -> None:
    replies = exchange(server, sent)
    assert [reply.status for reply in replies] == statuses
    for reply in replies:
        if reply.status == 204:
            assert not reply.body and "content-type" not in reply.headers
        if reply.status >= 400 and sent[:4] != b"HEAD":
            assert set(json.loads(reply.body)) == {"error"}
            assert reply.headers["x-content-type-options"] == "nosniff"
            assert b"secret" not in reply.body
    assert exchange(server, get("/x"))[0].status == 200
    assert not {"set-cookie", "location"} & {name for reply in replies for name in reply.headers}


def test_the_authority_of_an_absolute_target_counts_not_host(server: Server) -> None:
    [reply] = exchange(server, request("http://b.example:81/origin", "Host: a"))
    assert reply.body == b"http://b.example:81"


@pytest.mark.parametrize(
    "sent", [row[1] for row in CASES if row[0] in ("body cut short", "chunks cut short")]
)
def test_a_handler_never_sees_a_partial_body(server: Server, sent: bytes) -> None:
    handled.clear()
    assert exchange(server, sent) == []
    assert exchange(server, get("/x"))[0].status == 200
    assert handled == ["GET"]


LINES = [
    b"Host: a",
    b"Content-Length: 3",
    b"Transfer-Encoding: chunked",
    b"Expect: 100-continue",
    b"",
    b"0",
    b"abc",
]


@given(
    st.sampled_from([b"GET /x", b"POST /x", b"POST /json", b"PUT *", b"GET http://a:b/x", b""]),
    st.sampled_from([b" HTTP/1.1", b" HTTP/1.0", b"\x00", b""]),
    st.lists(st.one_of(st.sampled_from(LINES), st.binary(max_size=20)), max_size=6),
    st.sampled_from([b"\r\n", b"\n", b"\r"]),
)
@settings(max_examples=150, deadline=None)
def test_any_bytes_get_a_reply_that_blames_the_client(
    server: Server, start: bytes, version: bytes, lines: list[bytes], end: bytes
) -> None:
    replies = exchange(server, b"\r\n".join([start + version, *lines]) + end + b"\r\n")
    assert all(reply.status < 500 or reply.status == 501 for reply in replies)
    assert exchange(server, get("/x"))[0].status == 200


def test_a_body_just_over_the_limit_gets_the_error_of_the_app(server: Server) -> None:
    (reply,) = exchange(server, post("Content-Length: 100001", body=b"x" * 100_001))
    assert reply.status == 413 and "100000" in json.loads(reply.body)["error"]
    assert reply.body.startswith(b'{"error":"'), "as the app itself writes its errors"


def test_a_client_that_sends_on_gets_to_see_its_refusal(server: Server) -> None:
    with Connection(server) as client:
        client.send(post("Content-Length: 5000000") + bytes(5_000_000) + SMUGGLED)
        assert client.read().status == 413
        assert client.is_closed()


def test_expect_is_not_answered_for_a_body_that_is_refused(server: Server) -> None:
    with Connection(server) as client:
        client.send(post("Content-Length: 9999999", "Expect: 100-continue"))
        assert client.read_head().status == 413


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("POST /y", 404),
        ("PUT /x", 405),
        ("GET /x", 200),
        ("POST /%zz", 400),
        ("POST /api/storage/upload", 400),
    ],
)
def test_expect_is_answered_from_the_head(server: Server, line: str, status: int) -> None:
    with Connection(server) as client:
        fields = ("Host: a", "Content-Length: 9", "Expect: 100-continue", "", "")
        client.send("\r\n".join([f"{line} HTTP/1.1", *fields]).encode())
        assert client.read_head().status == status


def test_an_upload_where_the_storage_cannot_be_opened(tmp_path: Path) -> None:
    app = App(http, data=tmp_path / "data")
    with App(data=tmp_path / "data"), running(Validated(app)) as server:
        for fields in ("Content-Length: 9", "Content-Length: 9\r\nExpect: 100-continue"):
            with Connection(server) as client:
                client.send(
                    f"POST /api/storage/upload?token=x HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n".encode()
                )
                assert client.read_head().status == 500  # said in the log, and to nobody else


def test_connections_that_are_reset_at_once(server: Server) -> None:
    for _ in range(200):
        client = Connection(server)
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
    assert exchange(server, get("/x"))[0].status == 200


def test_slow_clients_disturb_nobody(server: Server) -> None:
    starts = [b"GET /x HT", post("Content-Length: 9", body=b"hel"), get("/x")[:-2]]
    slow = [Connection(server) for _ in range(50)]
    for number, client in enumerate(slow):
        client.send(starts[number % len(starts)])
    for _ in range(20):
        assert exchange(server, get("/x"))[0].status == 200
    for client in slow:
        client.close()
