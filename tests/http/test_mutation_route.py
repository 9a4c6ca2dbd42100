# SPDX-License-Identifier: MIT
"""`http.mutation`: a route that is a mutation, checked at registration, at the start and in each request."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
from webtest import TestApp

from minihttp import (
    App,
    ConfigurationError,
    Cors,
    HttpRouter,
    MutationCtx,
    RouteError,
    internal_mutation,
    internal_query,
    mutation,
    testing,
    v,
)
from minihttp.cli.routes import route_rows


@internal_mutation(args={"name": v.string(), "price": v.optional(v.number())})
def create(ctx: MutationCtx, name: str, price: float | None = None) -> Any:
    """Adds a thing."""
    if name == "bad result":
        ctx.db.insert("things", {"name": name})
        return object()
    if name == "crash":
        raise RuntimeError("hunter2")
    return ctx.db.get(ctx.db.insert("things", {"name": name, "price": price}))


@mutation(args={"id": v.id("things"), "name": v.optional(v.string())}, returns=v.null())
def change(ctx: MutationCtx, id: str, name: str | None = None) -> None:
    if name is None:
        ctx.db.delete(id)
    else:
        ctx.db.patch(id, {"name": name})


@internal_query(args={})
def things(ctx: Any) -> Any:
    return [row["name"] for row in ctx.db.query("things").collect()]


@pytest.fixture
def router() -> HttpRouter:
    http = HttpRouter()
    http.mutation("/things", create, status=201, cors=Cors(origins=["https://a.example"]))
    http.mutation("/things/{id}", change, method="PATCH")
    http.mutation("/things/{id}", f"{__name__.replace('.', '/')}:change", method="DELETE")
    return http


@pytest.fixture
def app(router: HttpRouter) -> Iterator[App]:
    with testing.in_memory(App(router, modules=[sys.modules[__name__]])) as copy:
        yield copy


def test_it_takes_the_body_and_the_path_and_answers_the_result(app: App) -> None:
    client = TestApp(app)
    made = client.post_json("/things", {"name": "pen"}, headers={"Origin": "https://a.example"})
    assert (made.status_int, made.json["name"]) == (201, "pen")
    assert made.headers["Access-Control-Allow-Origin"] == "https://a.example"
    changed = client.patch_json(f"/things/{made.json['_id']}", {"name": "nib"})
    assert (changed.status_int, changed.json) == (200, None)
    assert app.run_query(things) == ["nib"]
    client.delete(f"/things/{made.json['_id']}")  # a request without a body
    assert app.run_query(things) == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "missing the required field `name`"),
        ({"name": 7}, "name"),
        ({"name": "pen", "colour": "red"}, "colour"),
    ],
)
def test_arguments_that_do_not_match_are_the_callers_mistake(app: App, body: Any, said: str) -> None:
    response = TestApp(app).post_json("/things", body, status=400)
    assert said in response.json["error"]


def test_a_body_that_is_no_object_and_an_argument_twice(app: App) -> None:
    client = TestApp(app)
    client.post_json("/things", [], status=400)
    client.post("/things", "name=pen", status=415)
    assert "name" in client.post("/things", status=400).json["error"]  # none at all
    twice = client.patch_json(f"/things/{'0' * 32}", {"id": "0" * 32, "name": "x"}, status=400)
    assert twice.json == {"error": "id is in the path already"}
    assert client.patch_json("/things/7", {"name": "x"}, status=400).json["error"]


def test_what_fails_is_undone_and_says_nothing(app: App) -> None:
    client = TestApp(app)
    for name in ("bad result", "crash"):
        response = client.post_json("/things", {"name": name}, status=500)
        assert response.json == {"error": "Internal server error"}
    assert app.run_query(things) == []


def test_a_key_makes_it_take_effect_once(app: App) -> None:
    client = TestApp(app)
    first, second = (
        client.post_json("/things", {"name": "pen"}, headers={"Idempotency-Key": "k"}) for _ in range(2)
    )
    assert first.json == second.json and first.status_int == second.status_int == 201
    assert app.run_query(things) == ["pen"]


def test_hooks_are_around_it_and_it_can_be_mounted(router: HttpRouter) -> None:
    outer, seen = HttpRouter(), []

    @router.after
    def note(ctx: Any, request: Any, response: Any) -> None:
        seen.append(response.status)

    outer.mount("/v1", router)
    with testing.in_memory(App(outer, modules=[sys.modules[__name__]])) as app:
        TestApp(app).post_json("/v1/things", {"name": "pen"}, status=201)
        TestApp(app).post_json("/v1/things", {}, status=400)
    assert seen == [201, 400]


@pytest.mark.parametrize(
    ("function", "options", "said"),
    [
        (things, {}, "query"),
        (lambda ctx: None, {}, "no mutation"),
        (create, {"method": "GET"}, "GET"),
        (create, {"status": 204}, "204"),
    ],
)
def test_what_cannot_be_is_refused_at_registration(function: Any, options: Any, said: str) -> None:
    with pytest.raises(RouteError, match=said):
        HttpRouter().mutation("/x", function, **options)


@pytest.mark.parametrize("named", [create, "things:nothing", f"{__name__.replace('.', '/')}:things"])
def test_a_function_that_the_app_does_not_have_is_refused_at_the_start(named: Any) -> None:
    http = HttpRouter()
    http.mutation("/x", named)
    modules = [sys.modules[__name__]] if ":things" in str(named) else []
    with pytest.raises(ConfigurationError, match=r"POST /x .*test_mutation_route\.py"):
        testing.in_memory(App(http, modules=modules)).prepare()


def test_it_is_in_routes_and_in_the_openapi_document(app: App) -> None:
    rows = route_rows(app)
    assert [row["handler"].rpartition(":")[2] for row in rows] == ["create", "change", "change"]
    assert rows[0]["handler"].startswith("mutation: ") and "test_mutation_route.py" in rows[0]["location"]
    paths = app.openapi()["paths"]
    post = paths["/things"]["post"]
    assert post["summary"] == "Adds a thing."
    assert post["requestBody"]["content"]["application/json"]["schema"]["required"] == ["name"]
    assert list(post["responses"]) == ["201", "400", "413", "415", "default"]
    patch = paths["/things/{id}"]["patch"]
    schema = patch["requestBody"]["content"]["application/json"]["schema"]
    assert list(schema["properties"]) == ["name"] and not patch["requestBody"]["required"]
    assert [parameter["name"] for parameter in patch["parameters"]] == ["id"]
