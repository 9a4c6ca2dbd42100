# SPDX-License-Identifier: MIT
"""Several servers, each a process of its own, of one app on one PostgreSQL, as their clients see them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from minihttp.webhooks import github
from tests.contracts.documents import together
from tests.live import PATIENCE_SECONDS, ROOT, Process, Reply
from tests.postgresql_server import postgresql, schema_for

NODE_MODULES = Path(os.environ.get("CONVEX_NODE_MODULES", ROOT / "node_modules"))
SECRET = "a secret of sixteen bytes"
APP = """
import os, pathlib, time
from minihttp import App, HttpRouter, RateLimit, Schema, Table
from minihttp import internal_action, internal_mutation, mutation, query, v
from minihttp.webhooks import github

http = HttpRouter()
limit = RateLimit(rate=10, period_seconds=1)
folder = pathlib.Path(__file__).parent

@mutation(args={"n": v.number()})
def add(ctx, n):
    return ctx.db.insert("items", {"n": n})

@mutation(args={"id": v.id("items")})
def change(ctx, id):
    ctx.db.patch(id, {"n": -ctx.db.get(id)["n"]})

@query()
def numbers(ctx):
    return [row["n"] for row in ctx.db.query("items").collect()]

@mutation()
def take(ctx):
    return limit.take(ctx, "key").ok

@internal_action()
def act(ctx):
    with open(folder / "acted", "a") as acted:
        acted.write(f"{os.getpid()}\\n")
    while not (folder / "may_end").exists():
        time.sleep(0.05)

@mutation()
def plan(ctx):
    return ctx.scheduler.run_after(0, act)

@query(args={"id": v.string()})
def state(ctx, id):
    return ctx.db.system.get(id)["state"]["kind"]

@internal_mutation(args={"delivery": v.any()})
def handle(ctx, delivery):
    ctx.db.insert("items", {"n": delivery["payload"]["n"]})

http.webhook("/hook", github.provider(secret="SECRET"), handler=handle, refused_kept=3)
ITEMS = Table({"n": v.number()})
app = App(http, modules=[__name__], schema=Schema(items=ITEMS))
"""
NEW_APP = (
    APP
    + """
@query()
def in_order(ctx):
    return [row["n"] for row in ctx.db.query("items").with_index("by_n").collect()]

ITEMS = Table({"n": v.number()}).index("by_n", ["n"])
app = App(http, modules=[__name__], schema=Schema(items=ITEMS))
"""
)
WORK = """
import os, pathlib, time
from minihttp import App, Crons, HttpRouter, internal_action, internal_mutation, mutation, query

folder = pathlib.Path(__file__).parent

def note(word):
    with open(folder / "worked", "a") as worked:
        worked.write(f"{word} {os.getpid()}\\n")

@internal_action()
def work(ctx):
    note("begin")
    time.sleep(0.1)
    note("end")

@internal_mutation()
def tick(ctx): ...

@mutation()
def plan(ctx):
    pool = ctx.scheduler.with_options(pool="two", max_parallel=2)
    return [pool.run_after(0, work) for _ in range(30)]

@query()
def jobs(ctx):
    rows = ctx.db.system.query("_scheduled_functions").collect()
    return [[row["_id"], row["name"], row["state"]["kind"], row["scheduledTime"]] for row in rows]

crons = Crons()
crons.interval("tick", seconds=1, function=tick)
app = App(HttpRouter(), modules=[__name__], crons=crons)
"""
AHEAD = """
import time
real = time.time
time.time = lambda: real() + {seconds}
"""


@pytest.fixture
def location(tmp_path: Path) -> str:
    return postgresql().location(schema_for(tmp_path))


@pytest.fixture
def start(tmp_path: Path, location: str) -> Iterator[Callable[..., Process]]:
    """Starts one more server of an app, whose database is the same, maybe on a machine with another time."""
    place = ("--data", f"postgresql:{location}", "--files", f"filesystem:{tmp_path}/files")
    processes: list[Process] = []

    def start(source: str = APP, ahead_seconds: float = 0.0, **settings: str) -> Process:
        machine = tmp_path / f"machine{len(processes)}"
        machine.mkdir()
        (machine / "sitecustomize.py").write_text(AHEAD.format(seconds=ahead_seconds))
        target = tmp_path / ("app.py" if source is APP else "new.py")
        target.write_text(source.replace("(__file__)", f"({str(target)!r})"))
        env = {"PYTHONPATH": str(machine), "SECRET": SECRET, **settings}
        processes.append(Process(target, machine / "data", *place, env=env))
        return processes[-1]

    yield start
    for process in processes:
        if process.popen.poll() is None:
            process.kill()


def call(process: Process, kind: str, name: str, module: str = "app", **body: Any) -> Reply:
    return process.client.post(f"/api/{kind}", {"path": f"{module}:{name}", "args": {}, **body})


def value(process: Process, kind: str, name: str, module: str = "app", **args: Any) -> Any:
    reply = call(process, kind, name, module, args=args)
    assert reply.status == 200, reply.text
    return reply.json()["value"]


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end
        threading.Event().wait(0.05)


def test_a_snapshot_is_read_in_every_process_and_goes_with_its_own(start: Callable[..., Process]) -> None:
    first, second = start(), start()

    def at(process: Process, ts: str) -> Any:
        reply = call(process, "query_at_ts", "numbers", ts=ts).json()
        return reply["value"] if "value" in reply else reply["code"]

    assert call(first, "mutation", "add", args={"n": 1}).status == 200
    ts = first.client.post("/api/query_ts").json()["ts"]
    assert call(second, "mutation", "add", args={"n": 2}).status == 200
    later = second.client.post("/api/query_ts").json()["ts"]
    assert [at(process, ts) for process in (first, second, first, second)] == [[1]] * 4
    assert [at(process, later) for process in (first, second)] == [[1, 2]] * 2
    first.kill()
    wait_until(lambda: at(second, ts) == "SnapshotTooOld")  # the server has to see that the line is closed
    assert at(second, later) == [1, 2]


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.skipif(not (NODE_MODULES / "convex").is_dir(), reason="npm install convex (CONVEX_NODE_MODULES)")
def test_the_npm_client_reads_one_state_through_two_servers(start: Callable[..., Process]) -> None:
    given = {"urls": [start().client.url, start().client.url], "modules": str(NODE_MODULES)}
    program = Path(__file__).with_name("consistent_judge.mjs")
    judged = subprocess.run(
        ["node", str(program)], input=json.dumps(given), capture_output=True, text=True, timeout=60
    )
    assert judged.returncode == 0, judged.stderr
    assert json.loads(judged.stdout) == {"seen": [[1], [1], [1], [1, 2]]}


@pytest.mark.parametrize("apart_seconds", [0.05, 3.0])
def test_machines_whose_clocks_differ(
    start: Callable[..., Process], tmp_path: Path, apart_seconds: float
) -> None:
    lease = {"MINIHTTP_LIMITS_JOB_LEASE_SECONDS": "3"}
    servers = [start(**lease), start(ahead_seconds=apart_seconds, **lease)]
    job = value(servers[0], "mutation", "plan")
    wait_until((tmp_path / "acted").exists)
    begun, granted = time.monotonic(), [0, 0]

    def take(n: int) -> None:
        while time.monotonic() < begun + 5:  # longer than a lease
            granted[n] += value(servers[n], "mutation", "take")

    together([lambda n=n: take(n) for n in range(2)])
    elapsed = time.monotonic() - begun
    assert 20 <= sum(granted) <= 10 + 10 * elapsed + 1
    assert [value(server, "query", "state", id=job) for server in servers] == ["inProgress"] * 2
    (tmp_path / "may_end").touch()
    wait_until(lambda: value(servers[1], "query", "state", id=job) == "success")
    assert len((tmp_path / "acted").read_text().split()) == 1


def test_an_old_and_a_new_version_write_at_the_same_time(start: Callable[..., Process]) -> None:
    old = start()
    for n in range(1, 50):
        value(old, "mutation", "add", n=n)
    stop, written = threading.Event(), [0]

    def write(server: Process, module: str, first: int) -> None:
        n = first
        while not stop.is_set():
            id = value(server, "mutation", "add", module, n=n)
            if n % 2:
                value(server, "mutation", "change", module, id=id)
            n += 1
        written[0] += n - first

    def deploy() -> None:
        try:
            new = start(NEW_APP)
            servers.append(new)
            until = time.monotonic() + 5
            together([lambda: write_until(new, until)])
        finally:
            stop.set()

    def write_until(server: Process, until: float) -> None:
        n = 1_000_000
        while time.monotonic() < until:
            value(server, "mutation", "add", "new", n=n)
            n += 1
        written[0] += n - 1_000_000

    servers: list[Process] = [old]
    together([deploy, lambda: write(old, "app", 1_000), lambda: write(old, "app", 10_000)])
    new = servers[1]
    everything = sorted(value(new, "query", "numbers", "new"))
    assert sorted(value(old, "query", "numbers")) == everything
    assert value(new, "query", "in_order", "new") == everything
    assert len(everything) == 49 + written[0]


def test_deliveries_that_come_to_every_server_at_once(start: Callable[..., Process], location: str) -> None:
    servers = [start(), start()]
    statuses: list[int] = []

    def deliver(server: Process, n: int, secret: str) -> None:
        body = json.dumps({"n": n}).encode()
        headers = github.sign(body, secret, id=str(n), event_type="push")
        statuses.append(server.client.request("POST", "/hook", body, headers).status)

    for server in servers * 3:
        deliver(server, 0, "not the secret of these two")
    together(
        [lambda server=server: [deliver(server, n, SECRET) for n in range(20)] for server in servers * 2]
    )
    assert (statuses.count(200), len(statuses)) == (80, 86)
    wait_until(lambda: len(value(servers[0], "query", "numbers")) >= 20)
    assert sorted(value(servers[1], "query", "numbers")) == list(range(20)), "each once"
    schema = location.rpartition("%3D")[2]
    refused = f'SELECT count(*) FROM "{schema}".documents WHERE "table" = \'_webhook_refusals\''
    assert postgresql().execute(refused) == [(3,)], "refused_kept counts those of both"


def test_limits_crons_and_maintenance_over_all_processes_one_of_which_is_killed(
    start: Callable[..., Process], tmp_path: Path, location: str
) -> None:
    settings = {"MINIHTTP_LIMITS_JOB_LEASE_SECONDS": "3", "MINIHTTP_LIMITS_JOB_RESULT_SECONDS": "10"}
    schema = location.rpartition("%3D")[2]
    leases = f"SELECT json::json->>'owner' FROM \"{schema}\".documents WHERE \"table\" = '_leases'"
    seen: dict[str, tuple[str, str, float]] = {}

    def owner() -> str | None:
        rows = postgresql().execute(f"{leases} AND json::json->>'name' = 'expired'")
        return rows[0][0] if rows else None

    def ticks() -> Counter[float]:
        return Counter(due for name, _, due in seen.values() if name.endswith(":tick"))

    def look() -> dict[str, str]:
        rows = value(servers[-1], "query", "jobs", "new")
        seen.update((id, (name, kind, due)) for id, name, kind, due in rows)
        return {id: kind for id, (_, kind, _) in seen.items()}

    servers = [start(WORK, **settings)]
    wait_until(lambda: owner() is not None)
    first_owner = owner()  # the only one that there is
    servers += [start(WORK, **settings) for _ in range(2)]
    planned = value(servers[-1], "mutation", "plan", "new")
    worked = tmp_path / "worked"
    wait_until(lambda: worked.exists() and worked.read_text().count("begin") > 5 and look() != {})
    servers[0].kill()
    with open(worked, "a") as notes:
        notes.write(f"killed {servers[0].popen.pid}\n")
    wait_until(lambda: {look()[id] for id in planned} <= {"success", "failed"})
    wait_until(lambda: len(ticks()) > 3 or not look())
    wait_until(lambda: owner() != first_owner)
    gone = set(planned)
    wait_until(lambda: not gone & {row[0] for row in value(servers[-1], "query", "jobs", "new")})

    running: list[str] = []
    most = 0
    for word, pid in (line.split() for line in worked.read_text().splitlines()):
        if word == "begin":
            running.append(pid)
        elif word == "end":
            running.remove(pid)
        else:
            running = [other for other in running if other != pid]
        most = max(most, len(running))
    assert (most, running) == (2, [])
    failed = [seen[id] for id in planned if seen[id][1] == "failed"]
    assert len(failed) <= 2 and worked.read_text().count("begin") <= 30, "each action once"
    assert len(ticks()) > 3 and max(ticks().values()) == 1, "each run of a cron once"
