# SPDX-License-Identifier: MIT
"""What a trusted proxy says of a request, as it is read, and over sockets."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minihttp import App, HttpRouter
from minihttp.errors import HTTPError
from minihttp.server.proxy_headers import TrustedProxies
from tests.server.wire import Connection, running

PEER = "10.0.0.1"


def applied(
    headers: dict[str, str], trusted: str = PEER, hops: int | None = None, peer: str = PEER
) -> dict[str, Any]:
    environ = {
        "REMOTE_ADDR": peer,
        "wsgi.url_scheme": "http",
        "HTTP_HOST": "inside",
        "SERVER_PORT": "8080",
        "REQUEST_URI": "/a%2Fb?q",
        "SCRIPT_NAME": "",
        **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()},
    }
    TrustedProxies(trusted, hops).apply(environ)
    return environ


@pytest.mark.parametrize(
    ("value", "client"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:5678", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:1234", "2001:db8::1"),
        ('"[2001:db8::1]:1234"', "2001:db8::1"),
        ("198.51.100.9, 192.0.2.1", "192.0.2.1"),
        ("<script>, 192.0.2.1", "192.0.2.1"),
        ("unknown", PEER),
        ("192.0.2.1, unknown", PEER),
        ("_hidden", PEER),
        ("", PEER),
    ],
)
def test_the_client_is_the_one_that_the_trusted_hop_added(value: str, client: str) -> None:
    assert applied({"X-Forwarded-For": value})["REMOTE_ADDR"] == client


@pytest.mark.parametrize(
    ("trusted", "hops", "client", "scheme"),
    [
        ("*", None, "10.0.0.2", "http"),
        (PEER, None, "10.0.0.2", "http"),
        (PEER, 2, "192.0.2.1", "https"),
        (PEER, 9, "198.51.100.9", "https"),
        ("10.0.0.0/8", None, "192.0.2.1", "https"),
        ("10.0.0.2,10.0.0.1", None, "192.0.2.1", "https"),
        ("10.0.0.0/8,192.0.2.0/24", None, "198.51.100.9", "https"),
    ],
)
def test_hops_and_networks(trusted: str, hops: int | None, client: str, scheme: str) -> None:
    headers = {"X-Forwarded-For": "198.51.100.9, 192.0.2.1, 10.0.0.2", "X-Forwarded-Proto": "https, http"}
    found = applied(headers, trusted, hops)
    assert (found["REMOTE_ADDR"], found["wsgi.url_scheme"]) == (client, scheme)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"X-Forwarded-Proto": "HTTPS"}, ("https", "inside", "443")),
        ({"X-Forwarded-Proto": "wss"}, ("https", "inside", "443")),
        ({"X-Forwarded-Proto": "http, https"}, ("https", "inside", "443")),
        (
            {"X-Forwarded-Host": "a.example:443", "X-Forwarded-Proto": "https"},
            ("https", "a.example:443", "443"),
        ),
        ({"X-Forwarded-Host": "evil, a.example"}, ("http", "a.example", "8080")),
        (
            {"X-Forwarded-Host": "a.example", "X-Forwarded-Port": "80,8443"},
            ("http", "a.example:8443", "8443"),
        ),
        ({"X-Forwarded-Host": "[::1]", "X-Forwarded-Port": "81"}, ("http", "[::1]:81", "81")),
        ({"X-Forwarded-Port": ":443"}, ("http", "inside", "443")),
    ],
)
def test_scheme_host_and_port(headers: dict[str, str], expected: tuple[str, str, str]) -> None:
    found = applied(headers)
    assert (found["wsgi.url_scheme"], found["HTTP_HOST"], found["SERVER_PORT"]) == expected


def test_a_prefix_is_part_of_the_url_and_of_no_route() -> None:
    found = applied({"X-Forwarded-Prefix": "/v1/api/"})
    assert (found["SCRIPT_NAME"], found["REQUEST_URI"]) == ("/v1/api", "/v1/api/a%2Fb?q")
    assert applied({"X-Forwarded-Prefix": "/"})["REQUEST_URI"] == "/a%2Fb?q"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("For", "nobody"), ("For", "1.2.3.4.5"), ("Proto", "ftp"), ("Proto", "https http"), ("Port", "0"),
        ("Port", "99999"), ("Port", "x"), ("Port", "٣"), ("Prefix", "//evil.example"), ("Prefix", "a"),
        ("Prefix", "/a/../b"), ("Prefix", "/a?b"), ("Prefix", "/a b"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_400(name: str, value: str) -> None:
    with pytest.raises(HTTPError, match=f"X-Forwarded-{name} ") as caught:
        applied({f"X-Forwarded-{name}": value})
    assert caught.value.status == 400


def test_nobody_else_is_believed() -> None:
    headers = {f"X-Forwarded-{name}": "1.2.3.4" for name in ("For", "Proto", "Host", "Port", "Prefix", "By")}
    for trusted, peer in (
        ("", PEER),
        ("10.0.0.2", PEER),
        ("10.0.0.0/8", "192.0.2.1"),
        (PEER, "not an address"),
    ):
        found = applied({**headers, "Forwarded": "for=1.2.3.4"}, trusted, peer=peer)
        assert found["REMOTE_ADDR"] == peer and not any("FORWARDED" in name for name in found)
    assert "HTTP_FORWARDED" not in applied({"Forwarded": "for=1.2.3.4"})
    assert (
        applied({"X-Forwarded-For": "1.2.3.4"}, "10.0.0.1", peer="::ffff:10.0.0.1")["REMOTE_ADDR"]
        == "1.2.3.4"
    )


@given(st.dictionaries(st.sampled_from(["For", "Proto", "Host", "Port", "Prefix"]), st.text(max_size=30)))
def test_any_text_is_read_or_a_400(values: dict[str, str]) -> None:
    try:
        applied({f"X-Forwarded-{name}": value for name, value in values.items()}, "*")
    except HTTPError as error:
        assert error.status == 400


def test_over_sockets() -> None:
    http = HttpRouter()
    http.route(path="/q", method="GET", handler=lambda c, r: {"url": r.url, "remote": r.remote_addr})
    with running(App(http), trusted_proxy="127.0.0.0/8") as server, Connection(server) as client:
        client.send(
            b"GET /q?a[]=%2F HTTP/1.1\r\nHost: inside\r\nX-Forwarded-Proto: https\r\n"
            b"X-Forwarded-Prefix: /app\r\nX-Forwarded-Host: a.example:443\r\n"
            b"X-Forwarded-For: [2001:db8::1]:1234\r\n\r\n"
        )
        response = client.read()
        assert json.loads(response.body) == {
            "url": "https://a.example/app/q?a[]=%2F",
            "remote": "2001:db8::1",
        }
        client.send(b"GET /q HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: gopher\r\n\r\n")
        response = client.read()
        assert (response.status, response.headers["content-type"]) == (400, "application/json")
        assert json.loads(response.body) == {"error": "X-Forwarded-Proto 'gopher' cannot be read"}
        assert client.is_closed(), "and the connection is closed"
