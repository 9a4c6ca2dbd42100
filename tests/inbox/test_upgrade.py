# SPDX-License-Identifier: MIT
"""A data directory that the version before made, with a delivery in each of its states."""

from __future__ import annotations

import io
import json
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from minihttp import App, HttpRouter, internal_action, internal_mutation, testing
from minihttp.data.consistency import check_documents
from minihttp.webhooks import stripe

DUMP = Path(__file__).resolve().parents[1] / "data" / "inbox_before_one_row.sql"
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


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    connection = sqlite3.connect(tmp_path / "app.db")
    connection.executescript(DUMP.read_text("utf-8"))
    connection.close()
    http = HttpRouter()
    provider = stripe.provider(secret="STRIPE")
    for path, handler in (("/hook", on_event), ("/once", on_event), ("/act", act), ("/kept", None)):
        http.webhook(path, provider, handler=handler)
    http.webhook("/lanes", provider, handler=on_event, ordered_by="customer")
    clock = testing.Clock(1_700_000_003)
    app = App(http, modules=[sys.modules[__name__]], data=str(tmp_path), workers=0, clock=clock)
    handled.clear()
    with app.configure(environment={"STRIPE": SECRET}):
        yield app


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
    assert [row["state"]["kind"] for row in app.run_query("_jobs:list", state="pending")] == ["pending"] * 4


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
    body, headers = testing.signed("stripe", {"id": "evt_dead"}, SECRET, now=app.clock())
    environ = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
    environ |= {"REQUEST_METHOD": "POST", "PATH_INFO": "/once", "HTTP_HOST": "localhost"}
    environ |= {"CONTENT_LENGTH": str(len(body)), "wsgi.url_scheme": "http"}
    answer = b"".join(app({**environ, "wsgi.input": io.BytesIO(body)}, lambda *_: None))  # type: ignore[arg-type]
    assert json.loads(answer) == {"ok": True, "duplicate": True}
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
