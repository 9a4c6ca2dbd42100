# SPDX-License-Identifier: MIT
"""Long tasks of a running app: how far they are, what comes of them, and how they end."""

from __future__ import annotations

import argparse
import threading
from pathlib import Path
from typing import Any

import pytest

from minihttp import App, Schema
from minihttp.app.progress import ABANDONED_SECONDS, LongTasks
from minihttp.cli._admin import access
from minihttp.errors import MinihttpError
from minihttp.testing import Clock
from tests.live import PATIENCE_SECONDS, live
from tests.proxies import Proxy


class Work:
    """A task that is told what to do next."""

    def __init__(self, tasks: LongTasks) -> None:
        self.began, self.go_on = threading.Event(), threading.Semaphore(0)
        self.undone: list[Any] = []
        self._tasks = tasks
        self.process = tasks.start("a", self._run, self.undone.append)
        assert self.began.wait(PATIENCE_SECONDS)

    def _run(self, tick: Any) -> str:
        tick("items", 5, 10)
        self.began.set()
        assert self.go_on.acquire(timeout=PATIENCE_SECONDS)
        tick("items", 10, 10)
        return "made"

    def end(self) -> dict[str, Any]:
        self.go_on.release()
        thread = self._tasks._tasks["a"].thread
        assert thread is not None
        thread.join(PATIENCE_SECONDS)
        return self._tasks.progress("a")


def test_a_task_tells_how_far_it_is_and_what_came_of_it() -> None:
    tasks = LongTasks()
    work = Work(tasks)
    about = {"process": work.process, "result": None, "error": ""}
    assert tasks.progress("a") == {**about, "state": "running", "now": ["items", 5, 10]}
    assert tasks.progress("b") == {**about, "state": "unknown", "now": None}
    assert work.end() == {**about, "state": "done", "now": ["items", 10, 10], "result": "made"}


def test_two_processes_are_told_from_each_other() -> None:
    assert LongTasks().progress("a")["process"] != LongTasks().progress("a")["process"]


@pytest.mark.parametrize(
    ("error", "told"), [(MinihttpError("it is full"), "it is full"), (KeyError("x"), "KeyError: 'x'")]
)
def test_a_task_that_fails_says_of_what(error: Exception, told: str) -> None:
    def work(tick: Any) -> None:
        raise error

    tasks = LongTasks()
    tasks.start("a", work)
    tasks.close(PATIENCE_SECONDS)
    assert {**tasks.progress("a"), "process": ""} == {
        "process": "", "state": "failed", "now": None, "result": None, "error": told,
    }  # fmt: skip


def test_a_task_ends_at_its_next_tick() -> None:
    tasks = LongTasks()
    work = Work(tasks)
    tasks.end("a")
    assert "ended by whoever began it" in work.end()["error"]
    assert not work.undone, "it has cleaned up by itself"


def test_what_is_done_already_is_undone() -> None:
    tasks = LongTasks()
    work = Work(tasks)
    work.end()
    tasks.end("a")
    assert work.undone == ["made"]
    assert tasks.progress("a")["state"] == "unknown"


def test_a_task_that_nobody_asks_after_ends() -> None:
    clock = Clock()
    tasks = LongTasks(clock)
    work = Work(tasks)
    clock.advance(ABANDONED_SECONDS - 1)
    tasks.progress("a")
    clock.advance(ABANDONED_SECONDS - 1)
    assert tasks.progress("a")["state"] == "running"
    clock.advance(ABANDONED_SECONDS + 1)
    assert "nobody asked" in work.end()["error"]


def test_results_that_nobody_wants_are_forgotten() -> None:
    clock = Clock()
    tasks = LongTasks(clock)
    Work(tasks).end()
    clock.advance(ABANDONED_SECONDS + 1)
    tasks.start("b", lambda tick: None)
    assert tasks.progress("a")["state"] == "unknown"


def test_tasks_end_with_the_server() -> None:
    tasks = LongTasks()
    work = Work(tasks)
    work.go_on.release()  # once it is to end, its next tick tells it
    tasks.close(PATIENCE_SECONDS)
    assert tasks.progress("a")["state"] in ("failed", "done")


def test_no_request_waits_for_a_long_task(tmp_path: Path) -> None:
    """It ends only after a moment in which no line to the server was open: no limit of a request, of a
    function or of a proxy can end it."""
    key = "the-key-of-the-operator"
    told: list[tuple[str, int, int]] = []

    app = App(schema=Schema(), data=str(tmp_path), workers=0, environment={"MINIHTTP_ADMIN_KEY": key})
    with app, live(app) as client, Proxy(client.url) as proxy:

        def looked_at(tick: Any) -> list[Any]:
            tick("items", 7, 9)
            assert proxy.quiet.wait(PATIENCE_SECONDS)
            return []

        app.services.operations.findings = looked_at  # type: ignore[method-assign]
        args = argparse.Namespace(server=proxy.url, environ={"MINIHTTP_ADMIN_KEY": key})
        with access(args) as server:
            assert server.check(lambda *progress: told.append(progress)) == []
    assert set(told) <= {("items", 7, 9)}
