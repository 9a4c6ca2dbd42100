# SPDX-License-Identifier: MIT
"""The inbox under load and SIGKILL: 64 senders that retry as providers do, a server killed ten times."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter
from http.client import HTTPException
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import pytest

from minihttp import App, testing
from minihttp.webhooks import github, stripe
from tests.jobs.world import PATIENCE_SECONDS
from tests.live import Client, Process

SHARED_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
SENDERS = 64
KILLS = 10
ENVIRON = {
    "STRIPE_WEBHOOK_SECRET": "whsec_of_the_stripe_account",
    "GITHUB_WEBHOOK_SECRET": "the secret of the hub",
}
APP = """
from minihttp import App, HttpRouter, Schema, Table, internal_action, internal_mutation, v
from minihttp.webhooks import github, stripe
http = HttpRouter()
row = {"id": v.string()}
schema = Schema(effects=Table(row).index("by_delivery", ["id"]), calls=Table(row))

@internal_mutation
def on_event(ctx, delivery):
    ctx.db.insert("effects", {"id": delivery["id"]})

@internal_action  # runs at least once, so what it does is done once by id
def call_out(ctx, delivery):
    ctx.run_mutation(note, id=delivery["id"])
    ctx.run_mutation(note_once, id=delivery["id"])

@internal_mutation
def note(ctx, id):
    ctx.db.insert("calls", {"id": id})

@internal_mutation
def note_once(ctx, id):
    if ctx.db.query("effects").with_index("by_delivery", lambda q: q.eq("id", id)).first() is None:
        ctx.db.insert("effects", {"id": id})

http.webhook("/github", github.provider(secret="GITHUB_WEBHOOK_SECRET"), handler=on_event)
http.webhook("/stripe", stripe.provider(secret="STRIPE_WEBHOOK_SECRET"), handler=call_out, ordered_by="type")
app = App(http, schema=schema, modules=[__name__])
"""
Sent = tuple[str, bytes, str, str]  # path, body, delivery id, event type


def deliveries() -> list[Sent]:
    """All real payloads; without them, as many made-up ones."""
    if not SHARED_DATA.is_dir():
        return [_stripe("customer", {"number": number}, number) for number in range(500)]
    found: list[Sent] = []
    for kind in json.loads((SHARED_DATA / "github_payloads.json").read_bytes()):
        for payload in kind["examples"]:
            body = json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode()
            event_type = kind["name"] if kind["name"] != "ping" else "zen"  # a ping is answered, not handled
            found.append(("/github", body, f"guid-{len(found)}", event_type))
    resources = json.loads((SHARED_DATA / "stripe_fixtures.json").read_bytes())["resources"]
    return found + [
        _stripe(name, resource, number) for number, (name, resource) in enumerate(resources.items())
    ]


def _stripe(name: str, resource: Any, number: int) -> Sent:
    id = f"evt_{number}"
    event = {"id": id, "object": "event", "type": f"{name}.updated", "data": {"object": resource}}
    return "/stripe", json.dumps(event, indent=2).encode(), id, event["type"]


class Servers:
    """The server that runs now; after each kill the next one, on the same data."""

    def __init__(self, target: Path, data: Path) -> None:
        self._target, self._data = target, data
        self._changed = threading.Condition()
        self._generation = 0
        self._acknowledged = 0
        self._start()

    def _start(self) -> None:
        self.process = Process(self._target, self._data, env=ENVIRON)

    def current(self) -> tuple[int, Client]:
        with self._changed:
            return self._generation, self.process.client

    def acknowledge(self) -> None:
        with self._changed:
            self._acknowledged += 1
            self._changed.notify_all()

    def wait_for_another_than(self, generation: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self._generation != generation, PATIENCE_SECONDS)

    def kill_after(self, acknowledged: int) -> None:
        """SIGKILL once so many deliveries have been acknowledged, and start the next one."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._acknowledged >= acknowledged, PATIENCE_SECONDS)
            self.process.kill()
            self._start()
            self._generation += 1
            self._changed.notify_all()


def send(servers: Servers, sent: Sent) -> None:
    """Until a 200: a provider tries again after anything else, Stripe under a new timestamp."""
    path, body, id, event_type = sent
    while True:
        generation, client = servers.current()
        if path == "/stripe":
            headers = stripe.sign(body, ENVIRON["STRIPE_WEBHOOK_SECRET"])
        else:
            headers = github.sign(body, ENVIRON["GITHUB_WEBHOOK_SECRET"], id=id, event_type=event_type)
        try:
            reply = client.post(path, body, headers)
        except (OSError, HTTPException):
            servers.wait_for_another_than(generation)
            continue
        assert reply.status == 200, reply.text
        servers.acknowledge()
        return


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
@pytest.mark.sqlite  # a server of its own writes what this process reads
def test_ten_kills_lose_nothing_and_do_nothing_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "crash_app.py").write_text(APP)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    servers = Servers(tmp_path / "crash_app.py", tmp_path / "data")
    waiting: SimpleQueue[Sent] = SimpleQueue()
    all_sent = deliveries()
    for sent in all_sent:
        waiting.put(sent)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            while True:
                send(servers, waiting.get_nowait())
        except Empty:
            return
        except BaseException as error:
            failures.append(error)

    senders = [threading.Thread(target=work) for _ in range(SENDERS)]
    for sender in senders:
        sender.start()
    for kill in range(KILLS):
        servers.kill_after((kill + 1) * len(all_sent) // (KILLS + 2))
    for sender in senders:
        sender.join()
    servers.process.kill()  # an eleventh time, with jobs under way
    assert failures == []

    clock = testing.Clock(time.time())
    app = App.from_target("crash_app").configure(data=str(tmp_path / "data"), workers=0, clock=clock)
    with app:
        states = {"pending"}
        while states & {"pending", "waiting"}:
            testing.run_jobs(app)
            clock.advance(60)  # actions that were interrupted wait before they are tried again
            states = {row["state"] for row in app.run_query("_webhooks:list", limit=10_000)}
        effects, calls = (
            app.database.read(lambda transaction, table=table: transaction.db.query(table).collect())
            for table in ("effects", "calls")
        )
        kept = app.run_query("_webhooks:list", limit=10_000)
    assert Counter(row["id"] for row in effects) == Counter(id for _, _, id, _ in all_sent)
    assert {row["id"] for row in calls} == {id for path, _, id, _ in all_sent if path == "/stripe"}
    assert Counter(row["state"] for row in kept) == {"done": len(all_sent)}
