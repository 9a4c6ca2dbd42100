# SPDX-License-Identifier: MIT
"""The rows of jobs: which are due, which have gone, and how they are listed."""

from __future__ import annotations

import threading

import pytest

from minihttp.jobs.crash_notes import CrashNotes
from minihttp.jobs.executor import Executor

from .world import PATIENCE_SECONDS, World, raising


@pytest.mark.parametrize("kind", ["mutation", "action"])
def test_only_what_is_pending_and_due_is_run(world, kind) -> None:
    """A candidate may have changed since it was read: the claim decides."""
    function = raising(world, kind)
    executor = Executor(world.jobs.store, world.runner, lambda seconds: True, CrashNotes(None), lambda: False)
    early, canceled, running = (world.scheduler.run_after(1, function) for _ in range(3))
    world.scheduler.cancel(canceled)
    store = world.jobs.store
    world.database.write(
        lambda transaction: store.claim(transaction, store.find(transaction, running), "other")
    )
    assert executor.run(early, function.name) is False
    world.now += 30 * 86_400
    assert executor.run(canceled, function.name) is False
    assert executor.run(running, function.name) is False, "even if its lease has ended"
    assert executor.run(early[:-15] + "0" * 15, function.name) is False
    assert executor.run(early, function.name) is True
    assert executor.run(early, function.name) is False
    assert len(world.seen) == 1


def test_ended_jobs_are_removed_after_their_time(world) -> None:
    function = raising(world, "mutation", None, ValueError())
    ids = [world.scheduler.run_after(0, function) for _ in range(3)]
    pending = world.scheduler.run_after(30 * 86_400, function)
    world.scheduler.cancel(ids[2])
    world.run_all()
    assert sorted(map(world.state, ids)) == ["canceled", "failed", "success"]
    world.now += 7 * 86_400 - 1
    world.run_all()
    assert all(map(world.job, ids))
    world.now += 1
    world.run_all()
    assert [world.job(job_id) for job_id in ids] == [None, None, None]
    assert world.state(pending) == "pending"
    world.scheduler.cancel(ids[0])  # what is gone has ended


def test_listing_by_state(world) -> None:
    def note(ctx):
        return None

    def fail(ctx):
        raise ValueError

    note = world.mutation(note)
    late, soon = (
        world.scheduler.with_options(pool=pool).run_after(n, note) for n, pool in ((20, "a"), (10, "b"))
    )
    world.mutation(fail)
    failed = [world.scheduler.run_after(0, "work:fail") for _ in range(2)]
    world.run_all()

    def listed(state, limit=9):
        return [
            row["_id"]
            for row in world.database.read(
                lambda transaction: world.jobs.store.by_state(transaction, state, limit)
            )
        ]

    assert listed("pending") == [soon, late]
    assert listed("pending", 1) == [soon]
    assert listed("failed") == failed[::-1]
    assert listed("failed", 1) == failed[1:]
    assert listed("success") == listed("canceled") == listed("inProgress") == []
    assert listed(None) == [*failed[::-1], soon, late]


def test_a_job_is_either_canceled_or_run(make_world) -> None:
    """Cancels race with the workers: what was canceled has no effect, what had an effect was not canceled."""
    world = make_world(workers=3)

    def count(ctx, n):
        ctx.db.insert("counts", {"n": n})

    def spread(ctx):
        return [ctx.scheduler.run_after(0, "work:count", n=n) for n in range(300)]

    world.mutation(count)
    ids = world.runner.run(world.mutation(spread), {})
    cancelers = [threading.Thread(target=_cancel, args=(world, ids[n::3][::-1])) for n in range(3)]
    world.jobs.start()
    for canceler in cancelers:
        canceler.start()
    for canceler in cancelers:
        canceler.join()
    assert world.jobs.stop(PATIENCE_SECONDS)
    world.run_all()
    states = [world.state(job_id) for job_id in ids]
    assert set(states) <= {"success", "canceled"}
    ran = sorted(row["n"] for row in world.rows("counts"))
    assert ran == [n for n, state in enumerate(states) if state == "success"]


def _cancel(world: World, ids: list[str]) -> None:
    for job_id in ids:
        world.scheduler.cancel(job_id)
