# SPDX-License-Identifier: MIT
"""The worker threads: at once, in order, side by side, within limits, through faults and clock jumps."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections import Counter

import pytest

from minihttp.errors import StorageUnavailableError
from minihttp.jobs.store import new_row
from storage_backends.sqlite import DocumentBackend
from tests.jobs.at_work import gate_action, log, logging_mutation

from .world import PATIENCE_SECONDS

__all__ = ["log"]


def test_new_work_is_run_at_once(make_world, log) -> None:
    world = make_world(clock=time.time)
    note = logging_mutation(world, log)
    world.jobs.start()
    deadline = time.monotonic() + PATIENCE_SECONDS
    for n in range(100):  # at one look a second, which is what is left without being woken, it takes longer
        world.scheduler.run_after(0, note, n=n)
        log.wait_for(n + 1)
    assert time.monotonic() < deadline
    world.scheduler.run_after(0.05, note, n=100)
    assert log.wait_for(101) == [*range(101)]


def test_work_from_before_the_start_is_run_in_due_order(make_world, log) -> None:
    world = make_world(workers=1)
    note = logging_mutation(world, log)
    for n in (5, 3, 9, 1):
        world.scheduler.run_at(world.now - n, note, n=n)
    world.jobs.start()
    assert log.wait_for(4) == [9, 5, 3, 1]


def test_many_jobs_run_once_each(make_world, log) -> None:
    world = make_world(workers=4)
    note = logging_mutation(world, log)

    def spread(ctx, first):
        for n in range(first, first + 1_000):
            ctx.scheduler.run_after(0, note, n=n)

    spread = world.mutation(spread)
    for first in (0, 1_000):
        world.runner.run(spread, {"first": first})
    world.jobs.start()
    assert Counter(log.wait_for(2_000)) == Counter(range(2_000))
    assert world.jobs.stop(PATIENCE_SECONDS)
    states = Counter(row["state"]["kind"] for row in world.rows("_scheduled_functions"))
    assert states == {"success": 2_000}


def test_two_processes_never_take_one_job(make_world) -> None:
    """Two workers on one database, as two processes on PostgreSQL are."""
    world = make_world(workers=3, alone=False)

    def count(ctx, n):
        ctx.db.insert("counts", {"n": n})

    def act(ctx, n):
        ctx.run_mutation("work:count", n=n)

    count, act = world.mutation(count), world.action(act)

    def spread(ctx):
        for n in range(100):
            ctx.scheduler.run_after(0, count, n=n)
            ctx.scheduler.run_after(0, act, n=n)

    world.runner.run(world.mutation(spread), {})
    other = world.make_jobs()
    world.jobs.start()
    other.start()
    for _ in range(PATIENCE_SECONDS * 100):
        if len(world.rows("counts")) >= 200:
            break
        time.sleep(0.01)
    assert other.stop(PATIENCE_SECONDS) and world.jobs.stop(PATIENCE_SECONDS)
    assert Counter(row["n"] for row in world.rows("counts")) == Counter([*range(100)] * 2)


def test_long_actions_leave_a_worker_for_mutations(make_world, log) -> None:
    world, gate = make_world(workers=3), threading.Event()
    wait, note = gate_action(world, log, gate), logging_mutation(world, log)
    for n in range(10):
        world.scheduler.run_after(0, wait, n=n)
    world.jobs.start()
    assert sorted(log.wait_for(2)) == [("begun", 0), ("begun", 1)]
    world.scheduler.run_after(0, note, n="short")
    assert log.wait_for(3)[2] == "short"
    gate.set()
    assert Counter(log.wait_for(11)) == Counter(["short", *(("begun", n) for n in range(10))])


def test_a_pool_runs_no_more_than_its_limit_and_blocks_nobody(make_world, log) -> None:
    world, gate = make_world(workers=4), threading.Event()
    wait = gate_action(world, log, gate)
    mail = world.scheduler.with_options(pool="mail", max_parallel=2)
    for n in range(200):  # more than is read ahead
        mail.run_after(0, wait, n=n)
    world.now += 1
    world.scheduler.run_after(0, wait, n="other")
    world.jobs.start()
    assert Counter(log.wait_for(3)) == Counter([("begun", 0), ("begun", 1), ("begun", "other")])
    gate.set()
    log.wait_for(201)


def test_one_worker_alone_runs_actions_too(make_world, log) -> None:
    world, gate = make_world(workers=1), threading.Event()
    gate.set()
    world.scheduler.run_after(0, gate_action(world, log, gate))
    world.jobs.start()
    log.wait_for(1)


@pytest.mark.sqlite  # where several processes write, each mutation takes a worker
def test_mutations_run_while_actions_have_all_workers(make_world, log) -> None:
    world, gate = make_world(workers=1), threading.Event()
    world.jobs.start()
    world.scheduler.run_after(0, gate_action(world, log, gate))
    log.wait_for(1)
    world.scheduler.run_after(0, logging_mutation(world, log), n="meanwhile")
    assert log.wait_for(2)[1] == "meanwhile"
    gate.set()


@pytest.mark.sqlite
def test_mutations_that_wait_share_a_commit(make_world, log) -> None:
    world, gate = make_world(), threading.Event()
    note = logging_mutation(world, log)

    def first(ctx):
        gate.wait(PATIENCE_SECONDS)

    first = world.mutation(first)
    world.jobs.start()
    world.scheduler.run_after(0, note, n="started")
    log.wait_for(1)
    commits = world.backend.statistics()["commits"]

    def spread(ctx):
        ctx.scheduler.run_after(0, first)
        for n in range(12):
            ctx.scheduler.run_after(0, note, n=n)

    world.runner.run(world.mutation(spread), {})
    gate.set()
    assert log.wait_for(13)[1:] == [*range(12)]
    assert world.backend.statistics()["commits"] == commits + 2


@pytest.mark.sqlite
def test_the_end_waits_for_what_was_submitted(make_world) -> None:
    world, begun, gate = make_world(), threading.Event(), threading.Event()

    def work(ctx):
        begun.set()
        gate.wait(PATIENCE_SECONDS)

    world.jobs.start()
    job_id = world.scheduler.run_after(0, world.mutation(work))
    begun.wait(PATIENCE_SECONDS)
    assert not world.jobs.stop(0)
    gate.set()
    world.database.write(lambda transaction: None)
    assert world.state(job_id) == "success"


@pytest.mark.parametrize(("name", "state"), [("work:wait", "success"), ("work:gone", "failed")])
def test_what_is_no_mutation_any_more_takes_a_worker(make_world, log, name, state) -> None:
    world, gate = make_world(workers=1), threading.Event()
    gate.set()
    gate_action(world, log, gate)  # work:wait
    row = new_row(name, {}, "mutation", world.clock() * 1000)
    world.jobs.start()
    job_id = world.database.write(lambda transaction: world.jobs.store.add(transaction, row))["_id"]
    for _ in range(PATIENCE_SECONDS * 100):
        if world.state(job_id) == state:
            break
        time.sleep(0.01)
    assert world.state(job_id) == state


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit, MemoryError])
@pytest.mark.parametrize("kind", ["mutation", "action"])
def test_no_exception_stops_a_worker(make_world, log, kind, error) -> None:
    world = make_world(workers=1)

    def die(ctx):
        raise error

    job_id = world.scheduler.run_after(0, getattr(world, kind)(die))
    world.now += 1
    world.scheduler.run_after(0, logging_mutation(world, log))
    world.jobs.start()
    log.wait_for(1)
    assert world.jobs.stop(PATIENCE_SECONDS)  # which waits until all that was begun is written down
    assert world.state(job_id) == "failed"


class Flaky(DocumentBackend):
    """An engine that fails while `errno` is set, or once in a way that no engine should."""

    errno = 0
    bug: Exception | None = None
    blind = False

    def read(self, deadline):
        if self.blind:
            raise LookupError("a bug in reading")
        return super().read(deadline)

    def write(self, run, deadline_seconds, **options):
        error = self.failure()
        if error is not None:
            raise error
        return super().write(run, deadline_seconds, **options)

    def submit(self, run, deadline_seconds, done, **options):
        error = self.failure()
        if error is not None:
            done(None, error)
        else:
            super().submit(run, deadline_seconds, done, **options)

    def failure(self):
        bug, self.bug = self.bug, None
        return bug or (self.Fault(self.errno, os.strerror(self.errno)) if self.errno else None)


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.ENOSPC, errno.EIO], ids=["locked", "full", "broken"])
def test_work_goes_on_when_storage_does(make_world, log, caplog, number) -> None:
    world = make_world(engine=Flaky)
    note = logging_mutation(world, log)
    job_id = world.scheduler.run_after(0, note)
    world.backend.errno = number
    world.jobs.start()
    for _ in range(PATIENCE_SECONDS * 100):
        if "the database does not answer" in caplog.text:
            break
        time.sleep(0.01)
    assert world.state(job_id) == "pending"
    with pytest.raises(StorageUnavailableError):
        world.scheduler.run_after(0, note)
    world.backend.errno = 0
    log.wait_for(1)


def test_a_bug_in_the_engine_costs_no_worker(make_world, log, caplog) -> None:
    world = make_world(engine=Flaky, workers=1)
    note = logging_mutation(world, log)

    def sabotage(ctx):
        world.backend.bug = LookupError("a bug")
        raise ValueError  # whose recording meets the bug

    world.scheduler.run_after(0, world.mutation(sabotage))
    world.now += 1
    world.scheduler.run_after(0, note)
    world.jobs.start()
    log.wait_for(1)
    assert "LookupError: a bug" in caplog.text


def test_a_bug_in_looking_ends_when_it_does(make_world, log, caplog) -> None:
    world = make_world(engine=Flaky)
    world.scheduler.run_after(0, logging_mutation(world, log))
    world.backend.blind = True
    world.jobs.start()
    for _ in range(PATIENCE_SECONDS * 100):
        if "a bug in reading" in caplog.text:
            break
        time.sleep(0.01)
    world.backend.blind = False
    log.wait_for(1)


def test_an_action_that_ended_during_a_fault_is_not_lost(make_world, log) -> None:
    world = make_world(engine=Flaky)

    def act(ctx):
        world.backend.errno = errno.ENOSPC
        log.add("acted")

    job_id = world.scheduler.run_after(0, world.action(act))
    world.jobs.start()
    log.wait_for(1)
    world.backend.errno = 0
    for _ in range(PATIENCE_SECONDS * 100):
        if world.state(job_id) == "success":
            break
        time.sleep(0.01)
    assert world.state(job_id) == "success" and log.entries == ["acted"]


@pytest.mark.parametrize("jump", [7200, -7200])
def test_a_clock_that_jumps_loses_and_doubles_nothing(make_world, log, jump) -> None:
    world = make_world(workers=2)
    note = logging_mutation(world, log)
    world.scheduler.run_after(3600, note, n="planned")
    world.jobs.start()
    world.scheduler.run_after(0, note, n="before")
    log.wait_for(1)
    world.now += jump
    world.scheduler.run_after(0, note, n="after")
    expected = ["before", "after", "planned"] if jump > 0 else ["before", "after"]
    assert sorted(log.wait_for(len(expected))) == sorted(expected)
    world.now += 3600 - min(jump, 0)
    assert sorted(log.wait_for(3)) == sorted(["before", "after", "planned"])
    assert world.jobs.stop(PATIENCE_SECONDS)
    assert len(log.entries) == 3
