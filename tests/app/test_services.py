# SPDX-License-Identifier: MIT
"""Opening and closing: settings, a directory that is in use, a start that fails."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from minihttp import App, ConfigurationError, Crons, Response, Schema, Table, internal_mutation, v
from minihttp.errors import DataDirectoryError
from tests.app.asked import answering, call

schema = Schema(notes=Table({"text": v.string()}))


@internal_mutation(args={"text": v.string()})
def add(ctx: Any, text: str) -> Any:
    return ctx.db.insert("notes", {"text": text})


def test_an_app_that_only_routes_makes_no_data_directory(tmp_path: Path) -> None:
    app = answering(lambda ctx, request: Response("ok"))
    app.configure(data=tmp_path / "data")
    assert call(app, "GET", "/x").status == 200
    assert not app.is_open
    assert list(tmp_path.iterdir()) == []


def test_settings_are_checked(tmp_path: Path) -> None:
    app = App(schema=schema, modules=[__name__], workers=0)
    with pytest.raises(ConfigurationError, match="'dat' is not a setting"):
        app.configure(dat="x")
    app.configure(data=tmp_path / "data", origin="https://example.com")
    with app:
        assert app.run_mutation(add, text="x")
        with pytest.raises(ConfigurationError, match="open already"):
            app.configure(data="elsewhere")
    with pytest.raises(ConfigurationError, match="takes an HttpRouter"):
        App("http")  # type: ignore[arg-type]


@pytest.mark.sqlite  # others may open a shared store
def test_a_second_process_or_app_may_not_open_the_same_directory(tmp_path: Path) -> None:
    with App(schema=schema, data=tmp_path / "data", workers=0):
        with pytest.raises(DataDirectoryError, match=f"process {os.getpid()}"):
            App(schema=schema, data=tmp_path / "data", workers=0).open()
    with App(schema=schema, data=tmp_path / "data", workers=0) as again:
        assert again.is_open


def test_a_start_that_fails_lets_go_of_the_directory(tmp_path: Path) -> None:
    crons = Crons()
    crons.hourly("nothing", function="no:such")
    failing = App(schema=schema, modules=[__name__], crons=crons, data=tmp_path / "data")
    with pytest.raises(ConfigurationError, match="no:such"):
        failing.open()
    unknown = App(modules=["no_such_module"], data=tmp_path / "data")
    with pytest.raises(ConfigurationError, match="no_such_module"):
        unknown.open()
    with App(schema=schema, data=tmp_path / "data", workers=0) as app:
        assert app.is_open


def test_closing_and_opening_again(tmp_path: Path) -> None:
    app = App(schema=schema, modules=[__name__], data=tmp_path / "data")
    with app:
        note = app.run_mutation(add, text="kept")
    with app:
        assert app.database.read(lambda transaction: transaction.db.get(note))["text"] == "kept"
    app.close()  # a second time does nothing


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="there is no list of open files")
@pytest.mark.parametrize("files", ["filesystem", "sqlite"])
def test_a_closed_app_has_no_file_open(tmp_path: Path, files: str) -> None:
    def opened() -> list[str]:
        links = (os.path.join("/proc/self/fd", name) for name in os.listdir("/proc/self/fd"))
        return [
            target
            for link in links
            if os.path.islink(link) and str(tmp_path) in (target := os.readlink(link))
        ]

    with App(schema=schema, modules=[__name__], data=tmp_path / "data", files=files) as app:
        app.run_mutation(add, text="kept")
        readers = [threading.Thread(target=app.run_query, args=("_app:tables",)) for _ in range(4)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        app.run_action("_app:check")
        assert opened()
    assert opened() == []
