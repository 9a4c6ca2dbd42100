# SPDX-License-Identifier: MIT
from __future__ import annotations

from typing import Any

import pytest

from minihttp.errors import ConfigurationError
from minihttp.http.cors import Cors
from minihttp.http.headers import Headers
from tests.http.environs import Sent, make_environ

A = "https://a.example"


def applied(cors: Cors, origin: str | None, **own: str) -> dict[str, str]:
    headers = Headers([(name.replace("_", "-"), value) for name, value in own.items()])
    cors.apply(headers, origin)
    return {name.lower(): value for name, value in headers.items()}


def preflight(cors: Cors, origin: str | None, methods: list[str]) -> Sent:
    headers = {"Origin": origin} if origin else {}
    return Sent(cors.preflight(make_environ("OPTIONS", headers=headers), methods), "OPTIONS")


def test_the_origin_is_echoed_and_varied_on() -> None:
    assert applied(Cors(["*"]), A) == {"vary": "Origin", "access-control-allow-origin": A}
    assert applied(Cors([A]), A)["access-control-allow-origin"] == A
    assert applied(Cors(["*"]), None) == applied(Cors([A]), None) == {"vary": "Origin"}


@pytest.mark.parametrize(
    "origin",
    ["https://a.example.evil.example", "https://a.example:8443", "http://a.example", "https://xa.example",
     "null", "", "https://a.example/", "https://a.example\r\n", "HTTPS://A.EXAMPLE"],
)  # fmt: skip
def test_other_origins_get_nothing(origin: str) -> None:
    assert applied(Cors([A], credentials=True, expose=["X-A"]), origin) == {"vary": "Origin"}


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://bar.com", True),
        ("https://a.bar.com", True),
        ("https://a.b.bar.com:8443", True),
        ("http://a.bar.com", False),
        ("https://evilbar.com", False),
        ("https://bar.com.evil.example", False),
        ("https://evil.example/.bar.com", False),
        ("https://evil.example#.bar.com", False),
        ("https://u@a.bar.com", False),
        ("*.bar.com", False),
    ],
)
def test_sub_domains(origin: str, allowed: bool) -> None:
    assert ("access-control-allow-origin" in applied(Cors(["*.bar.com"]), origin)) is allowed


@pytest.mark.parametrize("origin", ["https://a\tb", "https://a\r\nb", "*", "", "a.example", "https://a/b"])
def test_any_origin_is_still_an_origin(origin: str) -> None:
    assert applied(Cors(["*"]), origin) == {"vary": "Origin"}
    assert applied(Cors(["*"]), "null")["access-control-allow-origin"] == "null"


def test_null_can_be_listed() -> None:
    assert applied(Cors(["null"]), "null")["access-control-allow-origin"] == "null"


@pytest.mark.parametrize(
    ("own", "merged"),
    [
        ("Accept", "Accept, Origin"),
        ("Accept, origin", "Accept, origin"),
        ("*", "*"),
        ("Origins", "Origins, Origin"),
    ],
)
def test_vary_is_merged(own: str, merged: str) -> None:
    assert applied(Cors(["*"]), A, Vary=own)["vary"] == merged


def test_applying_twice_changes_nothing() -> None:
    cors, headers = Cors([A], credentials=True, expose=["X-A"]), Headers()
    cors.apply(headers, A)
    once = headers.items()
    cors.apply(headers, A)
    assert sorted(headers.items()) == sorted(once)


def test_a_handlers_own_allow_origin_gives_way() -> None:
    own = {"Access_Control_Allow_Origin": "*"}
    assert applied(Cors([A]), A, **own)["access-control-allow-origin"] == A
    assert "access-control-allow-origin" not in applied(Cors([A]), "https://evil.example", **own)
    assert applied(Cors([A]), None, **own)["access-control-allow-origin"] == "*"


def test_credentials_and_exposed_headers() -> None:
    found = applied(Cors([A], credentials=True, expose=["X-A", "X-B"]), A)
    assert found["access-control-allow-credentials"] == "true"
    assert found["access-control-expose-headers"] == "X-A, X-B"


def test_ports_that_browsers_send_are_origins() -> None:
    for origin in ("http://a.example:443", "https://a.example:80", "http://[::1]", "https://[::1]:8443"):
        assert applied(Cors([origin], credentials=True), origin)["access-control-allow-origin"] == origin
    assert preflight(Cors(["*"], headers=["*"]), A, ["GET"]).header["access-control-allow-headers"] == "*"


def test_preflight() -> None:
    reply = preflight(Cors([A], headers=["X-A"], max_age_seconds=5), A, ["GET", "POST"])
    assert (reply.status, reply.body) == ("204 No Content", b"")
    assert reply.header == {
        "access-control-allow-headers": "X-A",
        "access-control-max-age": "5",
        "access-control-allow-methods": "GET, POST",
        "access-control-allow-origin": A,
        "vary": "Origin",
    }
    reply = preflight(Cors(["*"], methods=["PUT"]), A, ["GET"])
    assert reply.header["access-control-allow-methods"] == "PUT"
    assert reply.header["access-control-allow-headers"] == "Content-Type, Authorization"
    assert "access-control-allow-private-network" not in reply.header


def test_a_preflight_of_another_origin_allows_nothing() -> None:
    for origin in ("https://evil.example", None):
        reply = preflight(Cors([A]), origin, ["GET"])
        assert reply.status.startswith("204") and "access-control-allow-origin" not in reply.header


@pytest.mark.parametrize(
    ("origins", "more", "message"),
    [
        (["*"], {"credentials": True}, "credentials"),
        (["null"], {"credentials": True}, "sandboxed"),
        ([A], {"credentials": True, "headers": ["*"]}, "name the headers"),
        ([A], {"credentials": True, "headers": "*"}, "name the headers"),
        ([A], {"credentials": True, "expose": ["X-A", "*"]}, "name the expose"),
        ([A], {"credentials": True, "methods": ["*"]}, "name the methods"),
        (["https://a.example:443"], {}, "'https://a.example'"),
        (["http://a.example:80"], {}, "the port 80 is left out"),
        (["http://[::1]:80"], {}, "the port 80 is left out"),
        (["https://a.example:0443"], {}, "0443 is no port"),
        (["https://a.example:99999"], {}, "99999 is no port"),
        (["https://*.bar.com"], {}, r"'https://\*\.bar\.com'"),
        (["https://a.example/"], {}, "without a path"),
        (["a.example"], {}, "a.example"),
        (["*bar.com"], {}, "bar.com"),
        (["HTTPS://A.example"], {}, "A.example"),
        ([""], {}, "''"),
        ([A], {"methods": ["get"]}, "'get'"),
        ([A], {"headers": ["X A"]}, "'X A'"),
        ([A], {"max_age_seconds": -1}, "-1"),
    ],
)
def test_a_rule_that_cannot_work_is_refused(origins: list[str], more: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Cors(origins, **more)
