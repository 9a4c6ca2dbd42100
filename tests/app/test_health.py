# SPDX-License-Identifier: MIT
"""Probes and metrics, through the app."""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from minihttp import App, HttpRouter, internal_mutation, testing
from minihttp.app.health import Check
from minihttp.app.metrics import Metrics
from minihttp.logs import Served
from tests.live import PATIENCE_SECONDS

SERVED = Served(1.0, "GET", "/a/{id}", "/a/7", 200, 0.004, 42, "id", "192.0.2.1", True)
SAMPLE = re.compile(r'[a-z_]+(\{[a-z]+="([^"\\\n]|\\.)*"(,[a-z]+="([^"\\\n]|\\.)*")*\})? [0-9.e+-]+')


def call(app: App, path: str, method: str = "GET") -> tuple[int, dict[str, str], str]:
    """Status, headers and body of the app's reply, which keeps to PEP 3333."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "SCRIPT_NAME": "",
        "QUERY_STRING": "",
    }
    setup_testing_defaults(environ)
    started: list[Any] = []
    body = validator(app)(environ, lambda status, headers, exc_info=None: started.extend((status, headers)))
    try:
        text = b"".join(body).decode()
    finally:
        body.close()
    return int(started[0][:3]), dict(started[1]), text


def test_probes_of_an_app_that_only_routes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    app = App(HttpRouter())
    for path in ("/_/health", "/_/ready"):
        status, headers, body = call(app, path)
        assert (status, json.loads(body)) == (200, {"status": "ok"})
        assert headers["Cache-Control"] == "no-store"
        assert call(app, path, "POST")[0] == 405
    assert call(app, "/_/metrics")[0] == 404
    assert list(tmp_path.iterdir()) == []


def test_ready_asks_storage(tmp_path: Path) -> None:
    with App(HttpRouter(), data=tmp_path, workers=0) as app:
        assert call(app, "/_/ready")[0] == 200
        app.database.close()
        status, _, body = call(app, "/_/ready")
        assert (status, json.loads(body)) == (503, {"status": "the database does not answer"})
        assert call(app, "/_/health")[0] == 200


def test_a_store_that_does_not_answer_holds_nobody_up() -> None:
    answers, asked = threading.Event(), threading.Semaphore(0)

    def ask() -> None:
        asked.release()
        answers.wait(PATIENCE_SECONDS)

    check = Check(ask, "no answer", answer_seconds=0.01)
    assert [check.problem() for _ in range(3)] == ["no answer"] * 3
    assert asked.acquire(timeout=PATIENCE_SECONDS) and not asked.acquire(blocking=False), "one question"
    answers.set()
    check = Check(ask, "no answer", answer_seconds=PATIENCE_SECONDS)
    assert [check.problem() for _ in range(2)] == ["", ""]
    assert asked.acquire() and asked.acquire(), "the next one asks again"


@internal_mutation(args={})
def later(ctx: Any) -> None:
    ctx.scheduler.run_after(5, later)
    ctx.scheduler.run_after(3600, later)


@pytest.mark.sqlite  # the sizes of its files
def test_metrics_of_an_open_app(tmp_path: Path) -> None:
    clock = testing.Clock()
    app = App(HttpRouter(), modules=[__name__], data=tmp_path, workers=0, metrics=Metrics(), clock=clock)
    with app:
        app.run_mutation(later)
        clock.advance(7)
        status, headers, body = call(app, "/_/metrics")
    assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert 'minihttp_jobs{state="pending"} 2\n' in body and 'minihttp_jobs{state="failed"} 0\n' in body
    assert "minihttp_job_lag_seconds 2\n" in body
    assert "minihttp_dead_deliveries 0\n" in body
    assert re.search(r'minihttp_database_bytes{file="app.db"} [1-9]', body)


def test_metrics_need_the_admin_key_where_there_is_one_and_are_made_once_a_second() -> None:
    key = "an:admin-key-of-some-length"
    app = App(HttpRouter(), data=":memory:", workers=0, metrics=Metrics(), admin_key=key)

    def ask(header: str | None, peer: str = "127.0.0.1") -> tuple[int, bytes]:
        environ: dict[str, Any] = {"REQUEST_METHOD": "GET", "PATH_INFO": "/_/metrics", "REMOTE_ADDR": peer}
        setup_testing_defaults(environ)
        if header is not None:
            environ["HTTP_AUTHORIZATION"] = header
        statuses: list[str] = []
        body = b"".join(app(environ, lambda status, headers, error=None: statuses.append(status)))  # type: ignore[arg-type]
        return int(statuses[0][:3]), body

    assert [ask(header)[0] for header in (None, "Bearer x", f"Bearer {key[:-1]}", key)] == [401] * 4
    assert [ask(f"{scheme} {key}")[0] for scheme in ("Bearer", "Convex")] == [200, 200]
    assert app.options.metrics is not None
    first = ask(f"Bearer {key}")[1]
    app.options.metrics.record(Served(0.0, "GET", "/x", "/x", 200, 0.1, 1, None, "a", True))
    assert ask(f"Bearer {key}")[1] == first
    app.options.admin_key = None
    assert (ask(None)[0], ask(None, "192.0.2.1")[0]) == (200, 401)
