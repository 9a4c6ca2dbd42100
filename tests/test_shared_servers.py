# SPDX-License-Identifier: MIT
"""Several servers, each a process of its own, of one app on one PostgreSQL, as their clients see them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live import PATIENCE_SECONDS, ROOT, Process, Reply
from tests.postgresql_server import postgresql, schema_for

NODE_MODULES = Path(os.environ.get("CONVEX_NODE_MODULES", ROOT / "node_modules"))
APP = """
from minihttp import App, HttpRouter, mutation, query, v

@mutation(args={"n": v.number()})
def add(ctx, n):
    return ctx.db.insert("items", {"n": n})

@query()
def numbers(ctx):
    return [row["n"] for row in ctx.db.query("items").collect()]

app = App(HttpRouter(), modules=[__name__])
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Starts one more server of an app, whose database is the same."""
    (tmp_path / "app.py").write_text(APP)
    place = ("--data", f"postgresql:{postgresql().location(schema_for(tmp_path))}")
    files = ("--files", f"filesystem:{tmp_path}/files")
    processes: list[Process] = []

    def start(*options: str) -> Process:
        data = tmp_path / f"server{len(processes)}"
        processes.append(Process(tmp_path / "app.py", data, *place, *files, *options))
        return processes[-1]

    yield start
    for process in processes:
        if process.popen.poll() is None:
            process.kill()


def call(process: Process, kind: str, name: str, **body: Any) -> Reply:
    return process.client.post(f"/api/{kind}", {"path": f"app:{name}", "args": {}, **body})


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
    end = time.monotonic() + PATIENCE_SECONDS
    while at(second, ts) != "SnapshotTooOld":  # the server has to see that the line is closed
        assert time.monotonic() < end
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
