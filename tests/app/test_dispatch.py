# SPDX-License-Identifier: MIT
"""Which route answers: unknown paths, other methods, preflights, hosts, and whether a body is wanted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest

from minihttp import App, Cors, HttpRouter, Limits, Response
from minihttp.webhooks import stripe
from tests.app.asked import answering, call
from tests.live import ROOT


def test_an_unknown_path_and_a_wrong_method() -> None:
    app = answering(lambda ctx, request: Response("ok"))
    missing = call(app, "GET", "/y")
    assert (missing.status, missing.json()) == (404, {"error": "Not found"})
    assert missing.headers["x-content-type-options"] == "nosniff"
    wrong = call(app, "POST", "/x")
    assert (wrong.status, wrong.headers["allow"]) == (405, "GET, HEAD")
    assert call(app, "OPTIONS", "/x").status == 405, "OPTIONS is answered only by a route or by cors"
    assert call(app, "TRACE", "/x").status == 405


@pytest.mark.parametrize("path", ["x", "*", "/a/../b", "/%2e%2e/x", "/%zz", "/a\r\nb", "/\x00"])
def test_bad_paths_are_refused_before_routing(path: str) -> None:
    app = answering(lambda ctx, request: Response("ok"), path=None, path_prefix="/")
    environ: dict[str, Any] = {}
    setup_testing_defaults(environ)
    environ |= {"REQUEST_METHOD": "GET", "REQUEST_URI": path, "PATH_INFO": path}
    status: list[str] = []
    body = b"".join(app(environ, lambda line, headers: status.append(line)))
    assert status == ["400 Bad Request"], body


@pytest.mark.parametrize("host", ["a b", "a@b", "a/b", "a,b", "a:b", "", "[::1", "a" * 300])
def test_a_host_that_is_none_is_refused(host: str) -> None:
    reply = call(answering(lambda ctx, request: Response("ok")), "GET", "/x", HTTP_HOST=host)
    assert (reply.status, "Host" in reply.json()["error"]) == (400, True)


def test_cors_is_on_errors_of_every_kind() -> None:
    http = HttpRouter(cors=Cors(["https://a.example"]))
    http.route(path="/boom", method="GET", handler=lambda ctx, request: 1 / 0)
    http.route(path="/post", method="POST", handler=lambda ctx, request: {})
    app = App(http)
    for method, path, status in (("GET", "/boom", 500), ("GET", "/nothing", 404), ("GET", "/post", 405)):
        reply = call(app, method, path, HTTP_ORIGIN="https://a.example")
        assert reply.status == status
        assert reply.headers["access-control-allow-origin"] == "https://a.example"
        stranger = call(app, method, path, HTTP_ORIGIN="https://evil.example")
        assert "access-control-allow-origin" not in stranger.headers
        assert "Origin" in stranger.headers["vary"]
    preflight = {"HTTP_ORIGIN": "https://a.example", "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "POST"}
    assert call(app, "OPTIONS", "/post", **preflight).status == 204
    assert call(app, "OPTIONS", "/nothing", **preflight).status == 404
    assert call(app, "OPTIONS", "/post").status == 204, "no preflight, but answered by the rule"


def test_a_preflight_is_answered_by_the_rule_of_the_method_that_is_asked_for() -> None:
    http = HttpRouter(cors=Cors(["*"]))
    for method, cors in (("GET", None), ("POST", None), ("PUT", Cors(["https://a.example"]))):
        http.route(path="/x", method=method, handler=lambda ctx, request: {}, cors=cors)

    def ask(method: str, origin: str) -> tuple[str | None, str]:
        asked = {"HTTP_ORIGIN": origin, "HTTP_ACCESS_CONTROL_REQUEST_METHOD": method}
        headers = call(App(http), "OPTIONS", "/x", **asked).headers
        return headers.get("access-control-allow-origin"), headers["access-control-allow-methods"]

    assert ask("PUT", "https://a.example") == ("https://a.example", "GET, HEAD, POST, PUT")
    assert ask("GET", "https://a.example") == ("https://a.example", "GET, HEAD, POST, PUT")
    assert ask("PUT", "https://evil.example")[0] is None, "not by the rule of GET or of the router"
    for method in ("POST", "DELETE"):
        assert ask(method, "https://b.example") == ("https://b.example", "GET, HEAD, POST")


def test_a_preflight_lists_what_the_origin_may_use() -> None:
    http = HttpRouter()
    rules = {
        "GET": Cors(["https://a.example"]),
        "POST": Cors(["https://a.example", "https://b.example"]),
        "PUT": Cors(["https://a.example"], methods=["DELETE"]),
        "DELETE": None,
    }
    for method, cors in rules.items():
        http.route(path="/x", method=method, handler=lambda ctx, request: {}, cors=cors)

    def ask(method: str, origin: str) -> str:
        asked = {"HTTP_ORIGIN": origin, "HTTP_ACCESS_CONTROL_REQUEST_METHOD": method}
        return call(App(http), "OPTIONS", "/x", **asked).headers["access-control-allow-methods"]

    assert ask("POST", "https://a.example") == ask("GET", "https://a.example") == "GET, HEAD, POST"
    assert ask("POST", "https://b.example") == "POST"
    assert ask("PUT", "https://a.example") == "DELETE", "the rule names the methods itself"


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_a_405_is_readable_for_pages_that_may_use_the_path(method: str) -> None:
    http = HttpRouter(cors=Cors(["https://router.example"]))
    http.route(path="/x", method="POST", handler=lambda c, r: {}, cors=Cors(["https://a.example"]))
    http.route(path="/x", method="PUT", handler=lambda c, r: {}, cors=Cors(["https://b.example"]))

    def allowed(origin: str | None) -> str | None:
        response = call(App(http), method, "/x", **({"HTTP_ORIGIN": origin} if origin else {}))
        assert response.status == 405 and "Origin" in response.headers["vary"]
        return response.headers.get("access-control-allow-origin")

    assert allowed("https://a.example") == "https://a.example"
    assert allowed("https://b.example") == "https://b.example"
    assert allowed("https://router.example") is allowed("https://evil.example") is allowed(None) is None


def test_a_catch_all_does_not_hide_the_methods_of_own_routes() -> None:
    app = answering(lambda ctx, request: Response("page"), path=None, path_prefix="/")
    asked = {"HTTP_ORIGIN": "https://a.example", "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "POST"}
    headers = call(app, "OPTIONS", "/api/query", **asked).headers
    assert headers["access-control-allow-methods"] == "GET, HEAD, POST"


def test_a_catch_all_of_the_user_leaves_the_own_routes_alone(tmp_path: Path) -> None:
    http = HttpRouter()
    for method in ("GET", "POST"):
        http.route(path_prefix="/", method=method, handler=lambda ctx, request: Response("the user's"))
    limits = Limits(max_body_bytes=1_000, max_upload_bytes=5_000)
    with App(http, data=tmp_path / "data", workers=0, limits=limits) as app:
        assert call(app, "GET", "/_/health").json() == {"status": "ok"}
        assert call(app, "GET", "/api/storage/x").json()["code"] == "InvalidStoragePath"
        assert call(app, "GET", "/other").text == "the user's"
        url = app.files.outside().generate_upload_url()
        assert plan(app, url) == (5_000, app.files.backend.spool_folder)
        assert plan(app, url + "x") is None
        assert plan(app, "/other") == (1_000, None)


def plan(app: App, target: str, method: str = "POST", **fields: str) -> tuple[int, str | None] | None:
    """What becomes of the body of a request with this head."""
    query = target.partition("?")[2]
    return app.plan_body(
        {"REQUEST_METHOD": method, "REQUEST_URI": target, "QUERY_STRING": query, "HTTP_HOST": "a", **fields}
    )


def test_the_head_says_whether_a_body_is_wanted_and_how_much_of_it() -> None:
    http = HttpRouter()
    http.route(path="/in", method="POST", handler=lambda ctx, request: {})
    http.route(path="/wide", method="POST", max_body=9_000_000, handler=lambda ctx, request: {})
    http.webhook("/hook", stripe.provider(secret="SECRET"), handler=None)
    app = App(http, data=":memory:", workers=0, environment={"SECRET": "whsec_of-some-length"})
    limits = app.limits
    assert plan(app, "/in") == (limits.max_body_bytes, None)
    assert plan(app, "/in", CONTENT_TYPE="application/json; charset=utf-8") == (limits.max_json_bytes, None)
    assert plan(app, "/wide", CONTENT_TYPE="application/json") == (9_000_000, None)
    for target, method in (("/nothing", "POST"), ("/in", "PUT"), ("/in", "GET"), ("/%zz", "POST")):
        assert plan(app, target, method) is None
    assert plan(app, "/hook") is None
    assert plan(app, "/hook", HTTP_STRIPE_SIGNATURE="t=1") is not None
    assert app.find_pattern("POST", "/in?secret") == "/in" and app.find_pattern("POST", "/secret") is None


ONE_ANSWER = """
import sys
from minihttp import App, HttpRouter, Response
from tests.app.asked import call
http = HttpRouter()
http.route("/x", "GET", lambda ctx, request: Response("ok"))
before = set(sys.modules)  # those of the test itself
assert call(App(http), "GET", "/x").status == 200
print(*sorted(name for name in set(sys.modules) - before if name.startswith("minihttp.")))
"""


def test_one_answer_loads_nothing_of_webhooks_hashes_and_metrics() -> None:
    command = [sys.executable, "-c", ONE_ANSWER]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = set(done.stdout.split())
    assert "minihttp.app.dispatch" in loaded
    assert not loaded & {"minihttp.hashing", "minihttp.http.webhook_route", "minihttp.app.metrics"}
