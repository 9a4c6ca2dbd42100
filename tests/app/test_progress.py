# SPDX-License-Identifier: MIT
"""Progress of the long tasks of a running app, for whoever asks."""

from __future__ import annotations

import argparse
import threading
from pathlib import Path
from typing import Any

import pytest

from minihttp import App, Schema
from minihttp.app.progress import LongTasks
from minihttp.cli._admin import access
from tests.live import live


def test_a_task_is_known_by_its_name_while_it_lasts() -> None:
    tasks = LongTasks()
    with tasks.task("a") as tick, tasks.task("") as unnamed:
        assert tasks.progress("a") is None
        tick("items", 5, 10)
        unnamed("items", 6, 10)
        assert tasks.progress("a") == ["items", 5, 10]
        assert tasks.progress("") is None
    assert tasks.progress("a") is None


def test_what_a_server_does_is_told_to_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINIHTTP_ADMIN_KEY", "the-key-of-the-operator")
    told: list[tuple[str, int, int]] = []
    seen = threading.Event()

    def looked_at(tick: Any) -> list[Any]:
        tick("items", 7, 9)
        assert seen.wait(30.0)
        return []

    def tick(*progress: Any) -> None:
        told.append(progress)
        seen.set()

    app = App(schema=Schema(), data=str(tmp_path), workers=0)
    with app, live(app) as client:
        app.services.operations.findings = looked_at  # type: ignore[method-assign]
        args = argparse.Namespace(
            server=client.url, environ={"MINIHTTP_ADMIN_KEY": "the-key-of-the-operator"}
        )
        with access(args) as server:
            assert server.check(tick) == []
    assert told and set(told) == {("items", 7, 9)}
