# SPDX-License-Identifier: MIT
"""A wrong, misspelt or missing file store is said at the start, and one that vanishes is a 503."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import webtest

from minihttp import App, HttpRouter
from minihttp.cli import main
from minihttp.errors import ConfigurationError, DataDirectoryError

http = HttpRouter()


@http.route(path="/files", method="POST")
def store(ctx: Any, request: Any) -> dict[str, str]:
    return {"id": ctx.storage.store(request.body)}


@http.route(path="/files/{id}", method="GET")
def exists(ctx: Any, request: Any) -> Any:
    from minihttp import Response

    return Response(ctx.storage.get(request.path_params["id"]))


app = App(http)


def opened(tmp_path: Path, files: str | None) -> App:
    return App(http, data=str(tmp_path / "data"), files=files, workers=0).open()


def with_a_file(tmp_path: Path, files: str | None) -> None:
    app = opened(tmp_path, files)
    webtest.TestApp(app).post("/files", b"hello")
    app.close()


@pytest.mark.sqlite  # `check` looks whether its file is there
@pytest.mark.parametrize("kept_in", [None, "sqlite"])
@pytest.mark.parametrize("then", ["another_folder", "other_kind", "emptied"])
def test_another_store_than_that_of_the_files(tmp_path: Path, kept_in: str | None, then: str) -> None:
    with_a_file(tmp_path, kept_in)
    files = kept_in
    if then == "another_folder":
        files = f"{tmp_path}/other/files"
    elif then == "other_kind":
        files = "filesystem" if kept_in == "sqlite" else "sqlite"
    else:
        for path in (tmp_path / "data").glob("files*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(DataDirectoryError, match=r"app\.db has files, but .*files.* lacks its mark"):
        opened(tmp_path, files)
    with pytest.raises(DataDirectoryError, match="lacks its mark"):
        App(http, data=str(tmp_path / "data"), files=files).check()
    arguments = [
        "doctor",
        f"{__name__}:app",
        "--data",
        str(tmp_path / "data"),
        "--files",
        files or "filesystem",
    ]
    assert main(arguments) == 1


def test_an_empty_database_may_change_its_store(tmp_path: Path) -> None:
    for files in (None, "sqlite", f"{tmp_path}/other", None):
        opened(tmp_path, files).close()


@pytest.mark.parametrize(
    ("files", "says"),
    [("filesytem", "did you mean 'filesystem'"), ("sqllite", "'sqlite'"), ("blobs", "./blobs")],
)
def test_a_word_that_is_no_store(tmp_path: Path, files: str, says: str, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match=f"files='{files}' is neither.*{says}"):
        opened(tmp_path, files)
    assert not (tmp_path / files).exists()
    (tmp_path / files).mkdir()
    opened(tmp_path, files).close()  # it is a folder after all


@pytest.mark.parametrize("kept_in", ["filesystem", "sqlite"])
@pytest.mark.parametrize("how", ["deleted", "moved", "replaced"])
def test_a_store_that_vanishes_while_it_is_used(tmp_path: Path, kept_in: str, how: str) -> None:
    app = opened(tmp_path, kept_in)
    client = webtest.TestApp(app)
    client.post("/files", b"hello")
    client.get("/_/ready", status=200)
    path = tmp_path / "data" / ("files" if kept_in == "filesystem" else "files.db")
    vanish: Callable[[Path], Any] = shutil.rmtree if path.is_dir() else Path.unlink
    vanish(path) if how == "deleted" else path.rename(tmp_path / "elsewhere")
    if how == "replaced":
        path.mkdir() if kept_in == "filesystem" else path.touch()
    reply = client.post("/files", b"more", status=503)
    assert reply.headers["Retry-After"] == "5"
    assert client.get("/_/ready", status=503).json == {"status": "the file store does not answer"}
    app.close()
