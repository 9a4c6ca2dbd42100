# SPDX-License-Identifier: MIT
from __future__ import annotations

import hashlib

import pytest
from webtest import TestApp

from minihttp import App, HttpRouter, testing
from minihttp.errors import ConfigurationError, HTTPError
from minihttp.http.credentials import api_key, bearer_token, digest, guard, new_token
from tests.http.environs import make_request


@pytest.mark.parametrize(
    "value", ["Bearer abc.DEF-_~+/==", "bearer abc.DEF-_~+/==", "BEARER  abc.DEF-_~+/=="]
)
def test_a_bearer_token(value: str) -> None:
    assert bearer_token(make_request("GET", headers={"Authorization": value})) == "abc.DEF-_~+/=="


@pytest.mark.parametrize(
    "value",
    [None, "", "Bearer", "Bearer ", "Basic abc", "Bearerabc", "Bearer a b", "Bearer é", "Bearer a, b"],
)
def test_anything_else_is_401(value: str | None) -> None:
    with pytest.raises(HTTPError, match=r"^Missing or invalid Authorization header$") as caught:
        bearer_token(make_request("GET", headers={} if value is None else {"Authorization": value}))
    assert caught.value.status == 401 and caught.value.headers == (("WWW-Authenticate", "Bearer"),)


def test_an_api_key() -> None:
    assert api_key(make_request("GET", headers={"X-API-Key": " k1 "})) == "k1"
    assert api_key(make_request("GET", headers={"X-Other": "k2"}), header="x-other") == "k2"
    for headers in ({}, {"X-API-Key": " "}):
        with pytest.raises(HTTPError, match=r"^Missing API key: send it in the header X-API-Key$") as caught:
            api_key(make_request("GET", headers=headers))
        assert caught.value.status == 401
    with pytest.raises(HTTPError, match=r"in the header X-Other$"):
        api_key(make_request("GET", headers={"X-API-Key": "k1"}), header="X-Other")


def test_new_tokens_are_random_and_stored_as_digests() -> None:
    token, stored = new_token("mh_")
    other, _ = new_token("mh_")
    assert token.startswith("mh_") and len(token) >= 3 + 22 and token != other  # 22 characters hold 128 bits
    assert stored == digest(token) == hashlib.sha256(token.encode()).hexdigest()
    assert bearer_token(make_request("GET", headers={"Authorization": f"Bearer {token}"})) == token


def test_any_text_has_a_digest() -> None:
    assert len(digest("\udcff")) == len(digest("\xff")) == 64


def test_a_guard_of_one_key_for_a_router_or_a_route() -> None:
    http = HttpRouter(before=[guard("SHOP_KEY")])
    http.get("/keyed", handler=lambda ctx, request: {})
    http.get("/both", auth=guard("SHOP_TOKEN", header="Authorization"), handler=lambda ctx, request: {})
    app = testing.in_memory(App(http), environment={"SHOP_KEY": "k", "SHOP_TOKEN": "t"})
    client = TestApp(app)
    assert client.get("/keyed", status=401).json["error"].endswith("in the header X-API-Key")
    client.get("/keyed", headers={"X-API-Key": "other"}, status=403)
    client.get("/keyed", headers={"X-API-Key": "k"}, status=200)
    assert client.get("/both", headers={"X-API-Key": "k"}, status=401).headers["WWW-Authenticate"] == "Bearer"
    client.get("/both", headers={"X-API-Key": "k", "Authorization": "Bearer k"}, status=403)
    client.get("/both", headers={"X-API-Key": "k", "Authorization": "Bearer t"}, status=200)
    app.close()
    with testing.in_memory(App(http), environment={}) as app:
        TestApp(app).get("/keyed", headers={"X-API-Key": "k"}, status=503)
    with pytest.raises(ConfigurationError):
        guard("sk_live_" + "x" * 40)
