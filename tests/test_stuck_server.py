# SPDX-License-Identifier: MIT
"""A real server in which C code does not end: others are told so, probes show it, and it can be stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live import PATIENCE_SECONDS, ROOT, Process

APP = ROOT / "tests" / "apps" / "endless.py"
LIMITS = {
    "MINIHTTP_LIMITS_QUERY_SECONDS": "0.5",
    "MINIHTTP_LIMITS_MUTATION_SECONDS": "0.5",
    "MINIHTTP_LIMITS_ACTION_SECONDS": "0.5",
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Process]:
    process = Process(APP, tmp_path / "data", "--grace", "1", "--threads", "4", "--metrics", env=LIMITS)
    yield process
    process.kill()


def eventually(holds: Callable[[], Any]) -> Any:
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        if found := holds():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not come to hold")


def in_background(run: Callable[[], Any]) -> None:
    def quietly() -> None:
        try:
            run()
        except OSError:
            pass  # the server has gone

    threading.Thread(target=quietly, daemon=True).start()


def call(server: Process, kind: str, name: str, **args: Any) -> Any:
    return server.client.post(f"/api/{kind}", {"path": f"endless:{name}", "args": args})


def test_a_mutation_stuck_in_c_code(server: Process) -> None:
    assert server.client.get("/_/ready").status == 200
    in_background(lambda: call(server, "mutation", "endless_mutation", way="wait_in_c"))
    eventually(lambda: server.client.get("/_/ready").status == 503)
    refused = call(server, "mutation", "mark")
    assert refused.status == 503
    assert refused.headers["retry-after"] == "5"
    assert server.client.get("/_/health").status == 200
    assert call(server, "query", "marks").json()["value"] == []
    metrics = server.client.get("/_/metrics").text
    assert "minihttp_stuck_calls 1" in metrics
    assert "minihttp_server_threads 4" in metrics
    lines = [line for line in server.output().splitlines() if "cannot be ended" in line]
    assert len(lines) == 1
    assert "endless:endless_mutation" in lines[0]
    assert "wait_in_c" in lines[0]
    assert server.terminate() == 0


def test_handlers_stuck_in_c_code_take_all_threads(server: Process) -> None:
    for _ in range(4):
        in_background(lambda: server.client.get("/endless/wait_in_c"))
    reply = eventually(lambda: (r := server.client.get("/_/ready")).status == 503 and r)
    assert reply.json()["status"] == "a call does not end"
    assert server.client.get("/_/health").status == 200
    assert server.terminate() == 0


def test_a_regular_expression_that_backtracks_for_ever_ends_the_process(tmp_path: Path) -> None:
    env = {**LIMITS, "MINIHTTP_LIMITS_FROZEN_CPU_SECONDS": "1"}
    server = Process(APP, tmp_path / "data", env=env)
    in_background(lambda: server.client.get("/endless/backtrack"))
    assert server.popen.wait(PATIENCE_SECONDS) != 0
    assert "in backtrack" in server.output()
    server.kill()
