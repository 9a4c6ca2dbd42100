# SPDX-License-Identifier: MIT
from __future__ import annotations

import pytest
import webtest

from minihttp import App, HttpRouter, Response, testing
from minihttp.app.system_routes import SystemRoutes, _warn_of_websockets


def test_a_websocket_is_refused_by_a_sentence_and_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    _warn_of_websockets.cache_clear()
    asked = {"Upgrade": "websocket", "Connection": "Upgrade"}
    with testing.in_memory(App()) as app:
        client = webtest.TestApp(app)
        for path in ("/api/sync", "/api/1.17.0/sync", "/api/sync"):
            assert "ConvexHttpClient" in client.get(path, headers=asked, status=426).json["error"]
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        client.get("/api/sync", status=404)
        client.get("/api/sync/x", headers=asked, status=404)


def test_what_is_the_frameworks_own_is_held_to_no_time_limit() -> None:
    """A function has its own, and a backup may take long."""
    http = HttpRouter()
    http.route(path="/x", method="GET", handler=lambda ctx, request: Response("ok"))
    own, users = SystemRoutes(App(http)), http.find("/x", "GET")
    for method, path in (("POST", "/api/query"), ("GET", "/_/ready"), ("GET", "/version")):
        route = own.find(path, method, None)
        assert route is not None and not route.watched
    assert users is not None and users.watched
