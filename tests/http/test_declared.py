# SPDX-License-Identifier: MIT
"""What a route declares holds: of every request before its handler runs, and of every success after it."""

from __future__ import annotations

from datetime import date
from enum import Enum
from typing import Any

import pytest
from webtest import TestApp

from minihttp import (
    App,
    Cors,
    FilePart,
    HTTPError,
    HttpRouter,
    Limits,
    Parameter,
    Request,
    Response,
    RouteError,
    v,
)


class Sort(Enum):
    UP = "asc"
    DOWN = "desc"


LIMIT = Parameter("limit", int, default=10, min=0, max=100)
Q = Parameter("q", str, min=1)
SORT = Parameter("sort", Sort, default=Sort.UP)
TAG = Parameter("tag", int, repeated=True)
SINCE = Parameter("since", date.fromisoformat, default=None)
NUMBER = Parameter("number", int, min=1)
PHOTO = Parameter("photo", FilePart)
AGE = Parameter("age", int)
PERSON = v.object({"name": v.string(), "age": v.optional(v.number())})


def client(http: HttpRouter, **options: Any) -> TestApp:
    return TestApp(App(http, **options))


def test_parameters_are_read_by_what_declares_them() -> None:
    http = HttpRouter()

    @http.get("/pages/{number}", query=[Q, LIMIT, SORT, TAG, SINCE], path_params=[NUMBER])
    def page(ctx: Any, request: Request) -> Any:
        query = request.query
        read = [query[Q], query[LIMIT], query[SORT].name, query[TAG], str(query[SINCE])]
        return [*read, request.path_params[NUMBER], query["q"], request.path_params["number"]]

    app = client(http)
    assert app.get("/pages/3?q=a").json == ["a", 10, "UP", [], "None", 3, "a", "3"]
    read = app.get("/pages/7?q=a&limit=0&sort=desc&tag=1&tag=2&since=2026-11-30").json
    assert read == ["a", 0, "DOWN", [1, 2], "2026-11-30", 7, "a", "7"]
    assert app.get("/pages/0?limit=101&sort=up&tag=1&tag=x&since=now", status=400).json["error"].split(
        "; "
    ) == [
        "The path parameter 'number' must be an integer of 1 or more, not '0'",
        "Missing required query parameter: q",
        "The query parameter 'limit' must be an integer of 0 to 100, not '101'",
        "The query parameter 'sort' must be one of asc, desc, not 'up'",
        "The query parameter 'tag' must be an integer, not 'x'",
        "The query parameter 'since' must be a date, not 'now'",
    ]
    assert app.get("/pages/3?q=", status=400).json == {
        "error": "The query parameter 'q' must be a text of 1 characters or more, not ''"
    }


def test_forms_of_both_kinds_and_their_files() -> None:
    http = HttpRouter()

    @http.post("/photos", form=[PHOTO, AGE], status=204)
    def add(ctx: Any, request: Request) -> None:
        assert request.form()[PHOTO].read() == b"png" and request.form()[AGE] == 7

    @http.post("/ages", form=[AGE])
    def ages(ctx: Any, request: Request) -> Any:
        return {"age": request.form()[AGE]}

    app = client(http)
    assert (
        app.post("/photos", {"age": "7"}, upload_files=[("photo", "a.png", b"png")], status=204).body == b""
    )
    missing = app.post("/photos", {"photo": "text", "age": "x"}, status=400).json["error"].split("; ")
    assert missing == [
        "The form field 'photo' must be a file, not 'text'",
        "The form field 'age' must be an integer, not 'x'",
    ]
    swapped = app.post("/photos", {}, upload_files=[("age", "a", b"7")], status=400).json["error"]
    assert (
        swapped == "Missing required form field: photo; The form field 'age' must be an integer, not a file"
    )
    assert app.post("/ages", {"age": "7"}).json == {"age": 7}
    app.post("/ages", "{}", content_type="application/json", status=415)


def test_a_body_is_checked_before_the_handler_and_returned_as_it_is_stored() -> None:
    http, ran = HttpRouter(), []

    @http.post("/people", body=PERSON)
    def add(ctx: Any, request: Request) -> Any:
        ran.append(request.json())
        assert request.json(dict) is request.json() and request.bytes()
        return [request.json(), request.json(v.record(v.string(), v.any()))]

    @http.post("/ignored", body=PERSON)
    def ignored(ctx: Any, request: Request) -> Any:
        ran.append("ignored")
        return {}

    app = client(http)
    assert app.post_json("/people", {"name": "Ada", "age": None}).json == [
        {"name": "Ada"},
        {"name": "Ada", "age": None},
    ]
    ran.clear()
    for path in ("/people", "/ignored"):
        refused = app.post_json(path, {"nam": "Ada", "age": "x"}, status=400).json["error"]
        assert refused.startswith("The body does not match: `name` is missing;"), "every field is named"
        app.post(path, "{", content_type="application/json", status=400)
        app.post(path, "{}", content_type="text/plain", status=415)
        app.post(path, "", status=415)
    assert client(http, limits=Limits(max_json_bytes=10)).post_json("/people", {"name": "A" * 20}, status=413)
    assert not ran


def test_guards_and_hooks_come_first_and_see_what_is_refused() -> None:
    http, seen = HttpRouter(), []

    @http.before
    def key(ctx: Any, request: Request) -> None:
        if "X-Key" not in request.headers:
            raise HTTPError(401, "no key")

    http.after(lambda ctx, request, response: seen.append(response.status))
    http.post("/a", body=PERSON, handler=lambda ctx, request: {})
    http.post("/b", body=PERSON, auth="required", handler=lambda ctx, request: {})
    app = client(http)
    app.post("/a", "{", status=401)
    app.post("/b", "{", headers={"X-Key": "k"}, status=401)
    app.post_json("/a", {}, headers={"X-Key": "k"}, status=400)
    assert seen == [401, 401, 400]


@pytest.mark.parametrize(
    ("result", "status"),
    [
        ({"name": "Ada"}, 201),
        ({"name": "Ada", "age": None}, 201),
        (Response.json({"name": "Ada"}, status=201, headers={"Location": "/people/1"}), 201),
        (Response.json({"why": "taken"}, status=409), 409),
        (Response.redirect("/elsewhere"), 302),
        ({"name": 7}, 500),
        ({"nom": "Ada"}, 500),
        ([], 500),
        (None, 500),
        (Response.json({"name": "Ada"}), 500),
        (Response.json({"name": 7}, status=201), 500),
        (Response("Ada", status=201), 500),
        (Response(b'{"name": "Ada"}', status=201), 500),
        (Response(iter([b"{}"]), status=201, headers={"Content-Type": "application/json"}), 500),
        (Response(status=204), 500),
    ],
)
def test_a_success_is_as_declared_or_the_authors_mistake(
    result: Any, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    http = HttpRouter(cors=Cors(["https://a.example"]))
    http.post("/people", returns=PERSON, status=201, handler=lambda ctx, request: result)
    response = client(http).post("/people", headers={"Origin": "https://a.example"}, status=status)
    assert response.headers["Access-Control-Allow-Origin"] == "https://a.example"
    if status == 201:
        assert response.json == {"name": "Ada"} and response.content_type == "application/json"
        assert response.headers.get("Location") == ("/people/1" if isinstance(result, Response) else None)
    assert ("is not as its route says" in caplog.text) == (status == 500)
    if status == 500:
        assert response.json == {"error": "Internal server error"}


@pytest.mark.parametrize(("result", "status"), [(None, 204), (Response(status=204), 204), ({}, 500)])
def test_no_content(result: Any, status: int) -> None:
    http = HttpRouter()
    http.delete("/a", status=204, handler=lambda ctx, request: result)
    assert client(http).delete("/a", status=status).status_int == status


def test_any_value_may_be_a_result() -> None:
    http = HttpRouter()
    http.get("/n", returns=v.nullable(v.number()), handler=lambda ctx, request: None)
    http.get("/s", returns=v.string(), handler=lambda ctx, request: "é")
    app = client(http)
    assert app.get("/n").json is None and app.get("/s").json == "é"
    assert app.head("/s").body == b""


def test_it_counts_for_a_mounted_router_too() -> None:
    http, inner = HttpRouter(), HttpRouter()
    http.mount("/v1", inner)
    inner.get(
        "/a/{number}", query=[LIMIT], path_params=[NUMBER], returns=v.number(), handler=lambda c, r: "x"
    )
    app = client(http)
    app.get("/v1/a/1?limit=x", status=400)
    app.get("/v1/a/0", status=400)
    app.get("/v1/a/1", status=500)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"query": ["limit"]}, r"query is a list of parameters such as Parameter\(\"limit\", int\)"),
        ({"query": LIMIT}, "query is a list of parameters"),
        ({"query": [LIMIT, Parameter("limit", str)]}, "query has a name twice: limit, limit"),
        ({"query": [PHOTO]}, "a file can only come in a form"),
        ({"path_params": [AGE]}, r"<Parameter age: an integer> is none of the path '/a/\{number\}'"),
        ({"path_params": [Parameter("number", int, default=1)]}, "parameters are required"),
        ({"body": {"name": str}}, "body is a validator"),
        ({"returns": dict}, "returns is a validator"),
        ({"body": PERSON, "form": [AGE]}, "a JSON body or a form, not both"),
        ({"body": PERSON, "method": "GET"}, "a GET has no body"),
        ({"form": [AGE], "method": "OPTIONS"}, "a OPTIONS has no body"),
        ({"status": 201}, "status 201 must be a success; it needs returns"),
        ({"status": 404, "returns": PERSON}, "status 404 must be a success"),
        ({"status": 204, "returns": PERSON}, "status 204 must be a success"),
        ({"status": "201", "returns": PERSON}, "status '201' must be a success"),
        ({"auth": "optional"}, 'auth is "required" or None, or a Guard'),
    ],
)
def test_what_cannot_be_declared(options: dict[str, Any], said: str) -> None:
    http = HttpRouter()
    with pytest.raises(RouteError, match=said):
        http.route(**{"path": "/a/{number}", "method": "POST", "handler": lambda c, r: {}, **options})
    assert list(http) == []
