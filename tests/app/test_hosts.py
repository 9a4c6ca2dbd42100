# SPDX-License-Identifier: MIT
"""Which `Host` is answered: by default the origin's, localhost and the address of the server, else 421."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from webtest import TestApp

from minihttp import App, ConfigurationError, HttpRouter
from minihttp.app.hosts import Hosts
from minihttp.server import Server, serve
from tests.server.wire import Connection, Reply

OURS = ("localhost", "localhost:8080", "LOCALHOST", "localhost.", "127.0.0.1:8080", "127.9.8.7", "[::1]:8080")
FOREIGN = (
    "evil.example",
    "evil.example:8080",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "127.0.0.256",
    "127.1",
    "0.0.0.0",
    "10.0.0.1",
    "[::2]",
    "[::ffff:127.0.0.1]",
)


def an_app(**options: Any) -> App:
    http = HttpRouter()
    http.route(path="/x", method="GET", handler=lambda ctx, request: {"origin": request.origin})
    http.route(path="/x", method="POST", handler=lambda ctx, request: {"length": len(request.bytes())})
    return App(http, **options)


@pytest.mark.parametrize("host", OURS)
def test_this_machine_is_always_answered(host: str) -> None:
    assert Hosts((), "", ("127.0.0.1",)).allows(host)


@pytest.mark.parametrize("host", FOREIGN)
def test_a_foreign_name_is_not(host: str) -> None:
    hosts = Hosts((), "https://api.example.com/v1", ("192.0.2.7",))
    assert not hosts.allows(host)
    assert hosts.allows("API.example.com:443")
    assert hosts.allows("192.0.2.7:8080")


def test_what_hosts_may_say() -> None:
    hosts = Hosts(["api.example.com:8080", "*.shop.example", "2001:db8::1", "[2001:db8::2]"], "")
    for host in (
        "api.example.com",
        "a.shop.example",
        "a.b.shop.example:1",
        "[2001:db8::1]:80",
        "[2001:DB8::2]",
    ):
        assert hosts.allows(host), host
    for host in ("example.com", "shop.example", "xshop.example", "a.shop.example.evil.example"):
        assert not hosts.allows(host), host
    assert Hosts(["*"], "https://api.example.com").allows("evil.example")


@pytest.mark.parametrize("name", ["a b", "https://api.example.com", "", "a,b", "*example.com", "a.*.com"])
def test_a_name_that_no_host_can_be_is_refused_at_start(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"hosts: .* is no host"):
        an_app(hosts=[name])


def test_without_a_name_of_its_own_an_app_answers_any_host() -> None:
    assert Hosts((), "").allows("evil.example")  # another server than ours has it
    assert Hosts((), "", ("0.0.0.0", "0.0.0.0")).allows("evil.example")
    assert not Hosts((), "https://a.example", ("0.0.0.0",)).allows("evil.example")
    assert not Hosts(["a.example"], "", ("::",)).allows("evil.example")


def test_the_421_says_why_whatever_is_asked() -> None:
    client = TestApp(an_app(hosts=["a.example"]))
    for path in ("/x", "/nothing", "/api/query", "/_/metrics", "/_/health/", "//_/health"):
        response = client.get(path, headers={"Host": "evil.example"}, status=421)
        assert response.status == "421 Misdirected Request"
        assert "does not answer for the host evil.example; `hosts` or `origin`" in response.json["error"]
    assert client.get("/x", headers={"Host": "a.example"}).json == {"origin": "http://a.example"}
    client.get("/x", headers={"Host": "a@b"}, status=400)


def test_probes_are_answered_under_any_host() -> None:
    client = TestApp(an_app(hosts=["a.example"]))
    for path in ("/_/health", "/_/ready"):
        client.get(path, headers={"Host": "10.0.0.1"}, status=200)


@contextmanager
def served(app: App, **settings: Any) -> Iterator[Server]:
    """An app behind `serve` itself, in the main thread's place."""
    bound: list[Server] = []
    ready = threading.Event()

    def say(server: Server) -> None:
        bound.append(server)
        ready.set()

    def run() -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("minihttp.server.DRAIN_SIGNALS", ())  # only the main thread may have handlers
            serve(app, port=0, ready=say, **settings)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert ready.wait(60)
        yield bound[0]
    finally:
        bound[0].stop()
        thread.join(60)


def asked(server: Server, head: str) -> Reply:
    with Connection(server) as client:
        client.send(head.replace("\n", "\r\n").encode())
        return client.read()


def test_dns_rebinding_gets_nothing_from_a_server_on_loopback() -> None:
    with served(an_app()) as server:
        page = f"Host: evil.example:{server.port}\nOrigin: http://evil.example:{server.port}\n\n"
        assert asked(server, f"GET /x HTTP/1.1\n{page}").status == 421
        assert asked(server, f"GET /_/health HTTP/1.1\n{page}").status == 200
        assert asked(server, f"GET /x HTTP/1.1\nHost: localhost:{server.port}\n\n").status == 200
        absolute = f"GET http://evil.example/x HTTP/1.1\nHost: localhost:{server.port}\n\n"
        assert asked(server, absolute).status == 421  # the target counts (RFC 9112 §3.2.2)
        assert asked(server, "GET /x HTTP/1.0\n\n").status == 200  # no browser


def test_a_body_for_another_host_is_not_asked_for() -> None:
    with served(an_app()) as server:
        head = "POST /x HTTP/1.1\nHost: evil.example\nContent-Length: 1000000\nExpect: 100-continue\n\n"
        assert asked(server, head).status == 421


def test_behind_a_proxy_a_name_has_to_be_said_first() -> None:
    head = "GET /x HTTP/1.1\nHost: public.example\n\n"
    for options, status in (
        ({}, 200),
        ({"origin": "https://a.example"}, 421),
        ({"hosts": ["b.example"]}, 421),
    ):
        with served(an_app(**options), trusted_proxy="127.0.0.1") as server:
            assert asked(server, head).status == status
