# SPDX-License-Identifier: MIT
"""Whose mistake a refused argument is: the caller's where the request held it, else the programmer's."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import webtest

from minihttp import App, HttpRouter, internal_mutation, internal_query, testing, v

SECRET = "hunter2 of a document"


@internal_mutation(args={"name": v.string(), "count": v.optional(v.number())})
def create(ctx: Any, name: str, count: float = 0) -> str:
    return name


@internal_mutation(args={"item": v.object({"name": v.string(), "tags": v.array(v.string())})})
def create_item(ctx: Any, item: Any) -> None:
    pass


@internal_mutation(args={"data": v.any()})
def pass_on(ctx: Any, data: Any) -> Any:
    return ctx.run_mutation(create, name=data)


@internal_query(args={"id": v.id("items")})
def get(ctx: Any, id: str) -> Any:
    return ctx.db.get(id)


def answer(handler: Callable[[Any, Any], Any], method: str, target: str, **request: Any) -> Any:
    """The response of an app with this handler on three routes."""
    http = HttpRouter()
    for where in ({"path": "/exact"}, {"path": "/items/{id}"}, {"path_prefix": "/below/"}):
        http.route(**where, method=method, handler=handler)  # type: ignore[arg-type]
    app = App(http, modules={"m": __name__}, data=":memory:")  # type: ignore[dict-item]
    with testing.in_memory(app) as copy:
        return webtest.TestApp(copy).request(target, method=method, expect_errors=True, **request)


def post_json(handler: Callable[[Any, Any], Any], body: Any) -> Any:
    kept = {"body": json.dumps(body).encode(), "headers": {"Content-Type": "application/json"}}
    return answer(handler, "POST", "/exact", **kept)


def assert_callers(response: Any, *said: str) -> None:
    assert response.status_int == 400
    for text in said:
        assert text in response.json["error"]


def assert_programmers(response: Any, caplog: Any) -> None:
    assert response.status_int == 500
    assert response.json == {"error": "Internal server error"}
    [record] = [r for r in caplog.records if r.levelname == "ERROR"]
    assert record.exc_info


CALLERS: list[tuple[Callable[[Any, Any], Any], Any]] = [
    (lambda ctx, request: ctx.run_mutation(create, name=request.json()["name"]), {"name": 5}),
    (lambda ctx, request: ctx.run_mutation(create, name=request.json().get("name")), {}),
    (lambda ctx, request: ctx.run_mutation(create, name=request.json()["name"]), {"name": None}),
    (lambda ctx, request: ctx.run_mutation(create, name=request.json()["user"].get("name")), {"user": {}}),
    (lambda ctx, request: ctx.run_mutation(create, name=request.json()[0].get("name")), [{}]),
    (lambda ctx, request: ctx.run_mutation(create, **request.json()), {"name": "a", "count": "b"}),
    (lambda ctx, request: ctx.run_mutation(create, **request.json()), {}),
    (lambda ctx, request: ctx.run_mutation(create, request.json()), {"count": 1}),
    (lambda ctx, request: ctx.run_mutation(create, **request.json()), {"name": "a", "admin": True}),
    (lambda ctx, request: ctx.run_mutation(create, **{**request.json(), "count": 1}), {"nmae": "a"}),
    (lambda ctx, request: ctx.run_mutation(create_item, item=request.json()), {"name": "a"}),
    (lambda ctx, request: ctx.run_mutation(create_item, item=request.json()["i"]), {"i": {"name": "a"}}),
    (
        lambda ctx, request: ctx.run_mutation(create_item, item={"name": "x", "tags": request.json()["t"]}),
        {"t": ["a", 7]},
    ),
    (lambda ctx, request: ctx.run_mutation(create_item, item=request.json()), [1, 2]),
    (lambda ctx, request: ctx.run_mutation(pass_on, data=request.json()["deep"]["er"]), {"deep": {"er": 3}}),
    (lambda ctx, request: ctx.run_mutation(create, name="a", count=request.json()["n"]), {"n": 2**60}),
]


@pytest.mark.parametrize(("handler", "body"), CALLERS)
def test_a_refused_value_of_the_json_is_the_callers(
    handler: Callable[[Any, Any], Any], body: Any, caplog: pytest.LogCaptureFixture
) -> None:
    assert_callers(post_json(handler, body), "ArgumentValidationError")
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.parametrize(
    "body", [{}, {"user": {}}, {"user": {"names": [{}]}}, {"user": {"names": [{"x": 1}]}}]
)
def test_a_field_that_the_json_lacks_is_the_callers_at_any_depth(body: Any) -> None:
    def handler(ctx: Any, request: Any) -> Any:
        return [name["first"] for name in request.json()["user"]["names"]]

    assert_callers(post_json(handler, body), "Missing required field: ")


PROGRAMMERS: list[tuple[Callable[[Any, Any], Any], Any]] = [
    (lambda ctx, request: ctx.run_mutation(create, name=12345), {"name": "a"}),
    (lambda ctx, request: ctx.run_mutation(create, name=None), {"name": "a"}),
    (lambda ctx, request: ctx.run_mutation(create), {"name": "a"}),
    (lambda ctx, request: ctx.run_mutation(create, count=request.json()["count"]), {"count": 1}),
    (lambda ctx, request: ctx.run_mutation(create, nmae=request.json()["name"]), {"name": "a"}),
    (lambda ctx, request: ctx.run_mutation(create, name=request.json()["name"], hash=SECRET), {"name": "a"}),
    (lambda ctx, request: ctx.run_mutation(create, name={"hash": SECRET}), {"name": "a"}),
    (lambda ctx, request: ctx.run_mutation(create, name="a", count=SECRET), {"name": "a"}),
    (lambda ctx, request: ctx.run_mutation(pass_on, data=99), {"name": "a"}),
    (lambda ctx, request: ctx.run_mutation(create_item, item={"name": SECRET}), {"name": "a"}),
    (lambda ctx, request: ctx.run_query(get, id="of somewhere else"), {"id": "a"}),
    (lambda ctx, request: {"user": {}}["user"]["name"], {"user": {}}),
]


@pytest.mark.parametrize(("handler", "body"), PROGRAMMERS)
def test_any_other_refused_value_is_the_programmers(
    handler: Callable[[Any, Any], Any], body: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def reading(ctx: Any, request: Any) -> Any:
        request.json()
        return handler(ctx, request)

    assert_programmers(post_json(reading, body), caplog)


def test_what_a_handler_puts_into_the_json_is_not_the_callers(caplog: pytest.LogCaptureFixture) -> None:
    def handler(ctx: Any, request: Any) -> Any:
        body = request.json()
        body["count"] = SECRET
        return ctx.run_mutation(create, **body)

    assert_programmers(post_json(handler, {"name": "a"}), caplog)


def test_a_field_that_is_missing_beside_values_of_the_app_shows_none_of_them() -> None:
    def handler(ctx: Any, request: Any) -> Any:
        return ctx.run_mutation(create_item, item={"tags": [SECRET], **request.json()})

    response = post_json(handler, {"title": "a"})
    assert response.status_int == 400
    assert "required field `name`" in response.json["error"]
    assert SECRET not in response.text


ELSEWHERE: list[tuple[Callable[[Any, Any], Any], str, str, dict[str, Any]]] = [
    (lambda ctx, request: ctx.run_query(get, id=request.path_params["id"]), "GET", "/items/%C3%A4", {}),
    (lambda ctx, request: ctx.run_query(get, id=request.tail), "GET", "/below/a%20b", {}),
    (lambda ctx, request: ctx.run_query(get, id=request.tail.split("/")[1]), "GET", "/below/a/b", {}),
    (lambda ctx, request: ctx.run_query(get, id=request.query.get("id")), "GET", "/exact?id=b", {}),
    (lambda ctx, request: ctx.run_query(get, id=request.query.get("id")), "GET", "/exact", {}),
    (lambda ctx, request: ctx.run_query(get, id=request.query["id"].strip()), "GET", "/exact?id=+b+", {}),
    (
        lambda ctx, request: ctx.run_query(get, id=request.query.get("i").split(",")[1]),
        "GET",
        "/exact?i=a,b",
        {},
    ),
    (
        lambda ctx, request: ctx.run_mutation(create, name=int(request.query.get("n"))),
        "GET",
        "/exact?n=7",
        {},
    ),
    (lambda ctx, request: ctx.run_query(get, id=request.headers.get("X-Id")), "GET", "/exact", {}),
    (lambda ctx, request: ctx.run_query(get, **dict(request.query.items())), "GET", "/exact?x=1", {}),
    (
        lambda ctx, request: ctx.run_query(get, id=request.headers.get("X-Id")),
        "GET",
        "/exact",
        {"headers": {"X-Id": "b"}},
    ),
    (
        lambda ctx, request: ctx.run_query(get, id=request.form().get("id")),
        "POST",
        "/exact",
        {"POST": {"id": "b"}},
    ),
    (
        lambda ctx, request: ctx.run_query(get, id=request.form().get("id")),
        "POST",
        "/exact",
        {"POST": {"x": "b"}},
    ),
    (lambda ctx, request: ctx.run_query(get, id=request.text()), "POST", "/exact", {"body": b"some text"}),
]


@pytest.mark.parametrize(("handler", "method", "target", "sent"), ELSEWHERE)
def test_a_refused_value_of_path_query_form_or_text_is_the_callers(
    handler: Callable[[Any, Any], Any], method: str, target: str, sent: dict[str, Any]
) -> None:
    if "POST" in sent:
        fields = "&".join(f"{name}={value}" for name, value in sent.pop("POST").items())
        form = "application/x-www-form-urlencoded"
        sent = {"body": fields.encode(), "headers": {"Content-Type": form}}
    assert_callers(answer(handler, method, target, **sent), "ArgumentValidationError")


@pytest.mark.parametrize("target", ["/items/good", "/below/good", "/exact?id=good"])
def test_a_constant_of_the_handler_is_the_programmers_whatever_the_target(
    target: str, caplog: pytest.LogCaptureFixture
) -> None:
    def handler(ctx: Any, request: Any) -> Any:
        return ctx.run_query(get, id="exact")

    assert_programmers(answer(handler, "GET", target), caplog)
