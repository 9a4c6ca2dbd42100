# SPDX-License-Identifier: MIT
"""Code that does not end, wherever user code can be: it is ended, undone, and others go on."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
import webtest

from minihttp import App, HttpRouter, Response, testing
from minihttp.errors import DeadlineError
from minihttp.limits import Limits
from minihttp.watchdog import watchdog
from tests.apps import endless

# Long enough for what does end, on a busy machine.
LIMITS = Limits(query_seconds=0.5, mutation_seconds=0.5, action_seconds=0.7)
HERE = "endless:"
WAYS = ["spin", "sleep", "catch_exceptions", "catch_everything"]


@pytest.fixture
def app() -> Any:
    with testing.in_memory(endless.app, limits=LIMITS) as copy:
        yield copy
    assert not watchdog.calls()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["query", "mutation", "action"])
def test_a_function(app: App, kind: str, way: str) -> None:
    with pytest.raises(DeadlineError, match=r"timed out \(maximum duration: 0\.[57] s\)"):
        getattr(app, f"run_{kind}")(f"{HERE}endless_{kind}", way=way)
    app.run_mutation(f"{HERE}mark")
    assert app.run_query(f"{HERE}marks") == ["mark"]  # what it had written is undone


@pytest.mark.parametrize("name", ["loop_over_documents", "in_an_index_range"])
def test_a_query_that_is_mostly_in_the_database(app: App, name: str) -> None:
    app.run_mutation(f"{HERE}mark")
    with pytest.raises(DeadlineError):
        app.run_query(HERE + name)


def test_a_mutation_that_catches_the_deadline_of_another_inside(app: App) -> None:
    with pytest.raises(DeadlineError):
        app.run_mutation(f"{HERE}in_a_nested_mutation")
    assert app.run_query(f"{HERE}marks") == []


@pytest.mark.parametrize("way", WAYS)
def test_a_handler(app: App, way: str) -> None:
    client = webtest.TestApp(app)
    assert client.get(f"/endless/{way}", status=408).json["error"].startswith("Function execution timed out")
    assert client.get("/ok").json == {"marks": "0"}


def test_a_stream(app: App, caplog: pytest.LogCaptureFixture) -> None:
    body = app(webtest.TestRequest.blank("/stream").environ, lambda status, headers: None)
    pieces = iter(body)
    assert next(pieces) == b"first"
    with pytest.raises(DeadlineError):
        next(pieces)
    assert "GET /stream ran longer than 0.7 s" in caplog.text


class Pieces:
    """An iterable of which one method does not end."""

    def __init__(self, endless: str) -> None:
        self.endless = endless

    def __iter__(self) -> Iterator[bytes]:
        while self.endless == "iter":
            pass
        return iter([b"piece"])

    def close(self) -> None:
        while self.endless == "close":
            pass


def test_what_begins_and_ends_a_stream() -> None:
    http = HttpRouter()
    http.get("/{method}", lambda ctx, request: Response(Pieces(request.path_params["method"])))
    app = App(http, limits=LIMITS)
    webtest.TestApp(app).get("/iter", status=408)
    body = app(webtest.TestRequest.blank("/close").environ, lambda status, headers: None)
    assert list(body) == [b"piece"]
    with pytest.raises(DeadlineError):
        body.close()


def test_a_handler_with_a_hook_after_it() -> None:
    def spin(ctx: Any, request: Any) -> Response:
        while True:
            pass

    http = HttpRouter()
    http.get("/", spin)
    http.after(lambda ctx, request, response: None)
    reply = webtest.TestApp(App(http, limits=LIMITS)).get("/", status=408)
    assert reply.json["error"].startswith("Function execution timed out")


@pytest.mark.parametrize("kind", ["mutation", "action"])
def test_a_job(app: App, kind: str) -> None:
    job_id = app.run_mutation(f"{HERE}schedule", name=f"{HERE}endless_{kind}", way="spin")
    testing.run_jobs(app)
    row = app.database.read(lambda t: t.system.get(job_id))
    assert row["state"]["kind"] == "failed"
    assert row["attempts"] == 1
    assert "DeadlineError: Function execution timed out" in row["state"]["error"]
    assert "in spin" in row["state"]["error"]
    assert app.run_query(f"{HERE}marks") == []


def test_an_on_complete(app: App) -> None:
    app.run_mutation(f"{HERE}schedule_with_endless_end")
    testing.run_jobs(app)
    rows = app.database.read(lambda t: t.system.query("_scheduled_functions").collect())
    assert {r["name"].partition(":")[2]: r["state"]["kind"] for r in rows} == {
        "nothing": "success",
        "endless_end": "failed",
    }


def test_a_cron() -> None:
    with testing.in_memory(endless.with_cron, limits=LIMITS) as app:
        testing.run_jobs(app)
        rows = app.database.read(lambda t: t.system.query("_scheduled_functions").collect())
        assert [r["state"]["kind"] for r in rows] == ["failed"]


def test_the_log_names_function_and_place(app: App, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR), pytest.raises(DeadlineError):
        app.run_mutation(f"{HERE}endless_mutation", way="spin")
    [line] = [r.getMessage() for r in caplog.records]
    assert line.startswith("endless:endless_mutation ran longer than 0.5 s and is ended: spin (")
    assert "< endless_mutation (" in line
