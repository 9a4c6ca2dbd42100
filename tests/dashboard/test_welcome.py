# SPDX-License-Identifier: MIT
"""`GET /` of an app in development that has no such route."""

from __future__ import annotations

import urllib.request

from minihttp import App, HttpRouter, Response
from minihttp.dashboard.welcome import welcome
from tests.dashboard.conftest import Site


def test_it_shows_routes_and_how_to_go_on(site: Site) -> None:
    with urllib.request.urlopen(f"{site.url}/", timeout=30) as answer:
        text = answer.read().decode()
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "github webhook, then shop:on_event" in text and "<h1>It runs</h1>" in text


def test_a_route_is_named_by_what_answers_it() -> None:
    http = HttpRouter()
    assert "No routes yet." in welcome(App(http), "http://a")
    http.get("/a<b", lambda ctx, request: Response())
    body = welcome(App(http), "http://a")
    assert "&lt;lambda&gt;" in body and "<code>/a&lt;b</code>" in body and "curl http://a/a&lt;b" in body
