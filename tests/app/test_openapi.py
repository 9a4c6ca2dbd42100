# SPDX-License-Identifier: MIT
"""The OpenAPI document: valid by a validator package, and true of the app."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from webtest import TestApp

from minihttp import (
    App,
    HandlerCtx,
    HttpRouter,
    QueryCtx,
    Request,
    Response,
    RouteError,
    internal_query,
    mutation,
    query,
    testing,
    v,
)

http = HttpRouter()
PERSON = v.object({"name": v.string(), "age": v.optional(v.number()), "id": v.optional(v.int64())})


@http.route(path="/people", method="POST", body=PERSON, auth="required")
def add_person(ctx: HandlerCtx, request: Request) -> Any:
    """Add a person.

    The name is theirs.
    """
    return Response.json(request.json())


@http.route(path="/open", method="POST", body=PERSON)
def open_to_all(ctx: HandlerCtx, request: Request) -> Any:
    return request.json()


http.route(path="/people/{id}/{part}", method="GET", handler=lambda ctx, request: {})
http.route(path="/people/{id}/{part}", method="DELETE", handler=lambda ctx, request: {})
http.route(path_prefix="/files/", method="GET", handler=lambda ctx, request: {})


@query(
    args={"clerk_id": v.string(), "limit": v.optional(v.number())}, returns=v.array(PERSON), name="getPeople"
)
def get_people(ctx: QueryCtx, clerk_id: str, limit: float = 10) -> Any:
    """Lists people."""
    return []


@mutation
def anything(ctx: Any, **args: Any) -> Any:
    return args


@internal_query(args={})
def hidden(ctx: QueryCtx) -> Any:
    return None


def app_of(**options: Any) -> App:
    made = App(http, modules={"dir/people": sys.modules[__name__]}, wire_names="camelCase", openapi=True)
    return testing.in_memory(made, **options)


@pytest.fixture
def document() -> Any:
    app = app_of()
    yield TestApp(app).get("/_/openapi.json").json
    app.close()


def test_it_is_valid(document: Any) -> None:
    validator = pytest.importorskip("openapi_spec_validator")
    validator.validate(document)
    assert document["openapi"] == "3.1.0" and document["servers"] == [{"url": "http://localhost"}]


def test_routes(document: Any) -> None:
    paths = document["paths"]
    added = paths["/people"]["post"]
    assert (added["summary"], added["description"]) == ("Add a person.", "The name is theirs.")
    assert added["security"] == [{"bearer": []}] and "security" not in paths["/open"]["post"]
    schema = added["requestBody"]["content"]["application/json"]["schema"]
    assert schema["required"] == ["name"] and set(schema["properties"]) == {"name", "age", "id"}
    parameters = paths["/people/{id}/{part}"]["get"]["parameters"]
    assert [(p["name"], p["in"], p["required"]) for p in parameters] == [
        ("id", "path", True),
        ("part", "path", True),
    ]
    assert set(paths["/people/{id}/{part}"]) == {"get", "delete"} and "/files/{tail}" in paths


def test_functions_under_the_names_of_clients(document: Any) -> None:
    paths = document["paths"]
    found = paths["/api/run/dir/people/getPeople"]["post"]
    args = found["requestBody"]["content"]["application/json"]["schema"]["properties"]["args"]
    assert set(args["properties"]) == {"clerkId", "limit"} and args["required"] == ["clerkId"]
    assert (found["summary"], found["tags"]) == ("Lists people.", ["query"])
    assert "/api/run/dir/people/anything" in paths
    assert not [path for path in paths if "hidden" in path or "/_" in path]


def test_what_it_says_is_what_the_app_does() -> None:
    app = app_of(openapi=False)
    client = TestApp(app)
    client.get("/_/openapi.json", status=404)
    sent = {"args": {"clerkId": "c"}}
    assert client.post_json("/api/run/dir/people/getPeople", sent).json == {"status": "success", "value": []}
    refused = client.post_json("/open", {"age": "x"}, status=400).json["error"]
    assert refused == 'The body does not match: `name` is missing; `age` must be v.number(), not "x"'
    assert client.post_json("/open", {"name": "Ada", "age": None}).json == {"name": "Ada"}
    app.close()


def test_an_app_without_functions_opens_no_database() -> None:
    router = HttpRouter()
    router.route(path="/a", method="GET", handler=lambda ctx, request: {})
    app = App(router, data="/nowhere/at/all")
    assert list(app.openapi(title="Mine", server="https://x")["paths"]) == ["/a"] and not app.is_open


def test_a_body_that_is_no_validator() -> None:
    with pytest.raises(RouteError, match="body is a validator"):
        HttpRouter().route(path="/a", method="POST", handler=lambda ctx, request: {}, body={"name": str})
