# SPDX-License-Identifier: MIT
"""Keys that are fetched: from a provider on loopback that is slow, wrong, rotating and down."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from minihttp import auth
from minihttp.auth import fetch, key_sources
from minihttp.errors import AuthError, HTTPError
from tests.auth.fake_provider import FakeProvider
from tests.auth.makers import NOW, ONE, TWO, make_token

DAY = 86_400.0


class World:
    """An app that believes the fake provider, whose tokens last for ten days."""

    def __init__(self, provider: FakeProvider, **options: Any) -> None:
        self.now = NOW
        self.provider = provider
        self.authenticator = auth.Authenticator(
            [auth.oidc(provider.url, audience="App 1", **options)], clock=lambda: self.now
        )
        self.count = 0

    def token(self, kid: str = "one", key: Any = ONE) -> str:
        self.count += 1  # no token comes twice, so none is remembered
        head = {"alg": "RS256", "kid": kid}
        times = {"iat": NOW, "exp": NOW + 10 * DAY}
        return make_token(header=head, key=key, iss=self.provider.url, n=self.count, **times)

    def identify(self, kid: str = "one", key: Any = ONE) -> str:
        return self.authenticator.identify(self.token(kid, key)).subject

    def fails(self, kid: str = "one", key: Any = ONE) -> HTTPError:
        with pytest.raises(HTTPError) as caught:
            self.identify(kid, key)
        return caught.value

    @property
    def fetches(self) -> int:
        return len([path for path in self.provider.asked if path == "/jwks.json"])


@pytest.fixture
def world(provider: FakeProvider) -> World:
    return World(provider)


def test_discovery_then_keys_once_for_many_tokens(world: World) -> None:
    for _ in range(3):
        assert world.identify() == "alice"
    assert world.provider.asked == ["/.well-known/openid-configuration", "/jwks.json"]
    assert world.authenticator.problems() == []


def test_nothing_is_fetched_for_a_token_that_is_refused_without_keys(world: World) -> None:
    assert world.fails(kid=None).status == 401  # type: ignore[arg-type]
    with pytest.raises(AuthError, match="alg"):
        world.authenticator.identify(make_token(header={"alg": "none", "kid": "one"}, iss=world.provider.url))
    with pytest.raises(AuthError, match="No auth provider"):
        world.authenticator.identify(make_token(iss="https://unknown.example.com"))
    assert world.provider.asked == []


def test_requests_at_the_same_time_share_one_fetch(world: World) -> None:
    world.provider.gate.clear()
    tokens = [world.token() for _ in range(8)]
    waiting = threading.Barrier(9)

    def identify(token: str) -> str:
        waiting.wait(10)
        return world.authenticator.identify(token).subject

    with ThreadPoolExecutor(8) as pool:
        results = [pool.submit(identify, token) for token in tokens]
        waiting.wait(10)
        assert world.provider.arrived.wait(10)
        world.provider.gate.set()
        assert [result.result(20) for result in results] == ["alice"] * 8
    assert world.fetches == 1


@pytest.mark.parametrize(
    ("cache_control", "seconds"),
    [
        ("", 300.0),
        ("max-age=1", 300.0),
        ("no-store", 300.0),
        ("public, max-age=3600, must-revalidate", 3_600.0),
        ("Max-Age=3600", 3_600.0),
        ("x-max-age=3600", 300.0),
        ("max-age=99999999", DAY),
        ("max-age=-1", 300.0),
    ],
)
def test_keys_are_kept_as_long_as_the_provider_says_within_bounds(
    world: World, cache_control: str, seconds: float
) -> None:
    world.provider.headers["Cache-Control"] = cache_control
    world.identify()
    world.now = NOW + seconds - 1
    world.identify()
    assert world.fetches == 1
    world.now = NOW + seconds
    world.identify()
    assert world.fetches == 2


def test_a_rotated_key_is_found_at_once_and_a_strangers_kids_cost_one_fetch_a_minute(world: World) -> None:
    world.provider.jwks = {"keys": [ONE.jwk("one")]}
    assert world.identify() == "alice"
    world.provider.jwks = {"keys": [TWO.jwk("two")]}
    assert world.identify("two", TWO) == "alice"
    assert world.fetches == 2
    for number in range(20):
        error = world.fails(f"random {number}")
        assert error.status == 401 and f"random {number}" in error.message
    assert world.fetches == 2
    assert "'one'" in world.fails("one").message  # the old key went with the rotation
    world.now += 60
    world.fails("random 21")
    world.fails("random 22")
    assert world.fetches == 3


def test_a_provider_that_is_down_keeps_its_last_keys_for_a_day(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.identify()
    world.provider.status = 500
    world.now = NOW + 301
    assert world.identify() == "alice"
    [problem] = world.authenticator.problems()
    assert "its keys cannot be fetched (its last keys are still used)" in problem
    assert "its last keys are still used): HTTP status 500" in caplog.text
    asked = len(world.provider.asked)
    assert world.identify() == "alice" and len(world.provider.asked) == asked  # it is not asked again at once
    world.now = NOW + 300 + DAY - 1
    assert world.identify() == "alice"
    world.now = NOW + 300 + DAY + 60
    error = world.fails()
    assert error.status == 503 and dict(error.headers) == {"Retry-After": "10"}
    world.provider.status = 200
    world.now += 11
    assert world.identify() == "alice" and world.authenticator.problems() == []


def test_a_provider_that_was_never_there_is_503_and_is_found_when_it_comes(world: World) -> None:
    world.provider.closed = True
    error = world.fails()
    assert (error.status, error.code) == (503, "AuthProviderDiscoveryFailed")
    assert world.provider.url not in error.message
    asked = len(world.provider.asked)
    assert world.fails().status == 503 and len(world.provider.asked) == asked
    world.provider.closed = False
    world.now += 10
    assert world.identify() == "alice"


WRONG: dict[str, dict[str, Any]] = {
    "another issuer": {"discovery": {"issuer": "https://evil.example.com"}},
    "no issuer": {"discovery": {"issuer": None}},
    "keys by http elsewhere": {"discovery": {"jwks_uri": "http://192.0.2.1/jwks.json"}},
    "keys in a file": {"discovery": {"jwks_uri": "file:///etc/passwd"}},
    "no keys": {"discovery": {"jwks_uri": None}},
    "not JSON": {"jwks": b"<html>"},
    "a list": {"jwks": b"[]"},
    "no set of keys": {"jwks": {}},
    "UTF-16": {"jwks": "{}".encode("utf-16")},
    "too large": {"jwks": b'{"keys": [' + b" " * (256 * 1024) + b"]}"},
    "deep": {"jwks": b'{"keys": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"},
    "404": {"status": 404},
    "another host": {"redirects": {"/jwks.json": "http://localhost:1/jwks.json"}},
    "another scheme": {"redirects": {"/jwks.json": "ftp://127.0.0.1/jwks.json"}},
    "a circle": {"redirects": {"/jwks.json": "/jwks.json"}},
    "cut short": {"headers": {"Content-Length": "100000"}},
}


@pytest.mark.parametrize("name", WRONG)
def test_a_provider_that_is_wrong(world: World, name: str, caplog: pytest.LogCaptureFixture) -> None:
    for attribute, value in WRONG[name].items():
        setattr(world.provider, attribute, value)
    assert world.fails().status == 503
    assert "cannot be fetched" in world.authenticator.problems()[0] and "cannot be fetched" in caplog.text


def test_a_redirect_on_the_same_host_is_followed(world: World) -> None:
    world.provider.redirects["/jwks.json"] = "/keys"
    assert world.identify() == "alice" and world.provider.asked[-1] == "/keys"


def test_a_slow_provider_holds_a_request_for_the_time_limit_only(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (fetch, key_sources):
        monkeypatch.setattr(module, "FETCH_SECONDS", 0.1)
    world.provider.gate.clear()
    assert world.fails().status == 503  # and it returned: nobody waits for the gate
    world.provider.gate.set()
    join_fetches()
    monkeypatch.undo()
    world.now += 10
    assert world.identify() == "alice"


def join_fetches() -> None:
    for thread in threading.enumerate():
        if thread.name.startswith("Thread-") and thread.daemon and "_run" in thread.name:
            thread.join(10)


def test_nobody_waits_again_for_a_provider_in_trouble_whose_last_keys_will_do(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.identify()
    world.provider.status = 500
    world.now = NOW + 301
    assert world.identify() == "alice" and "HTTP status 500" in caplog.text
    caplog.clear()
    world.provider.gate.clear()
    world.provider.status = 200
    world.now += 10
    assert world.identify() == "alice"
    assert not caplog.text and len(world.authenticator.problems()) == 1  # the fetch is under way still
    world.provider.gate.set()
    join_fetches()
    assert world.authenticator.problems() == []


def test_a_token_names_no_place_to_fetch_from(world: World) -> None:
    for name in ("jku", "x5u", "x5c"):
        head = {"alg": "RS256", "kid": "one", name: f"{world.provider.url}/evil"}
        token = make_token(header=head, iss=world.provider.url)
        assert world.authenticator.identify(token).subject == "alice"
    assert "/evil" not in world.provider.asked


def test_keys_by_the_url_of_their_set_need_no_discovery(provider: FakeProvider) -> None:
    believed = auth.jwt(issuer="https://me", jwks=f"{provider.url}/jwks.json")
    authenticator = auth.Authenticator([believed], clock=lambda: NOW)
    assert authenticator.identify(make_token(iss="https://me", aud=None)).issuer == "https://me"
    assert provider.asked == ["/jwks.json"]
