# SPDX-License-Identifier: MIT
"""A job that kills the process is failed after three crashes; those that ran beside it are not."""

from __future__ import annotations

import time
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from tests.live import PATIENCE_SECONDS, ROOT, Process

APP = ROOT / "tests" / "apps" / "killers.py"
_MAX_STARTS = 8


def state_of(server: Process) -> Any:
    reply = server.client.post("/api/query", {"path": "killers:state", "args": {}})
    return reply.json()["value"]


def all_ended(server: Process) -> Any:
    """The state once no job is pending any more, or None when the process has died before."""
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        try:
            state = state_of(server)
        except (OSError, HTTPException):
            server.popen.wait(PATIENCE_SECONDS)
            return None
        if all(kind in ("success", "failed") for _, kind, _ in state["jobs"]):
            return state
        time.sleep(0.05)
    raise AssertionError(state)


@pytest.mark.sqlite  # counts crashes by the notes beside its file
@pytest.mark.parametrize("way", ["exit", "kill", "segfault", "on_complete"])
def test_a_job_that_kills_the_process(tmp_path: Path, way: str) -> None:
    data = tmp_path / "data"
    server = Process(APP, data)
    with suppress(OSError, HTTPException):  # it may die before it answers
        server.client.post("/api/mutation", {"path": "killers:schedule", "args": {"way": way}})
    starts, state = 1, all_ended(server)
    while state is None:
        server.kill()
        assert starts < _MAX_STARTS
        try:
            server = Process(APP, data)
        except AssertionError:  # it died before it said that it listens
            starts += 1
            continue
        starts, state = starts + 1, all_ended(server)
    said = server.output()
    assert server.terminate() == 0
    assert 4 <= starts <= 5  # three crashes; the first may have been before the note
    name = "killing_end" if way == "on_complete" else "killer"
    ends = {(job, kind) for job, kind, _ in state["jobs"]}
    assert ends - {("nothing", "success")} == {("innocent", "success"), (name, "failed")}
    assert state["marks"] == [f"innocent {number}" for number in range(6)]
    [attempts] = [count for job, _, count in state["jobs"] if job == name]
    assert attempts >= 3
    assert said.count("failed: the process ended 3 times while it ran") == 1
