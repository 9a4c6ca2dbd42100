# SPDX-License-Identifier: MIT
"""A data directory that the version before made, with a delivery in each of its states."""

from __future__ import annotations

import io
import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from minihttp import App, HttpRouter, internal_action, internal_mutation, testing
from minihttp.data.consistency import check_documents
from minihttp.values import index_key
from minihttp.webhooks import stripe

ROOT = Path(__file__).resolve().parents[2]
DUMP = ROOT / "tests" / "data" / "inbox_before_one_row.sql"
SECRET = "whsec_before"
handled: list[str] = []
pytestmark = pytest.mark.sqlite


@internal_mutation
def on_event(ctx: Any, delivery: Any) -> None:
    ctx.db.insert("effects", {"id": delivery["id"]})


@internal_action
def act(ctx: Any, delivery: Any) -> None:
    handled.append(delivery["id"])


pytestmark = pytest.mark.sqlite  # what an older version has left in a file


def made(folder: Path) -> App:
    """An app on the data directory."""
    http = HttpRouter()
    provider = stripe.provider(secret="STRIPE")
    for path, handler in (("/hook", on_event), ("/once", on_event), ("/act", act), ("/kept", None)):
        http.webhook(path, provider, handler=handler)
    http.webhook("/lanes", provider, handler=on_event, ordered_by="customer")
    clock = testing.Clock(1_700_000_003)
    app = App(http, modules=[sys.modules[__name__]], data=str(folder), workers=0, clock=clock)
    return app.configure(environment={"STRIPE": SECRET})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    connection = sqlite3.connect(tmp_path / "app.db")
    connection.executescript(DUMP.read_text("utf-8"))
    connection.close()
    handled.clear()
    return tmp_path


@pytest.fixture(params=["changed", "behind"])
def app(request: pytest.FixtureRequest, folder: Path) -> Iterator[App]:
    """With every row in the new form, or with all that may wait as they were."""
    app = made(folder)
    if request.param == "changed":
        app.open()
    else:
        app._open(lambda error: None)
        assert former(app) == 12
    yield app
    app.close()


def former(app: App) -> int:
    """How many rows have the old form."""
    rows = app.database.read(lambda t: t.system.query("_webhook_deliveries").collect())
    return sum(isinstance(row["state"], str) for row in rows)


def post(app: App, path: str, event: dict[str, Any]) -> Any:
    body, headers = testing.signed("stripe", event, SECRET, now=app.clock())
    environ = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
    environ |= {"REQUEST_METHOD": "POST", "PATH_INFO": path, "HTTP_HOST": "localhost"}
    environ |= {"CONTENT_LENGTH": str(len(body)), "wsgi.url_scheme": "http"}
    return json.loads(b"".join(app({**environ, "wsgi.input": io.BytesIO(body)}, lambda *_: None)))  # type: ignore[arg-type]


def listed(app: App) -> dict[str, Any]:
    return {row["deliveryId"]: row for row in app.run_query("_webhooks:list", limit=100)}


def test_every_state_is_what_it_was(app: App) -> None:
    rows = listed(app)
    found = {id[:12]: (row["state"], int(row["attempts"])) for id, row in rows.items()}
    assert found == {
        "evt_done": ("done", 1),
        "evt_retried": ("pending", 1),
        "evt_dead": ("dead", 1),
        "evt_kept": ("done", 0),
        "sha256:d3eaf": ("done", 0),
        "evt_lane_1": ("pending", 1),
        "evt_lane_2": ("waiting", 0),
        "evt_lane_3": ("waiting", 0),
        "evt_other": ("done", 1),
        "evt_pending": ("pending", 0),
        "evt_action": ("pending", 0),
        "evt_running": ("pending", 1),
        "evt_ending": ("dead", 1),
    }
    assert rows["evt_done"]["duplicates"] == 1
    for name in ("evt_dead", "evt_ending", "evt_retried"):
        assert rows[name]["error"].startswith(f"ValueError: {name}")
    bodies = [app.run_query("_webhooks:show", id=row["_id"])["body"] for row in rows.values()]
    assert all(bodies)
    kept = app.run_query("_webhooks:show", id=rows["evt_kept"]["_id"])
    assert json.loads(kept["body"])["text"] == "é" * 2000
    jobs = app.run_query("_jobs:list", state="pending")
    if not former(app):
        assert [row["state"]["kind"] for row in jobs] == ["pending"] * 4
    for state in ("pending", "waiting", "done", "dead"):
        found = {row["_id"] for row in app.run_query("_webhooks:list", state=state)}
        unsaid = {rows["evt_ending"]["_id"]} if former(app) else set()  # its job has failed: nothing says so
        assert found | unsaid == {row["_id"] for row in rows.values() if row["state"] == state} | unsaid
    assert all(row["state"]["kind"] for row in app.run_query("_jobs:list"))
    found = app.run_query("_webhooks:find", endpoint="/once", delivery_id="evt_dead")
    assert found == rows["evt_dead"]


def test_work_goes_on_and_nothing_is_done_twice(app: App) -> None:
    clock: Any = app.clock
    for _ in range(40):
        testing.run_jobs(app)
        clock.advance(seconds=60)
    rows = listed(app)
    assert {row["state"] for id, row in rows.items() if id not in ("evt_dead", "evt_ending")} == {"done"}
    effects = app.database.read(lambda t: [row["id"] for row in t.db.query("effects").collect()])
    assert sorted(effects) == sorted(
        ["evt_done", "evt_other", "evt_retried", "evt_pending", "evt_lane_1", "evt_lane_2", "evt_lane_3"]
    )
    assert effects.index("evt_lane_1") < effects.index("evt_lane_2") < effects.index("evt_lane_3")
    assert sorted(handled) == ["evt_action", "evt_running"]
    assert app.run_query("_jobs:list", state="pending") == []


def test_duplicates_are_known_and_retention_counts(app: App) -> None:
    for path, id in (
        ("/hook", "evt_done"),
        ("/hook", "evt_pending"),
        ("/act", "evt_running"),
        ("/once", "evt_dead"),
    ):
        assert post(app, path, {"id": id}) == {"ok": True, "duplicate": True}
    assert {row["duplicates"] for row in listed(app).values()} == {0, 1, 2}
    testing.run_jobs(app)
    assert listed(app)["evt_dead"]["state"] == "done"
    clock: Any = app.clock
    clock.advance(seconds=31 * 86_400)
    while testing.run_jobs(app) or app.run_mutation("_webhooks:prune"):
        clock.advance(seconds=31 * 86_400)
    assert listed(app) == {}
    for table in ("_webhook_bodies", "_webhook_lanes"):
        assert app.database.read(lambda t, table=table: t.system.query(table).collect()) == []


def test_what_is_stored_fits_together(app: App) -> None:
    assert check_documents(app.database) == []


def test_a_replay_runs_an_old_delivery_again(app: App) -> None:
    rows = listed(app)
    assert app.run_mutation("_webhooks:replay", id=rows["evt_done"]["_id"])
    assert app.run_mutation("_webhooks:retry_dead")["retried"] in (1, 2)
    clock: Any = app.clock
    for _ in range(9):
        testing.run_jobs(app)
        clock.advance(seconds=60)
    effects = app.database.read(lambda t: [row["id"] for row in t.db.query("effects").collect()])
    assert effects.count("evt_done") == 2 and effects.count("evt_dead") == 1


def test_a_new_delivery_of_a_lane_waits_for_the_old_ones(app: App) -> None:
    lane = {"customer": "a"}
    assert post(app, "/lanes", {"id": "evt_lane_4", **lane}) == {"ok": True}
    assert post(app, "/lanes", {"id": "evt_lane_2", **lane}) == {"ok": True, "duplicate": True}
    clock: Any = app.clock
    for _ in range(9):
        testing.run_jobs(app)
        clock.advance(seconds=60)
    effects = app.database.read(lambda t: [row["id"] for row in t.db.query("effects").collect()])
    assert [id for id in effects if "lane" in id] == [f"evt_lane_{n}" for n in (1, 2, 3, 4)]


@pytest.mark.parametrize("behind", [False, True])
def test_a_lane_goes_on_whose_old_job_had_failed(folder: Path, behind: bool) -> None:
    connection = sqlite3.connect(folder / "app.db")
    by_name = """SELECT id, json FROM documents WHERE "table" = ? AND json LIKE '%evt_lane_1%'"""
    [(id, text)] = connection.execute(by_name, ("_scheduled_functions",))
    job = json.loads(text) | {"state": {"kind": "failed", "error": "cancelled"}, "queue": "failed"}
    connection.execute("UPDATE documents SET json = ? WHERE id = ?", (json.dumps(job), id))
    key = index_key(("failed", job["dueTime"]))
    assert connection.execute("UPDATE entries SET key = ? WHERE id = ?", (key, id)).rowcount == 1
    connection.commit()
    connection.close()
    app = made(folder)
    app._open((lambda error: None) if behind else None)
    assert (listed(app)["evt_lane_1"]["state"], listed(app)["evt_lane_2"]["state"]) == ("dead", "pending")
    testing.run_jobs(app)
    testing.run_jobs(app)
    effects = app.database.read(lambda t: [row["id"] for row in t.db.query("effects").collect()])
    assert [id for id in effects if "lane" in id] == ["evt_lane_2", "evt_lane_3"]
    app.close()


def test_the_rest_is_changed_behind_the_requests(folder: Path) -> None:
    app = made(folder)
    app._open(lambda error: None)
    app.start()
    thread = app.inbox._former._thread  # type: ignore[union-attr]
    assert thread is not None
    thread.join(60)
    assert former(app) == 0
    assert check_documents(app.database) == []
    app.close()
    again = made(folder).open()
    assert again.inbox._former is None
    indexes = again.database.read(lambda t: t.catalog.system.named("_webhook_deliveries").stored)
    assert [index.name for index in indexes] == ["by_queue"]
    test_every_state_is_what_it_was(again)
    again.close()


@pytest.mark.parametrize("changed", [1, 2, 7, 13])
def test_a_process_that_is_killed_in_the_middle_leaves_the_rest(folder: Path, changed: int) -> None:
    code = f"""
import os, signal
from minihttp.inbox import upgrade
from tests.inbox.test_upgrade import made
from pathlib import Path

count, change = 0, upgrade.FormerDeliveries._change
def change_or_die(*args):
    global count
    change(*args)
    count += 1
    if count == {changed}:
        os.kill(os.getpid(), signal.SIGKILL)

upgrade.FormerDeliveries._change = change_or_die
upgrade._AT_ONCE = 1
app = made(Path({str(folder)!r}))
app._open(lambda error: None)
app.start()
app.inbox._former._thread.join()
"""
    process = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, timeout=60)
    assert process.returncode == -signal.SIGKILL, process.stderr
    app = made(folder)
    app._open(lambda error: None)
    assert former(app) == 13 - max(1, changed - 1)
    test_every_state_is_what_it_was(app)
    test_work_goes_on_and_nothing_is_done_twice(app)
    assert check_documents(app.database) == []
    app.close()
