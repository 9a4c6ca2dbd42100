# SPDX-License-Identifier: MIT
"""The servers that tests run do validate: what PEP 3333 forbids, and a server would let through, is a 500."""

from __future__ import annotations

from pathlib import Path

from minihttp import App

from .live import Process, live

FORBIDDEN = """
from minihttp import App, HttpRouter, Response

http = HttpRouter()
http.route(path="/", method="GET", handler=lambda ctx, request: Response("", headers={"Status": "200"}))
app = App(http)
"""


def test_in_a_thread_and_in_a_process(tmp_path: Path) -> None:
    target = tmp_path / "forbidden.py"
    target.write_text(FORBIDDEN)
    with live(App.from_target(str(target))) as client:
        assert client.get("/").status == 500
    process = Process(target, tmp_path / "data")
    assert process.client.get("/").status == 500
    assert process.terminate() == 0
