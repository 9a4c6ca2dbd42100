# SPDX-License-Identifier: MIT
"""Jobs put together: start and stop, and how many workers there are."""

from __future__ import annotations

import threading
import time

import pytest

from minihttp.errors import ConfigurationError
from tests.jobs.at_work import gate_action, log, logging_mutation

from .world import PATIENCE_SECONDS

__all__ = ["log"]


def test_due_work_does_not_wait_until_all_that_expired_is_removed(make_world, log) -> None:
    world = make_world()
    note = logging_mutation(world, log)
    endless = lambda transaction: [] if transaction.writable else ["there is always another row"]
    world.jobs.expired.append(endless)
    world.scheduler.run_after(0, note, n=1)
    world.jobs.start()
    assert log.wait_for(1) == [1]


def test_stop_waits_for_what_runs_and_takes_nothing_more(make_world, log, caplog) -> None:
    world, gate = make_world(workers=2), threading.Event()
    wait = gate_action(world, log, gate)
    first = world.scheduler.run_after(0, wait)
    second = world.scheduler.run_after(0, wait)
    world.jobs.start()
    log.wait_for(1)
    assert world.jobs.stop(0.01) is False, "it still runs"
    assert "jobs: some still run after 0.01 s" in caplog.text
    gate.set()
    for _ in range(PATIENCE_SECONDS * 100):
        if world.state(first) == "success":
            break
        time.sleep(0.01)
    assert (world.state(first), world.state(second)) == ("success", "pending")


def test_start_and_stop_again(make_world, log) -> None:
    world = make_world()
    note = logging_mutation(world, log)
    world.jobs.start()
    world.jobs.start()
    assert world.jobs.stop(PATIENCE_SECONDS)
    assert world.jobs.stop(PATIENCE_SECONDS)
    world.scheduler.run_after(0, note)
    world.jobs.start()
    log.wait_for(1)


def test_without_workers_nothing_runs_by_itself(make_world, log) -> None:
    world = make_world(workers=0)
    before = set(threading.enumerate())
    world.jobs.start()
    assert set(threading.enumerate()) <= before
    world.scheduler.run_after(0, logging_mutation(world, log))
    assert log.entries == []
    assert world.jobs.run_due() == 1


@pytest.mark.parametrize("workers", [-1, 1.5, True, "4", None])
def test_workers_must_be_a_number(world, workers) -> None:
    with pytest.raises(ConfigurationError, match="workers"):
        world.make_jobs(workers=workers)
