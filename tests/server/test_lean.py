# SPDX-License-Identifier: MIT
"""The same bytes by the lean path and by the general one: the same environs, responses and reports.

A request that comes whole may be read by the lean path. Its first byte alone is not a whole head, so the
request whose first byte comes by itself is read by `Parser`.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minihttp import App, HttpRouter, Limits, Response
from minihttp.logs import Served
from minihttp.server.lean import LeanRequest

from .listening import listener_for
from .wire import PATIENCE_SECONDS

# Made anew for each request or connection.
_VOLATILE = {
    "wsgi.input",
    "REMOTE_PORT",
    "minihttp.request_id",
    "waitress.client_disconnected",
    "minihttp.suspend",
}


class Outcome(NamedTuple):
    """What came of some requests."""

    environs: list[dict[str, Any]]
    bodies: list[bytes]
    sent: bytes
    served: list[Served]
    were_lean: list[bool]
    is_open: bool


class Recorder:
    """A WSGI callable that keeps what another one is called with."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.environs: list[dict[str, Any]] = []
        self.bodies: list[bytes] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        self.environs.append({key: value for key, value in environ.items() if key not in _VOLATILE})
        body = environ["wsgi.input"]
        self.bodies.append(body.read())
        body.seek(0)
        return self.app(environ, start_response)


class Bench:
    """A listener whose loop and handler threads are the test's own thread."""

    def __init__(self, app: Any, trusted_proxy: str | None = None) -> None:
        self.recorder = Recorder(app)
        self.served: list[Served] = []
        self.listener = listener_for(self.recorder, trusted_proxy=trusted_proxy, report=self.served.append)

    def outcome(self, requests: list[bytes], *, whole: bool) -> Outcome:
        self.recorder.environs, self.recorder.bodies = [], []
        self.served.clear()
        client = socket.create_connection(self.listener.socket.getsockname(), PATIENCE_SECONDS)
        while not self.listener.active_channels:
            self.listener.poll(PATIENCE_SECONDS)
        (channel,) = self.listener.active_channels.values()
        were_lean: list[bool] = []
        for request in requests:
            for piece in [request] if whole else [request[:1], request[1:]]:
                channel.received(piece)
                were_lean += [isinstance(request, LeanRequest) for request in channel.requests]
                self._serve()
        is_open = bool(channel.connected and not (channel.will_close or channel.close_when_flushed))
        channel.refused = False  # it is not to wait for the client
        channel.handle_close()
        with client, client.makefile("rb") as file:
            sent = file.read()
        served = [line._replace(started=0, seconds=0, request_id=None) for line in self.served]
        return Outcome(self.recorder.environs, self.recorder.bodies, stable(sent), served, were_lean, is_open)

    def _serve(self) -> None:
        queue = self.listener.task_dispatcher.queue
        while queue:
            queue.popleft().service()

    def close(self) -> None:
        self.listener.close_all(PATIENCE_SECONDS)


def stable(sent: bytes) -> bytes:
    """Without what differs from request to request."""
    sent = re.sub(rb"\r\nDate: [A-Za-z0-9 ,:]+ GMT\r\n", b"\r\nDate: -\r\n", sent)
    return re.sub(rb"\r\nX-Request-Id: [0-9a-f]{16}", b"", sent)


def odd_app(environ: dict[str, Any], start_response: Any) -> Any:
    """Answers as the path says, also as no application should."""
    path = environ["PATH_INFO"]
    body = [b"ab", b"", b"cd"]
    headers = [("content-type", "text/plain"), ("X-a-bC", "1"), ("x-b", ""), ("X-b", "2")]
    if path == "/raise":
        raise RuntimeError("no")
    if path == "/none":
        start_response("204 No Content", headers)
        return []
    if path == "/own":
        start_response(
            "200 OK", [*headers, ("Date", "yesterday"), ("Server", "own"), ("content-length", "4")]
        )
    elif path == "/short":
        start_response("200 OK", [*headers, ("Content-Length", "9")])
    elif path == "/long":
        start_response("404 Not Found", [*headers, ("Content-Length", "3")])
    elif path == "/one":
        start_response("200 OK", headers)
        body = [b"x" * 70_000]
    elif path == "/hop":
        start_response("200 OK", [("Connection", "close")])
    elif path == "/late":
        return late(start_response)
    else:
        start_response("200 OK", headers)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else body


def late(start_response: Any) -> Iterator[bytes]:
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    write(b"written")
    yield b"ab"
    raise RuntimeError("half-way")


http = HttpRouter()
http.get("/x", lambda ctx, request: Response(f"{request.url} {request.query.get('a')} {request.remote_addr}"))
http.get("/users/{id}", lambda ctx, request: Response.json(dict(request.path_params)))
http.post("/echo", lambda ctx, request: Response.json(request.json()))
http.post(
    "/text", lambda ctx, request: Response(request.text(), headers={"X-Len": str(len(request.bytes()))})
)


@pytest.fixture(scope="module", params=["odd", "app", "proxied"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    app = odd_app if request.param == "odd" else App(http, limits=Limits(max_body_bytes=10_000))
    bench = Bench(app, "127.0.0.1" if request.param == "proxied" else None)
    yield bench
    bench.close()


def message(first: bytes, *fields: bytes, body: bytes = b"") -> bytes:
    return b"\r\n".join([first, *fields, b"", b""]) + body


def both(bench: Bench, *requests: bytes) -> Outcome:
    """What came by the lean path, which must be what came by the general one."""
    lean = bench.outcome(list(requests), whole=True)
    general = bench.outcome(list(requests), whole=False)
    assert not any(general.were_lean)
    assert lean._replace(were_lean=[]) == general._replace(were_lean=[])
    for environ, other in zip(lean.environs, general.environs, strict=True):
        assert [key for key in environ if key.startswith("HTTP_")] == [
            key for key in other if key.startswith("HTTP_")
        ]
    return lean


HOST = b"Host: a"
CHUNKED = b"Transfer-Encoding: chunked"
JSON = b"Content-Type: application/json"
PLAIN = [
    message(b"GET /x HTTP/1.1", HOST),
    message(b"GET / HTTP/1.1", HOST),
    message(b"GET /x?a=1&b=%20?/ HTTP/1.1", HOST),
    message(b"GET /x? HTTP/1.1", HOST),
    message(b"HEAD /x HTTP/1.1", HOST),
    message(b"DELETE /x HTTP/1.1", HOST),
    message(b"GET /users/a:b@c;d=1,(2)!*'$&+~ HTTP/1.1", HOST),
    message(b"GET /x//y HTTP/1.1", HOST),
    message(b"GET /../x/./y HTTP/1.1", HOST),
    message(b"GET /x HTTP/1.1", b"hOsT:a", b"X-Empty:", b"x-spaces:   a b  ", b"A1-2: !~"),
    message(b"GET /x HTTP/1.1", HOST, b"Connection: Keep-Alive", b"Cookie: a=b; c=d", b"Accept: */*"),
    message(b"GET /x HTTP/1.1", b"X-No-Host: 1"),
    message(b"GET /x HTTP/1.1", b"Host: not a host"),
    message(b"GET /x HTTP/1.1", HOST, b"X-Forwarded-For: 1.2.3.4", b"X-Forwarded-Proto: https"),
    message(b"GET /x HTTP/1.1", HOST, b"X-Forwarded-For: nonsense", b"X-Request-Id: abc"),
    message(b"GET /x HTTP/1.1", HOST, b"Forwarded: for=1.2.3.4", b"X-Forwarded-By: me"),
    message(b"POST /echo HTTP/1.1", HOST, JSON, b"Content-Length: 7", body=b'{"a":1}'),
    message(b"POST /echo HTTP/1.1", HOST, JSON, b"Content-Length: 007", body=b'{"a":1}'),
    message(b"POST /echo HTTP/1.1", HOST, JSON, b"Content-Length: 0"),
    message(b"POST /echo HTTP/1.1", HOST, JSON),
    message(b"POST /text HTTP/1.1", HOST, b"Content-Length: 9000", body=bytes(9000)),
    message(b"POST /text HTTP/1.1", HOST, b"Content-Length: 20000", body=bytes(20_000)),
    message(b"POST /nowhere HTTP/1.1", HOST, b"Content-Length: 3", body=b"abc"),
    message(b"GET /x HTTP/1.1", HOST, b"Content-Length: 3", body=b"abc"),
    message(b"GET /x HTTP/1.1", HOST, *[b"X-%d: %d" % (n, n) for n in range(99)]),
    *[message(b"GET /%s HTTP/1.1" % path, HOST) for path in
      (b"raise", b"none", b"own", b"short", b"long", b"one", b"hop", b"late")],
]  # fmt: skip
ODD = [
    b"",
    b"\r\n",
    b"GET /x HTTP/1.1\r\nHost: a\r\n",
    b"GET /x HTTP/1.1\nHost: a\n\n",
    b"\r\n" + message(b"GET /x HTTP/1.1", HOST),
    message(b"GET /x HTTP/1.0", HOST),
    message(b"GET /x HTTP/1.0", HOST, b"Connection: keep-alive"),
    message(b"GET /x HTTP/2.0", HOST),
    message(b"GET /x"),
    message(b"GET /x HTTP/1.1"),
    message(b"GET  /x HTTP/1.1", HOST),
    message(b"GET /x HTTP/1.1 ", HOST),
    message(b"get /x HTTP/1.1", HOST),
    message(b"PURGE /x HTTP/1.1", HOST),
    message(b"OPTIONS * HTTP/1.1", HOST),
    message(b"GET x HTTP/1.1", HOST),
    message(b"GET //a/x HTTP/1.1", HOST),
    message(b"GET http://b/x HTTP/1.1", HOST),
    message(b"GET /%78 HTTP/1.1", HOST),
    message(b"GET /x#f HTTP/1.1", HOST),
    message(b"GET /x?a#f HTTP/1.1", HOST),
    message(b"GET /x?\xe4 HTTP/1.1", HOST),
    message(b"GET /\xc3\xa4 HTTP/1.1", HOST),
    message(b"GET /x\\y HTTP/1.1", HOST),
    message(b"GET /x\x00 HTTP/1.1", HOST),
    message(b"GET /x HTTP/1.1", HOST, HOST),
    message(b"GET /x HTTP/1.1", HOST, b"X-A: 1", b"x-a: 2"),
    message(b"GET /x HTTP/1.1", HOST, b"X_A: 1"),
    message(b"GET /x HTTP/1.1", HOST, b"X-A : 1"),
    message(b"GET /x HTTP/1.1", HOST, b" X-A: 1"),
    message(b"GET /x HTTP/1.1", HOST, b"X-A: 1", b" folded"),
    message(b"GET /x HTTP/1.1", HOST, b"X-A: \t1\t"),
    message(b"GET /x HTTP/1.1", HOST, b"X-A: \xe4"),
    message(b"GET /x HTTP/1.1", HOST, b"X-A: a\x00b"),
    message(b"GET /x HTTP/1.1", HOST, b"X-A: a\rb"),
    message(b"GET /x HTTP/1.1", HOST, b"X-A: a\nb"),
    message(b"GET /x HTTP/1.1", HOST, b"no colon"),
    message(b"GET /x HTTP/1.1", HOST, b": no name"),
    message(b"GET /x HTTP/1.1", HOST, b"X!#$%&'*+.^`|~: 1"),
    message(b"GET /x HTTP/1.1", HOST, b"Connection: close"),
    message(b"GET /x HTTP/1.1", HOST, b"Connection: keep-alive, close"),
    message(b"GET /x HTTP/1.1", HOST, b"Connection: upgrade", b"Upgrade: h2c"),
    message(b"GET /x HTTP/1.1", HOST, *[b"X-%d: %d" % (n, n) for n in range(100)]),
    message(b"GET /x HTTP/1.1", HOST, b"X-A: " + b"a" * 70_000),
    message(b"POST /echo HTTP/1.1", HOST, JSON, b"Content-Length: +7", body=b'{"a":1}'),
    message(b"POST /echo HTTP/1.1", HOST, JSON, b"Content-Length: 7,7", body=b'{"a":1}'),
    message(b"POST /echo HTTP/1.1", HOST, JSON, b"Content-Length:", body=b'{"a":1}'),
    message(b"POST /echo HTTP/1.1", HOST, JSON, b"Content-Length: 7", b"content-length: 7", body=b'{"a":1}'),
    message(b"POST /echo HTTP/1.1", HOST, JSON, b"Content-Length: " + b"9" * 5000, body=b'{"a":1}'),
    message(b"POST /echo HTTP/1.1", HOST, JSON, b"Content-Length: 8", body=b'{"a":1}'),
    message(b"POST /echo HTTP/1.1", HOST, b"Content-Length: 2", b"Expect: 100-continue", body=b"{}"),
    message(b"POST /echo HTTP/1.1", HOST, JSON, CHUNKED, body=b"2\r\n{}\r\n0\r\n\r\n"),
    message(b"POST /echo HTTP/1.1", HOST, b"Content-Length: 2", CHUNKED, body=b"0\r\n\r\n"),
    message(b"POST /text HTTP/1.1", HOST, b"Content-Length: 65537", body=bytes(65_537)),
]  # fmt: skip


@pytest.mark.parametrize("request_bytes", PLAIN)
def test_a_plain_request_goes_the_lean_way_and_gets_the_same(bench: Bench, request_bytes: bytes) -> None:
    assert both(bench, request_bytes).were_lean[:1] == [True]


@pytest.mark.parametrize("request_bytes", ODD)
def test_an_odd_request_goes_the_general_way(bench: Bench, request_bytes: bytes) -> None:
    assert not any(both(bench, request_bytes).were_lean)


def test_requests_of_one_connection_do_not_get_the_fields_of_those_before(bench: Bench) -> None:
    first = message(b"GET /x HTTP/1.1", HOST, b"X-A: 1", b"Cookie: a")
    longer = message(b"GET /x HTTP/1.1", HOST, b"X-A: 1", b"Cookie: ab")
    post = message(b"POST /text HTTP/1.1", HOST, b"Content-Length: 2", body=b"ab")
    outcome = both(
        bench, first, first, longer, first, post, post[:-2] + b"cd", message(b"GET /x HTTP/1.1", HOST)
    )
    assert outcome.were_lean == [True] * 7 and outcome.is_open
    assert [environ.get("HTTP_COOKIE") for environ in outcome.environs] == [
        "a",
        "a",
        "ab",
        "a",
        None,
        None,
        None,
    ]
    assert outcome.bodies == [b"", b"", b"", b"", b"ab", b"cd", b""]


def test_requests_in_a_row_are_each_read_to_their_end(bench: Bench) -> None:
    post = message(b"POST /text HTTP/1.1", HOST, b"Content-Length: 2", body=b"ab")
    get, odd = message(b"GET /x HTTP/1.1", HOST), message(b"GET /x HTTP/1.1", HOST, b"X_A: 1")
    row = [post, get, odd, get, post, get]
    outcome = bench.outcome([b"".join(row)], whole=True)
    assert outcome.sent == both(bench, *row).sent
    assert outcome.bodies == [b"ab", b"", b"", b"", b"ab", b""]


texts = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=8).map(str.encode)
any_bytes = st.binary(max_size=6)
names = st.sampled_from(
    [b"Host", b"host", b"X-A", b"x-a", b"X_A", b"Connection", b"Content-Length", b"Content-Type", b"Cookie",
     b"Transfer-Encoding", b"Expect", b"Forwarded", b"X-Forwarded-For", b"X-Forwarded-Host", b"X-Request-Id"]
)  # fmt: skip
values = (
    texts | any_bytes | st.sampled_from([b"keep-alive", b"close", b"a", b"3", b"0", b"chunked", b"1.2.3.4"])
)
fields = st.tuples(names | texts, st.sampled_from([b": ", b":", b":  ", b" : ", b""]), values).map(b"".join)
targets = st.sampled_from([b"/x", b"/", b"/echo", b"/none", b"/own", b"//x"]) | texts | any_bytes
lines = st.tuples(
    st.sampled_from([b"GET", b"POST", b"HEAD", b"PUT", b"get"]),
    st.tuples(targets, st.sampled_from([b"", b"?", b"?a=1", b"#f"]), texts).map(b"".join),
    st.sampled_from([b"HTTP/1.1"] * 6 + [b"HTTP/1.0", b"HTTP/1.2"]),
).map(b" ".join)
messages = st.builds(
    lambda line, own, rest, end, body: end.join([line, *own, *rest, b"", b""]) + body,
    lines,
    st.sampled_from([[HOST], [HOST], []]),
    st.lists(fields, max_size=4),
    st.sampled_from([b"\r\n"] * 9 + [b"\n"]),
    any_bytes,
)


@given(st.lists(messages, min_size=1, max_size=3))
@settings(max_examples=300, deadline=None)
def test_whatever_comes_both_ways_agree(bench: Bench, requests: list[bytes]) -> None:
    both(bench, *requests)
