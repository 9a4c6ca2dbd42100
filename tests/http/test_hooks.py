# SPDX-License-Identifier: MIT
"""Hooks and mounts, through a whole app."""

from __future__ import annotations

from typing import Any

import pytest
from webtest import TestApp

from minihttp import App, Cors, HTTPError, HttpRouter, Response, RouteError


def answering(text: str) -> Any:
    return lambda ctx, request: Response(text)


def client(http: HttpRouter) -> TestApp:
    return TestApp(App(http))


def test_before_and_after_in_order() -> None:
    seen: list[str] = []
    http = HttpRouter(before=[lambda ctx, request: seen.append("1")])

    @http.route(path="/a", method="GET")
    def a(ctx: Any, request: Any) -> Any:
        seen.append(f"handler {request.state['user']}")
        return {"a": 1}

    @http.before
    def identify(ctx: Any, request: Any) -> None:
        request.state["user"] = "ada"
        seen.append("2")

    @http.after
    def stamp(ctx: Any, request: Any, response: Response) -> None:
        assert isinstance(response, Response)
        response.headers.set("X-Stamp", "yes")
        seen.append("3")

    http.after(lambda ctx, request, response: seen.append("4"))
    response = client(http).get("/a")
    assert response.json == {"a": 1} and response.headers["X-Stamp"] == "yes"
    assert seen == ["1", "2", "handler ada", "3", "4"]


def test_a_hook_may_answer_and_then_the_handler_does_not_run() -> None:
    http = HttpRouter()
    http.route(path="/a", method="GET", handler=lambda ctx, request: 1 / 0)
    http.before(lambda ctx, request: {"from": "the hook"} if "q" in request.query else None)
    http.before(lambda ctx, request: Response("second"))

    @http.after
    def louder(ctx: Any, request: Any, response: Response) -> Response | None:
        return Response("second!", status=201) if response.status == 200 and not request.query else None

    app = client(http)
    assert app.get("/a?q=1").json == {"from": "the hook"}
    assert (app.get("/a").text, app.get("/a").status_int) == ("second!", 201)


def test_errors_come_to_after_hooks_as_responses() -> None:
    http = HttpRouter()
    seen = []

    @http.route(path="/gone", method="GET")
    def gone(ctx: Any, request: Any) -> Any:
        raise HTTPError(410, "gone")

    @http.route(path="/crash", method="GET")
    def crash(ctx: Any, request: Any) -> Any:
        raise RuntimeError("the password is hunter2")

    @http.route(path="/nothing", method="GET")
    def nothing(ctx: Any, request: Any) -> Any:
        return None

    @http.after
    def note(ctx: Any, request: Any, response: Response) -> None:
        seen.append(response.status)

    app = client(http)
    assert app.get("/gone", status=410).json == {"error": "gone"}
    assert app.get("/crash", status=500).json == {"error": "Internal server error"}
    assert app.get("/nothing", status=500).json == {"error": "Internal server error"}
    assert seen == [410, 500, 500]


def test_a_refusal_of_a_hook_is_the_response() -> None:
    http = HttpRouter()
    http.route(path="/a", method="GET", handler=answering("a"))

    @http.before
    def refuse(ctx: Any, request: Any) -> None:
        raise HTTPError(403, "not you")

    assert client(http).get("/a", status=403).json == {"error": "not you"}


def test_a_hook_that_returns_nonsense_is_a_500() -> None:
    http = HttpRouter(before=[lambda ctx, request: 7])
    http.route(path="/a", method="GET", handler=answering("a"))
    client(http).get("/a", status=500)


def test_mounted_routes_of_every_kind_and_later_ones() -> None:
    http, v1 = HttpRouter(), HttpRouter()
    v1.route(path="/a", method="GET", handler=answering("a"))
    http.mount("/v1", v1)
    v1.route(
        path="/users/{id}", method="GET", handler=lambda ctx, request: Response(request.path_params["id"])
    )
    v1.route(path_prefix="/files/", method="GET", handler=lambda ctx, request: Response(request.tail))
    app = client(http)
    assert app.get("/v1/a").text == "a" and app.get("/v1/users/7").text == "7"
    assert app.get("/v1/files/x/y").text == "x/y"
    assert app.get("/a", status=404) and app.get("/v1", status=404)
    assert app.post("/v1/a", status=405).headers["Allow"] == "GET, HEAD"
    assert [path for path, _, _ in http.routes()] == ["/v1/a", "/v1/users/{id}", "/v1/files/*"]
    assert [path for path, _, _ in v1.routes()] == ["/a", "/users/{id}", "/files/*"]


def test_hooks_of_mounted_routers_are_inside_of_the_others() -> None:
    seen: list[str] = []

    def router(name: str) -> HttpRouter:
        return HttpRouter(
            before=[lambda ctx, request: seen.append(f"{name} before")],
            after=[lambda ctx, request, response: seen.append(f"{name} after")],
        )

    http, v1, admin = router("http"), router("v1"), router("admin")
    admin.route(path="/x", method="GET", handler=answering("x"))
    http.route(path="/y", method="GET", handler=answering("y"))
    http.mount("/v1", v1)
    v1.mount("/admin", admin)
    app = client(http)
    app.get("/v1/admin/x")
    assert seen == ["http before", "v1 before", "admin before", "admin after", "v1 after", "http after"]
    seen.clear()
    admin.before(lambda ctx, request: seen.append("late"))
    app.get("/v1/admin/x")
    assert seen[3] == "late"
    seen.clear()
    app.get("/y")
    assert seen == ["http before", "http after"]


def test_one_router_in_two_places_and_with_parameters() -> None:
    http, api = HttpRouter(), HttpRouter()
    api.route(path="/a", method="GET", handler=lambda ctx, request: dict(request.path_params))
    http.mount("/v1", api)
    http.mount("/of/{tenant}", api)
    app = client(http)
    assert app.get("/v1/a").json == {} and app.get("/of/ada/a").json == {"tenant": "ada"}


def test_cors_and_secrets_of_a_mounted_router() -> None:
    http = HttpRouter(cors=Cors(origins=["https://a.example.com"]), secrets=["A"])
    own = HttpRouter(cors=Cors(origins=["https://b.example.com"]), secrets=["B"])
    plain = HttpRouter()
    for router in (own, plain):
        router.route(path="/x", method="GET", handler=answering("x"))
    http.mount("/own", own)
    http.mount("/plain", plain)
    app = client(http)
    for path, origin in (("/own/x", "https://b.example.com"), ("/plain/x", "https://a.example.com")):
        response = app.get(path, headers={"Origin": origin})
        assert response.headers["Access-Control-Allow-Origin"] == origin
    assert http.secrets == ("A", "B")


@pytest.mark.parametrize("prefix", ["v1", "/v1/", "", "/", "/_/x", "/a{b}"])
def test_prefixes_that_cannot_be(prefix: str) -> None:
    http, api = HttpRouter(), HttpRouter()
    api.route(path="/a", method="GET", handler=answering("a"))
    with pytest.raises(RouteError):
        http.mount(prefix, api)


def test_a_router_below_itself_and_a_path_that_is_taken() -> None:
    http, api = HttpRouter(), HttpRouter()
    http.route(path="/v1/a", method="GET", handler=answering("first"))
    http.mount("/v1", api)
    with pytest.raises(RouteError, match="below itself"):
        api.mount("/x", http)
    with pytest.raises(RouteError, match="below itself"):
        http.mount("/x", http)
    with pytest.raises(RouteError, match="already in use"):
        api.route(path="/a", method="GET", handler=answering("second"))
    with pytest.raises(RouteError, match="takes an HttpRouter"):
        http.mount("/x", "router")  # type: ignore[arg-type]
    with pytest.raises(RouteError, match='auth is "required" or None'):
        http.route(path="/b", method="GET", handler=answering("b"), auth="optional")


def test_a_mounted_webhook_is_one_endpoint_at_its_whole_path() -> None:
    from minihttp import testing
    from minihttp.webhooks import stripe

    http, v1, seen = HttpRouter(), HttpRouter(), []
    http.mount("/v1", v1)
    v1.webhook("/hooks/stripe", stripe.provider(secret="S"), None)
    v1.before(lambda ctx, request: seen.append(request.path))
    v1.after(lambda ctx, request, response: seen.append(response.status))
    assert [webhook.path for webhook in http.webhooks] == ["/v1/hooks/stripe"]
    app = testing.in_memory(App(http), environment={"S": "whsec_x"})
    body, headers = testing.signed("stripe", {"id": "evt_1", "type": "x"}, "whsec_x", now=app.clock())
    client = TestApp(app)
    assert client.post("/v1/hooks/stripe", body, headers=headers).status_int == 200
    assert client.post("/v1/hooks/stripe", b"{}", headers={"Content-Type": "application/json"}, status=400)
    assert seen == ["/v1/hooks/stripe", 200, "/v1/hooks/stripe", 400]
    app.close()
