# SPDX-License-Identifier: MIT
"""A large upload goes from the socket into a nameless file beside the app's files, and gets a name there."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from minihttp import App, HttpRouter, Limits
from minihttp.server import Server
from tests.live import Validated

from .wire import PATIENCE_SECONDS, posted

DATA = os.urandom(2_000_000)


@pytest.fixture(params=["filesystem", "sqlite"])
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    router = HttpRouter()

    @router.route(path="/store", method="POST")
    def store(ctx: Any, request: Any) -> Any:
        seen = {"spooled": request.body.spooled is not None}
        if "skip" in request.query:
            request.body.read(1)
            seen["after"] = request.body.spooled is not None
        return {**seen, "id": ctx.storage.store(request.body)}

    with App(router, data=tmp_path, files=request.param, workers=0) as opened:
        yield opened


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("query", ["", "?skip=1"])
def test_large_bodies(app: App, chunked: bool, query: str) -> None:
    server = Server(Validated(app), port=0)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        connection = http.client.HTTPConnection(server.host, server.port, timeout=PATIENCE_SECONDS)
        body: Any = iter([DATA[:1_000_000], DATA[1_000_000:]]) if chunked else DATA
        connection.request("POST", f"/store{query}", body, encode_chunked=chunked)
        reply = json.loads(connection.getresponse().read())
        connection.close()
    finally:
        server.stop()
        thread.join()
    assert reply["spooled"] is True
    assert reply.get("after") is not True
    with app.files.outside().get(reply["id"]) as file:  # type: ignore[union-attr]
        assert file.sha256 == hashlib.sha256(DATA[1:] if query else DATA).hexdigest()
        if app.options.files == "filesystem":
            assert os.fstat(file._blob.fileno()).st_nlink == 1


def test_small_bodies_stay_in_memory(app: App) -> None:
    server = Server(Validated(app), port=0)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        connection = http.client.HTTPConnection(server.host, server.port, timeout=PATIENCE_SECONDS)
        connection.request("POST", "/store", b"small")
        assert json.loads(connection.getresponse().read())["spooled"] is False
        connection.close()
    finally:
        server.stop()
        thread.join()


def test_an_upload_url_takes_more_than_any_other_body(tmp_path: Path) -> None:
    limits = Limits(max_body_bytes=1_000_000, max_upload_bytes=3_000_000)
    http_router = HttpRouter()
    http_router.route(path="/wide", method="POST", max_body=2_000_000, handler=lambda ctx, request: {})
    with App(http_router, data=tmp_path, workers=0, limits=limits) as app:
        server = Server(Validated(app), port=0, max_body_bytes=limits.max_body_bytes)
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            url = app.files.outside().generate_upload_url()
            assert posted(server.url, url, 2_900_000) == 200
            assert posted(server.url, url, 3_200_000) == 413
            assert posted(server.url, url[:-1], 2_900_000) == 401, "a stranger may fill nothing"
            assert posted(server.url, "/wide", 1_900_000) == 200
            assert posted(server.url, "/wide", 2_200_000) == 413
            assert posted(server.url, "/nothing", 1_200_000) == 404
        finally:
            server.stop()
            thread.join()
