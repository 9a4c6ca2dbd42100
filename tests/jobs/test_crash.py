# SPDX-License-Identifier: MIT
"""SIGKILL at random moments while 1,000 jobs are due, again and again on one database.

Each mutation takes effect exactly once, with what it scheduled; each action runs at most once and is never
left `inProgress`; one that asked for retries runs at least once.
"""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from minihttp.jobs.retry import RetryPolicy

from .crash_child import make_world

ROUNDS = 30
ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")


def spread(world, first: int, count: int) -> None:
    """Schedule `count` jobs, all due: six mutations for three actions and one action with retries."""

    def write(transaction) -> None:
        plain = world.jobs.scheduler(transaction)
        retried = plain.with_options(retry=RetryPolicy(100, 0, 1, 0))
        for n in range(first, first + count):
            kind = n % 10
            scheduler = retried if kind == 9 else plain
            scheduler.run_after(0, "work:count" if kind < 6 else "work:act", n=n)

    world.database.write(write)


def live_and_die(database: Path, log: Path, seconds: float) -> None:
    command = [sys.executable, "-m", "tests.jobs.crash_child", str(database), str(log)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stderr is not None
        assert child.stdout.readline() == b"running\n", child.stderr.read().decode()
        threading.Event().wait(seconds)
        child.send_signal(signal.SIGKILL)
        child.communicate()


def test_kill_nine(tmp_path: Path) -> None:
    database, log = tmp_path / "app.db", tmp_path / "acted.log"
    moments, scheduled = random.Random(9), 0
    for round_number in range(ROUNDS):
        if round_number in (0, 10, 20, ROUNDS - 1):
            world = make_world(str(database), str(log))
            spread(world, scheduled, 1_000)
            scheduled += 1_000
            world.close()
        live_and_die(database, log, moments.uniform(0, 0.12))

    world = make_world(str(database), str(log))
    world.jobs.run_due()  # what was running when the last process died
    states = Counter((row["name"], row["state"]["kind"]) for row in world.rows("_scheduled_functions"))
    assert ("work:act", "inProgress") not in states
    killed_in_time = any(kind == "pending" for _, kind in states) or ("work:act", "failed") in states
    world.run_all()
    rows = world.rows("_scheduled_functions")
    counts = Counter(row["n"] for row in world.rows("counts"))
    follows = Counter(row["n"] for row in world.rows("follows"))
    world.close()

    acted = Counter(map(int, log.read_text().split()))
    numbers = range(scheduled)
    assert counts == Counter(n for n in numbers if n % 10 < 6)
    assert follows == Counter(n for n in numbers if n % 10 == 0)
    for row in rows:
        n, kind, retried = row["args"][0]["n"], row["state"]["kind"], "retry" in row
        if row["name"] != "work:act" or retried:
            assert kind == "success", row
        if row["name"] == "work:act":
            assert acted[n] >= 1 if retried else acted[n] <= 1, row
            assert acted[n] or kind == "failed", row
            assert kind == "success" or row["state"]["error"].startswith("Interrupted: "), row
    assert killed_in_time, "the machine was so fast that nothing was interrupted: schedule more jobs"
    with sqlite3.connect(database) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()
