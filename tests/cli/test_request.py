# SPDX-License-Identifier: MIT
"""`request`: a request through the app, without a server."""

from __future__ import annotations

import json

from tests.cli.shell import Shell, shell

__all__ = ["shell"]


def test_request_goes_through_the_app(shell: Shell) -> None:
    assert len(json.loads(shell("request", "POST", "/items", "-d", '{"name": "pen"}').out)["id"]) == 32
    assert shell("request", "get", "/items?x=1").out == '{"count":1}'
    done = shell("request", "GET", "/nope", "-i", code=1)
    assert done.out.startswith("HTTP/1.1 404 Not Found\n") and done.out.endswith('{"error":"Not found"}')
    (shell.folder / "body").write_text('{"name": "ink"}')
    shell("request", "POST", "/items", "-d", "@body", "-H", "X-A: b", "-H", "Content-Type: application/json")
    shell("request", "POST", "/items", "-d", "@-", stdin='{"name": "ink"}')
    assert shell("run", "app:count").out == "3\n"
    assert "-H takes a field" in shell("request", "GET", "/", "-H", "nope", code=2).err
    assert "must begin with /" in shell("request", "GET", "items", code=2).err
