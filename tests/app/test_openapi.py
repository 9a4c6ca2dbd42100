# SPDX-License-Identifier: MIT
"""The OpenAPI document: valid by a validator package, and true of the app."""

from __future__ import annotations

import contextlib
import json
import sys
import uuid
from datetime import date
from enum import Enum
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from webtest import TestApp

from minihttp import (
    App,
    FilePart,
    HandlerCtx,
    HttpRouter,
    Int64,
    MutationCtx,
    Parameter,
    QueryCtx,
    Request,
    Response,
    RouteError,
    auth,
    internal_mutation,
    internal_query,
    key_store,
    mutation,
    query,
    testing,
    v,
)
from minihttp.http import credentials
from minihttp.webhooks import stripe


class Sort(Enum):
    UP = "asc"
    DOWN = "desc"


http, keyed = HttpRouter(), HttpRouter(before=[key_store.guard()])
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


QUERY = [
    Parameter("q", str, min=1, max=20, description="What to look for."),
    Parameter("limit", int, default=10, min=0, max=100),
    Parameter("share", float, default=0.5, max=1),
    Parameter("sort", Sort, default=Sort.UP),
    Parameter("tag", str, repeated=True),
    Parameter("deep", bool, default=None),
    Parameter("since", date.fromisoformat, default=None),
    Parameter("key", uuid.UUID, default=None),
    Parameter("other", str.upper, default=""),
]


@http.get("/api/v1/pages/{number}", query=QUERY, path_params=[Parameter("number", int, min=1)])
def list_pages(ctx: HandlerCtx, request: Request) -> Any:
    return {"q": request.query["q"]}


@http.post("/photos", form=[Parameter("photo", FilePart), Parameter("age", int, default=0)], status=204)
def add_photo(ctx: HandlerCtx, request: Request) -> None:
    request.form()


http.post("/feedback", form=[Parameter("text", str)], status=204, handler=lambda ctx, request: None)


@http.put("/people/{id}", body=PERSON, returns=PERSON, status=201)
def put_person(ctx: HandlerCtx, request: Request) -> Any:
    return request.json()


@http.delete("/people/{person}", auth=credentials.guard("THE_KEY", header="Authorization"))
@auth.required
def remove(ctx: HandlerCtx, request: Request) -> Response:
    return Response(status=204)


@keyed.get("/é x")
def named(ctx: HandlerCtx, request: Request) -> Any:
    return {"name": request.state["key"]["name"]}


keyed.webhook("/hooks/stripe", stripe.provider(secret="STRIPE_WEBHOOK_SECRET"), handler=None)
http.mount("/v1", keyed)
http.route(path_prefix="/people/", method="GET", handler=lambda ctx, request: {})


@internal_mutation(args={"number": v.number(), "text": v.string()}, returns=v.any())
def change(ctx: MutationCtx, number: float, text: str) -> Any:
    return [number, text]


http.mutation("/changes/{number}", change, method="PATCH", status=202)
http.webhook("/hooks/stripe", stripe.provider(secret="STRIPE_WEBHOOK_SECRET"), handler=None)


@query(args={"big": v.optional(v.int64()), "raw": v.optional(v.bytes())}, returns=v.any())
@auth.required
def wide(ctx: QueryCtx, big: Int64 | None = None, raw: bytes | None = None) -> Any:
    return [big, raw]


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
    return testing.in_memory(made, environment={"THE_KEY": "k"}, **options)


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


def test_parameters_of_the_query_and_the_path(document: Any) -> None:
    found = document["paths"]["/api/v1/pages/{number}"]["get"]
    assert (found["operationId"], found["tags"]) == ("list_pages", ["pages"])
    assert [(p["name"], p["in"], p["required"], p["schema"]) for p in found["parameters"]] == [
        ("number", "path", True, {"type": "integer", "minimum": 1}),
        ("q", "query", True, {"type": "string", "minLength": 1, "maxLength": 20}),
        ("limit", "query", False, {"type": "integer", "minimum": 0, "maximum": 100, "default": 10}),
        ("share", "query", False, {"type": "number", "maximum": 1, "default": 0.5}),
        ("sort", "query", False, {"type": "string", "enum": ["asc", "desc"], "default": "asc"}),
        ("tag", "query", False, {"type": "array", "items": {"type": "string"}}),
        ("deep", "query", False, {"type": "boolean"}),
        ("since", "query", False, {"type": "string", "format": "date"}),
        ("key", "query", False, {"type": "string", "format": "uuid"}),
        ("other", "query", False, {"type": "string", "default": ""}),
    ]
    assert found["parameters"][1]["description"] == "What to look for."
    assert list(found["responses"]) == ["400", "default"]


def test_bodies_forms_and_responses(document: Any) -> None:
    paths = document["paths"]
    photo = paths["/photos"]["post"]
    assert photo["requestBody"]["content"] == {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "properties": {
                    "photo": {"type": "string", "format": "binary"},
                    "age": {"type": "integer", "default": 0},
                },
                "required": ["photo"],
            }
        }
    }
    assert list(photo["responses"]) == ["204", "400", "413", "415", "default"]
    assert "content" not in photo["responses"]["204"]
    assert list(paths["/feedback"]["post"]["requestBody"]["content"]) == [
        "application/x-www-form-urlencoded",
        "multipart/form-data",
    ]
    put = paths["/people/{id}"]["put"]
    assert list(put["responses"]) == ["201", "400", "413", "415", "default"]
    schema = put["responses"]["201"]["content"]["application/json"]["schema"]
    assert schema["properties"]["id"] == {"type": "integer", "format": "int64"}
    assert schema == put["requestBody"]["content"]["application/json"]["schema"]
    error = put["responses"]["default"]["content"]["application/json"]["schema"]
    assert error == {"$ref": "#/components/schemas/Error"}
    undeclared = paths["/people/{id}/{part}"]["get"]["responses"]
    assert undeclared == {"default": {"description": "What the handler returns, or an error."}}


def test_guards_and_webhooks_are_security_schemes(document: Any) -> None:
    paths, schemes = document["paths"], document["components"]["securitySchemes"]
    assert schemes == {
        "bearer": {"type": "http", "scheme": "bearer"},
        "X_API_Key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        "Stripe_Signature": {"type": "apiKey", "in": "header", "name": "Stripe-Signature"},
    }
    removing = paths["/people/{id}"]["delete"]
    assert removing["security"] == [{"bearer": []}] and {"401", "403"} < set(removing["responses"])
    keyed = paths["/v1/%C3%A9%20x"]["get"]
    assert keyed["security"] == [{"X_API_Key": []}] and keyed["tags"] == ["é x"]
    hook = paths["/hooks/stripe"]["post"]
    assert (hook["tags"], hook["security"]) == (["webhooks"], [{"Stripe_Signature": []}])
    keyed_hook = paths["/v1/hooks/stripe"]["post"]
    assert keyed_hook["security"] == [{"X_API_Key": [], "Stripe_Signature": []}]
    assert paths["/api/run/dir/people/wide"]["post"]["security"] == [{"bearer": []}]
    assert paths["/api/run/dir/people/anything"]["post"]["security"] == [{}, {"bearer": []}]


def test_a_mutation_is_a_route_whose_arguments_are_in_the_path_too(document: Any) -> None:
    found = document["paths"]["/changes/{number}"]["patch"]
    assert found["parameters"] == [
        {"name": "number", "in": "path", "required": True, "schema": {"type": "number"}}
    ]
    body = found["requestBody"]
    assert body["required"] and body["content"]["application/json"]["schema"]["required"] == ["text"]
    assert list(found["responses"]) == ["202", "400", "413", "415", "default"]


def test_every_operation_has_a_name_of_its_own(document: Any) -> None:
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    ids = [operation["operationId"] for operation in operations]
    assert len(set(ids)) == len(ids) and all(id.isidentifier() for id in ids)
    assert {"add_person", "change", "named", "dir_people_getPeople", "get_people_id_part"} <= set(ids)
    listed = [tag["name"] for tag in document["tags"]]
    assert listed == sorted({tag for operation in operations for tag in operation["tags"]})


def test_templates_that_differ_by_a_name_are_one_path(document: Any) -> None:
    assert "/people/{person}" not in document["paths"] and "/people/{tail}" not in document["paths"]
    methods = document["paths"]["/people/{id}"]
    assert set(methods) == {"put", "delete", "get"}
    assert methods["delete"]["parameters"] == [
        {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
    ]


def test_int64s_and_bytes_as_the_function_api_takes_and_gives_them(document: Any) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    found = document["paths"]["/api/run/dir/people/wide"]["post"]
    assert found["requestBody"]["content"]["application/json"]["schema"].get("required") is None
    taken = jsonschema.Draft202012Validator(found["requestBody"]["content"]["application/json"]["schema"])
    sent = {"args": {"big": {"$integer": "KgAAAAAAAAA="}, "raw": {"$bytes": "AQID"}}}
    assert taken.is_valid(sent) and not taken.is_valid({"args": {"big": 42}})
    with app_of() as app:
        client = TestApp(app)
        assert client.post_json("/api/run/dir/people/wide", sent).json["status"] == "error"
        answer = client.post_json("/api/run/dir/people/anything", sent).json
        assert answer == {"status": "success", "value": {"big": "42", "raw": "AQID"}}


def test_what_it_says_is_what_the_app_does() -> None:
    app = app_of(openapi=False)
    client = TestApp(app)
    client.get("/_/openapi.json", status=404)
    sent = {"args": {"clerkId": "c"}}
    assert client.post_json("/api/run/dir/people/getPeople", sent).json == {"status": "success", "value": []}
    refused = client.post_json("/open", {"age": "x"}, status=400).json["error"]
    assert refused == 'The body does not match: `name` is missing; `age` must be v.number(), not "x"'
    assert client.post_json("/open", {"name": "Ada", "age": None}).json == {"name": "Ada"}
    client.delete("/people/7", headers={"Authorization": "Bearer x"}, status=403)
    key = key_store.issue(app, "laptop")["key"]
    assert client.get("/v1/%C3%A9%20x", headers={"X-API-Key": key}).json == {"name": "laptop"}
    assert client.get("/v1/%C3%A9%20x", status=401).json["error"].endswith("X-API-Key")
    assert client.patch_json("/changes/5", {"text": "x"}, status=202).json == [5, "x"]
    assert client.patch_json("/changes/-1.5", {"text": "x"}, status=202).json == [-1.5, "x"]
    wrong = client.patch_json("/changes/five", {"text": "x"}, status=400).json["error"]
    assert wrong == "The path parameter 'number' must be a number, not 'five'"
    app.close()


def test_an_app_without_functions_opens_no_database() -> None:
    router = HttpRouter()
    router.route(path="/a", method="GET", handler=lambda ctx, request: {})
    app = App(router, data="/nowhere/at/all")
    assert list(app.openapi(title="Mine", server="https://x")["paths"]) == ["/a"] and not app.is_open


def test_a_body_that_is_no_validator() -> None:
    with pytest.raises(RouteError, match="body is a validator"):
        HttpRouter().route(path="/a", method="POST", handler=lambda ctx, request: {}, body={"name": str})


SENT = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.sampled_from(["", "a", "5", 0.5]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["name", "x"]), inner),
    max_leaves=4,
)
BODIES = SENT | st.dictionaries(st.sampled_from(["name", "age", "id", "x"]), SENT, max_size=4)
TEXTS = st.sampled_from(["", "0", "1", "7", "100", "101", "-1", "1.5", "asc", "desc", "true", "x", "é" * 21])


@pytest.fixture(scope="module")
def agreeing() -> Any:
    app = app_of()
    yield TestApp(app), app.openapi()["paths"]
    app.close()


@given(BODIES)
def test_a_body_is_refused_if_and_only_if_the_document_refuses_it(agreeing: Any, body: Any) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    client, paths = agreeing
    schema = paths["/people/{id}"]["put"]["requestBody"]["content"]["application/json"]["schema"]
    fits = jsonschema.Draft202012Validator(schema).is_valid(body)
    response = client.put_json("/people/7", body, status="*")
    has_none = isinstance(body, dict) and None in body.values()  # absent, which JSON Schema cannot say
    assert response.status_int == (201 if fits else 400) or (has_none and response.status_int == 201)


@given(st.dictionaries(st.sampled_from(["q", "limit", "share", "sort", "deep"]), TEXTS), TEXTS)
def test_a_parameter_is_refused_if_and_only_if_the_document_refuses_it(
    agreeing: Any, query: dict[str, str], number: str
) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    client, paths = agreeing
    sent = {**{("query", name): text for name, text in query.items()}, ("path", "number"): number or "0"}
    fits = True
    for parameter in paths["/api/v1/pages/{number}"]["get"]["parameters"]:
        text = sent.get((parameter["in"], parameter["name"]))
        schema = parameter["schema"]
        if text is None or schema.get("type") == "array":
            fits = fits and not parameter["required"]
            continue
        value: Any = text  # as its schema would have it read
        if schema["type"] != "string":
            with contextlib.suppress(ValueError):
                value = json.loads(text)
        fits = fits and jsonschema.Draft202012Validator(schema).is_valid(value)
    response = client.get(f"/api/v1/pages/{quote(number or '0')}?{urlencode(query)}", status="*")
    is_short_for_true = query.get("deep") in ("0", "1")  # taken too, which the document does not promise
    assert response.status_int == (200 if fits else 400) or is_short_for_true
