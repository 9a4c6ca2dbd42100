# SPDX-License-Identifier: MIT
from __future__ import annotations

import pytest
import webtest

from minihttp import App, testing
from minihttp.app.system_routes import _warn_of_websockets


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
