# SPDX-License-Identifier: MIT
"""API keys: shown once, stored as digests, used, listed and revoked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from webtest import TestApp

from minihttp import (
    App,
    HandlerCtx,
    HttpRouter,
    MutationCtx,
    QueryCtx,
    Request,
    key_store,
    mutation,
    query,
    testing,
)
from minihttp.http import credentials

http = HttpRouter()


@http.route(path="/x", method="GET")
def protected(ctx: HandlerCtx, request: Request) -> Any:
    return key_store.require(ctx, request)


@http.route(path="/bearer", method="GET")
def bearer(ctx: HandlerCtx, request: Request) -> Any:
    return key_store.require(ctx, request, header="Authorization")


@http.route(path="/fixed", method="GET")
def fixed(ctx: HandlerCtx, request: Request) -> Any:
    credentials.require_api_key(request, ctx.secret("SHOP_API_KEY"))
    return {}


@query
def in_a_query(ctx: QueryCtx, key: str) -> Any:
    return key_store.validate(ctx, key)


@mutation
def in_a_mutation(ctx: MutationCtx, fail: bool = False) -> Any:
    issued = key_store.issue(ctx, "made inside")
    assert key_store.validate(ctx, issued["key"])
    if fail:
        raise ValueError("undo")
    return issued["key"]


@pytest.fixture
def app() -> Iterator[App]:
    made = testing.in_memory(App(http, modules={"keys": __name__}), environment={"SHOP_API_KEY": "sésame"})
    yield made
    made.close()


def test_a_key_from_its_making_to_its_end(app: App) -> None:
    issued = key_store.issue(app, "laptop", data={"scopes": ["read"]})
    key = issued["key"]
    assert key.startswith("mk_") and len(key) == 3 + 43 and issued["prefix"] == key[:11]
    row = key_store.validate(app, key)
    assert row is not None and (row["name"], row["data"]) == ("laptop", {"scopes": ["read"]})
    assert "digest" not in row and "key" not in row and "isDue" not in row
    assert [each["name"] for each in key_store.listed(app)] == ["laptop"]
    assert key_store.revoke(app, issued["_id"]) is True
    assert key_store.validate(app, key) is None
    assert key_store.revoke(app, issued["_id"]) is False
    [listed] = key_store.listed(app)
    assert listed["revokedAt"] == app.clock() * 1000 and key not in json.dumps(key_store.listed(app))


def test_only_the_digest_is_stored(app: App) -> None:
    key = key_store.issue(app, "laptop")["key"]
    stored = app.database.read(lambda t: json.dumps(t.system.query("_api_keys").collect()))
    assert key not in stored and key[11:] not in stored and credentials.digest(key) in stored


def test_the_last_use_is_written_once_a_minute(app: App) -> None:
    issued = key_store.issue(app, "laptop")
    clock: Any = app.clock

    def last_used() -> Any:
        return key_store.listed(app)[0].get("lastUsedAt")

    first = clock() * 1000
    assert last_used() is None
    key_store.validate(app, issued["key"])
    assert last_used() == first
    clock.advance(59)
    key_store.validate(app, issued["key"])
    assert last_used() == first
    clock.advance(1)
    key_store.validate(app, issued["key"])
    assert last_used() == first + 60_000


def test_in_queries_and_mutations(app: App) -> None:
    key = app.run_mutation("keys:in_a_mutation")
    assert app.run_query("keys:in_a_query", key=key)["name"] == "made inside"
    with pytest.raises(ValueError, match="undo"):
        app.run_mutation("keys:in_a_mutation", fail=True)
    assert len(key_store.listed(app)) == 1


@pytest.mark.parametrize("key", [None, "", "mk_", "x" * 501, "\ud800", "mk_" + "é" * 43, 7, b"mk_", ["mk_"]])
def test_what_is_no_key(app: App, key: Any) -> None:
    key_store.issue(app, "laptop")
    assert key_store.validate(app, key) is None


@pytest.mark.parametrize("id", ["", "x", "0" * 32, "keys"])
def test_revoking_what_is_no_key(app: App, id: str) -> None:
    assert key_store.revoke(app, id) is False


def test_over_http(app: App) -> None:
    client = TestApp(app)
    key = key_store.issue(app, "laptop")["key"]
    assert client.get("/x", headers={"X-API-Key": key}).json["name"] == "laptop"
    missing = client.get("/x", status=401).json
    assert missing == {"error": "Missing API key: send it in the header X-API-Key"}
    assert client.get("/x", headers={"X-API-Key": "wrong"}, status=403).json == {"error": "Invalid API key"}
    assert client.get("/bearer", headers={"Authorization": f"Bearer {key}"}).json["name"] == "laptop"
    assert client.get("/bearer", status=401).headers["WWW-Authenticate"] == "Bearer"
    client.get("/bearer", headers={"Authorization": "Bearer wrong"}, status=403)


def test_a_fixed_key_of_any_characters(app: App) -> None:
    client = TestApp(app)
    right = "sésame".encode().decode("latin-1")  # as a client sends UTF-8
    assert client.get("/fixed", headers={"X-API-Key": right}).json == {}
    for wrong in ("sesame", "\xff\xfe", "s", right * 2):
        assert client.get("/fixed", headers={"X-API-Key": wrong}, status=403).json == {
            "error": "Invalid API key"
        }
    client.get("/fixed", status=401)


def test_strangers_do_not_see_the_functions_of_keys(app: App) -> None:
    client = TestApp(app)
    for name in ("find", "list", "insert", "touch", "revoke"):
        kind = "query" if name in ("find", "list") else "mutation"
        reply = client.post_json(f"/api/{kind}", {"path": f"_keys:{name}", "args": {}})
        assert "Could not find public function" in reply.json["errorMessage"]


def test_a_guard_hands_the_row_to_the_handler() -> None:
    http = HttpRouter(before=[key_store.guard(header="Authorization")])
    http.get("/x", handler=lambda ctx, request: {"name": request.state["key"]["name"]})
    with testing.in_memory(App(http, modules=[])) as app:
        client, issued = TestApp(app), key_store.issue(app, "laptop")
        sent = {"Authorization": f"Bearer {issued['key']}"}
        assert client.get("/x", headers=sent).json == {"name": "laptop"}
        key_store.revoke(app, issued["_id"])
        client.get("/x", headers=sent, status=403)
        client.get("/x", status=401)
