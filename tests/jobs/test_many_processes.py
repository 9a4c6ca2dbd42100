# SPDX-License-Identifier: MIT
"""Jobs of one PostgreSQL database that several processes run: claims, limits, crons, leases, kills."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from minihttp.jobs.crons import Crons
from minihttp.limits import Limits
from minihttp.rate_limit import RateLimit
from tests.contracts.documents import together
from tests.cutting_proxy import CuttingProxy
from tests.postgresql_server import postgresql, schema_for

from .at_work import Log
from .world import LIMITS as WORLD_LIMITS
from .world import PATIENCE_SECONDS, World

ROOT = Path(__file__).resolve().parents[2]
LIMITS = Limits(query_seconds=PATIENCE_SECONDS, mutation_seconds=PATIENCE_SECONDS, job_lease_seconds=2)


@pytest.fixture
def location(tmp_path: Path) -> str:
    return postgresql().location(schema_for(tmp_path))


@pytest.fixture
def make_process(location: str) -> Iterator[Callable[..., World]]:
    """Worlds that share a database, each as one process would."""
    from storage_backends.postgresql import DocumentBackend

    worlds: list[World] = []

    def make(place: str = location, **options: Any) -> World:
        options = {"clock": time.time, "workers": 3, "alone": False, "limits": LIMITS, **options}
        worlds.append(World(place, engine=DocumentBackend, **options))
        return worlds[-1]

    yield make
    for world in worlds:
        world.close()


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end
        threading.Event().wait(0.01)


def ended(world: World) -> bool:
    return all(row["state"]["kind"] in ("success", "failed") for row in world.rows("_scheduled_functions"))


def test_every_job_takes_effect_once_and_hardly_any_is_run_twice(make_process) -> None:
    bodies: list[int] = []
    worlds = [make_process(limits=WORLD_LIMITS) for _ in range(4)]
    for world in worlds:

        def note(ctx, n):
            bodies.append(n)
            ctx.db.insert("notes", {"n": n})

        world.mutation(note)

    def schedule(transaction) -> None:
        for n in range(600):
            worlds[0].jobs.scheduler(transaction).run_after(0, "work:note", n=n)

    worlds[0].database.write(schedule)
    for world in worlds:
        world.jobs.start()
    wait_until(lambda: len(worlds[0].rows("notes")) == 600)
    assert sorted(row["n"] for row in worlds[1].rows("notes")) == list(range(600))
    assert len(bodies) <= 600 * 1.02  # all rows are on few pages here


@pytest.mark.parametrize("now", ["run", "gone"])
def test_a_claim_that_was_lost_is_not_run_by_its_former_owner(make_process, now: str) -> None:
    """Its lease ended, another process ran the job, and its row may have been removed since."""
    worlds = [make_process(workers=0), make_process(workers=0)]
    for world in worlds:
        world.mutation(lambda_named("note", lambda ctx: ctx.db.insert("notes", {})))
    former, other = worlds
    job = former.scheduler.run_after(0, "work:note")
    [(_, [row], _)] = former.database.write(
        lambda t: former.jobs.store.claim_due(t, former.jobs._executor.owner, 1), by_locks=True
    )
    other.database.write(lambda t: other.jobs.store.release_claim(t, t.system.get(job)))
    assert other.jobs.run_due() == 1
    if now == "gone":
        other.database.write(lambda t: t.system.delete(job))
    assert former.jobs._executor.run(job, "work:note", row) is False
    assert len(other.rows("notes")) == 1
    assert former.job(job) == other.job(job)
    assert (former.job(job) is None) is (now == "gone")


def test_a_due_job_is_claimed_in_the_commit_of_the_process_that_has_an_idle_worker(make_process) -> None:
    may_end, inside = threading.Event(), Log()
    world = make_process(workers=3)

    def act(ctx, n):
        inside.add(n)
        assert may_end.wait(PATIENCE_SECONDS)

    world.action(act)
    queues = []

    def schedule(transaction, n, delay=0.0, **options) -> str:
        scheduler = world.jobs.scheduler(transaction).with_options(**options)
        row = transaction.system.get(scheduler.run_after(delay, "work:act", n=n))
        queues.append(row["queue"].partition(":")[0])
        return row["_id"]

    def schedule_and_fail(transaction) -> None:
        schedule(transaction, 9)
        raise ValueError

    world.database.write(lambda t: schedule(t, 0))
    world.jobs.start()
    inside.wait_for(1)
    for _ in range(4):
        with pytest.raises(ValueError):
            world.database.write(schedule_and_fail)
    world.database.write(lambda t: schedule(t, 1, 60.0))
    world.database.write(lambda t: schedule(t, 1, pool="counted over all processes"))
    world.database.write(lambda t: schedule(t, 2))
    inside.wait_for(2)
    last = world.database.write(lambda t: schedule(t, 3))  # the third worker is for mutations
    assert queues == ["pending", *["claimed"] * 4, "pending", "pending", "claimed", "pending"]
    assert world.state(last) == "pending"
    may_end.set()
    inside.wait_for(4)


def test_a_job_whose_worker_was_stopped_before_its_commit_is_left_to_others(make_process) -> None:
    world = make_process(workers=1)
    world.mutation(lambda_named("note", lambda ctx: None))
    world.jobs.start()

    def schedule(transaction) -> str:
        job = str(world.jobs.scheduler(transaction).run_after(0, "work:note"))
        assert transaction.system.get(job)["queue"].startswith("claimed:")
        together([lambda: world.jobs.stop(0.1)])
        return job

    assert world.job(world.database.write(schedule))["queue"] == "pending:mutation"


def test_a_second_process_does_not_fail_what_the_first_one_runs(make_process) -> None:
    may_end, runs = threading.Event(), Log()

    def act(ctx):
        runs.add("act")
        assert may_end.wait(PATIENCE_SECONDS)

    first, second = make_process(), make_process()
    for world in (first, second):
        world.action(act)
    job = first.scheduler.run_after(0, "work:act")
    first.jobs.start()
    runs.wait_for(1)
    second.jobs.start()
    second.jobs.run_due()
    threading.Event().wait(3)  # longer than a lease: it is renewed
    assert second.state(job) == "inProgress"
    may_end.set()
    wait_until(lambda: ended(second))
    assert (runs.entries, second.state(job)) == (["act"], "success")


def test_an_outage_longer_than_a_lease_is_the_end_of_no_process(make_process, tmp_path: Path, caplog) -> None:
    """Whoever comes back first leaves the others time to renew the leases that have ended meanwhile."""
    may_end, inside = threading.Event(), Log()

    def act(ctx):
        inside.add("act")
        assert may_end.wait(PATIENCE_SECONDS)

    lines = [CuttingProxy(postgresql().port) for _ in range(2)]
    worlds = [make_process(postgresql().location(schema_for(tmp_path), port=line.port)) for line in lines]
    for world in worlds:
        world.action(act)
        world.mutation(lambda_named("note", lambda ctx: None))
    first, second = worlds
    second.jobs.start()
    job = second.scheduler.run_after(0, "work:act")
    inside.wait_for(1)
    claimed = second.scheduler.with_options(pool="claimed").run_after(3600, "work:note")

    def claim(transaction) -> None:
        store, row = second.jobs.store, transaction.system.get(claimed)
        transaction.system.rewrite(row, store._claimed(row, second.jobs._executor.owner))

    second.jobs._pool._known.add(claimed)  # as if it waited for a worker
    second.database.write(claim)
    first.jobs.start()
    wait_until(lambda: first.jobs._reached_at > 0)
    for line in lines:
        line.refuses = True
        line.break_all()
    threading.Event().wait(LIMITS.job_lease_seconds + 1.5)
    for world, line in zip(worlds, lines, strict=True):
        before, line.refuses = world.jobs._reached_at, False
        wait_until(lambda world=world, before=before: world.jobs._reached_at > before)
    assert second.state(job) == "inProgress"
    assert "crashes" not in second.job(claimed) and second.job(claimed)["queue"].startswith("claimed:")
    may_end.set()
    wait_until(lambda: second.state(job) == "success")
    assert inside.entries == ["act"]
    assert "when the process ended" not in caplog.text
    for line in lines:
        line.close()


def test_max_parallel_holds_over_all_processes(make_process) -> None:
    lock, running, most, done = threading.Lock(), [0], [0], Log()

    def act(ctx):
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        threading.Event().wait(0.05)
        with lock:
            running[0] -= 1
        done.add(1)

    worlds = [make_process(), make_process()]
    for world in worlds:
        world.action(act)
    pool = worlds[0].scheduler.with_options(pool="one", max_parallel=1)
    for _ in range(8):
        pool.run_after(0, "work:act")
    for world in worlds:
        world.jobs.start()
    done.wait_for(8)
    assert most == [1]


def test_what_is_run_by_hand_is_counted_with_what_other_processes_run(make_process) -> None:
    may_end, inside = threading.Event(), Log()

    def act(ctx, n):
        inside.add(n)
        assert may_end.wait(PATIENCE_SECONDS)

    world, other = make_process(), make_process(workers=0)
    for one in (world, other):
        one.action(act)
        one.mutation(lambda_named("again", lambda ctx: ctx.scheduler.run_after(0, "work:again")))
    for n in range(2):
        world.scheduler.with_options(pool="one", max_parallel=1).run_after(0, "work:act", n=n)
    world.jobs.start()
    inside.wait_for(1)
    assert other.jobs.run_due() == 0
    world.jobs.stop(0.01)
    may_end.set()
    wait_until(lambda: world.rows("_scheduled_functions")[0]["state"]["kind"] != "inProgress")
    other.scheduler.run_after(0, "work:again")
    assert other.jobs.run_due() == 2, "and what that has scheduled is left for the next call"
    assert inside.entries in ([0, 1], [1, 0])
    assert {row["queue"] for row in other.rows("_scheduled_functions")} == {"success", "pending:mutation"}


def test_a_claimed_job_that_begins_while_another_process_counts(make_process, monkeypatch) -> None:
    world, other = make_process(workers=0), make_process(workers=0)
    for one in (world, other):
        one.action(lambda_named("act", lambda ctx: None))
    for _ in range(2):
        world.scheduler.with_options(pool="one", max_parallel=1).run_after(0, "work:act")
    store, look = other.jobs.store, other.jobs.store.due_jobs
    [(_, [claimed], _)] = world.database.write(lambda t: world.jobs.store.claim_due(t, "first", 2))
    begin = [lambda t: world.jobs.store.claim(t, world.jobs.store.due(t, claimed["_id"], "first"), "first")]

    def look_and_wait(transaction, queue, *bounds):
        found = look(transaction, queue, *bounds)
        if not queue.startswith("pending:") and begin:
            together([lambda: world.database.write(begin.pop())])
        return found

    monkeypatch.setattr(store, "due_jobs", look_and_wait)
    [(_, rows, _)] = other.database.write(lambda t: store.claim_due(t, "second", 2), by_locks=True)
    assert (rows, begin, world.state(claimed["_id"])) == ([], [], "inProgress")


def test_a_job_is_heard_of_by_a_process_that_has_workers(make_process) -> None:
    log = Log()
    world, other = make_process(), make_process(workers=0)
    for one in (world, other):
        one.mutation(lambda_named("note", lambda ctx, n: ctx._transaction.after_commit(lambda: log.add(n))))
    world.jobs.start()
    threading.Event().wait(1.5)  # it listens by now
    begun = time.monotonic()
    for n in range(10):
        other.scheduler.run_after(0, "work:note", n=n)
        log.wait_for(n + 1)
    assert time.monotonic() - begun < PATIENCE_SECONDS


def lambda_named(name: str, function: Any) -> Any:
    function.__name__ = name
    return function


def test_crons_run_once_whoever_is_first(make_process) -> None:
    crons = Crons()
    crons.interval("tick", seconds=1, function="work:tick")
    log = Log()
    worlds = []
    for _ in range(3):
        world = make_process(workers=0)
        world.mutation(lambda_named("tick", lambda ctx: ctx._transaction.after_commit(lambda: log.add(1))))
        world.jobs = world.make_jobs(crons=crons, workers=2)
        worlds.append(world)
    for world in worlds:
        world.jobs.start()
    log.wait_for(3)
    for world in worlds:
        world.jobs.stop(PATIENCE_SECONDS)
    due = Counter(
        row["scheduledTime"] for row in worlds[0].rows("_scheduled_functions") if row["name"] == "work:tick"
    )
    assert max(due.values()) == 1


def test_only_one_process_has_a_lease(make_process) -> None:
    stores = [make_process().jobs.store for _ in range(3)]
    got: list[str] = []
    together([lambda n=n: stores[n].lease("x", str(n), 2) and got.append(str(n)) for n in range(3)] * 2)
    assert len(set(got)) == 1
    owner = got[0]
    others = [str(n) for n in range(3) if str(n) != owner]
    assert not stores[0].lease("x", others[0], 2)
    assert stores[0].lease("x", owner, 1)
    wait_until(lambda: stores[1].lease("x", others[0], 2))


def test_lost_claims_come_back(make_process) -> None:
    world, log = make_process(), Log()
    world.mutation(lambda_named("note", lambda ctx, n: ctx._transaction.after_commit(lambda: log.add(n))))
    for n in range(3):
        world.scheduler.run_after(0, "work:note", n=n)
    claimed = world.database.write(lambda t: world.jobs.store.claim_due(t, "somebody who died", 2))
    assert [len(rows) for _, rows, _ in claimed] == [2]
    assert world.database.read(lambda t: len(world.jobs.store.by_state(t, "pending", 9))) == 3
    world.jobs.start()
    assert sorted(log.wait_for(3)) == [0, 1, 2]


def test_a_claim_that_its_own_process_has_lost_sight_of_is_no_crash(make_process, caplog) -> None:
    """The commit that claimed it, or its run, could not be told of."""
    world, log = make_process(), Log()
    world.mutation(lambda_named("note", lambda ctx: ctx._transaction.after_commit(lambda: log.add(1))))
    job = world.scheduler.run_after(0, "work:note")
    world.database.write(lambda t: world.jobs.store.claim_due(t, world.jobs._executor.owner, 1))
    world.jobs.start()
    log.wait_for(1)
    wait_until(lambda: ended(world))
    assert "crashes" not in world.job(job) and "when the process ended" not in caplog.text


def test_claims_are_given_back_at_the_end(make_process) -> None:
    world, other, log = make_process(workers=2), make_process(), Log()
    may_end, inside = threading.Event(), Log()

    def act(ctx, n):
        inside.add(n)
        assert may_end.wait(PATIENCE_SECONDS)

    for one in (world, other):
        one.action(act)
    for n in range(6):
        world.scheduler.run_after(0, "work:act", n=n)
    world.jobs.start()
    inside.wait_for(1)
    together([lambda: world.jobs.stop(PATIENCE_SECONDS), may_end.set])
    queues = Counter(row["queue"].partition(":")[0] for row in world.rows("_scheduled_functions"))
    assert queues["claimed"] == 0 and queues["pending"] > 0
    log.add(1)


@pytest.mark.parametrize("apart_seconds", [0.05, 3.0])
def test_a_rate_limit_of_two_machines_whose_clocks_differ(make_process, apart_seconds: float) -> None:
    now = [1_700_000_000.0]
    limit = RateLimit(rate=10, period_seconds=1)
    worlds = [make_process(clock=lambda: now[0]), make_process(clock=lambda: now[0] + apart_seconds)]
    for world in worlds:
        world.mutation(lambda_named("take", lambda ctx: limit.take(ctx, "key").ok))
    granted = 0
    for step in range(400):
        granted += worlds[step % 2].runner.run("work:take", {})
        now[0] += 0.01
    assert granted <= 10 + 10 * (4 + apart_seconds)


def test_kill_nine_of_one_of_several(location: str, tmp_path: Path, make_process) -> None:
    log = tmp_path / "acted.log"
    world = make_process(workers=0)
    for name in ("count", "follow"):
        world.mutation(lambda_named(name, lambda ctx, n: None))
    world.action(lambda_named("act", lambda ctx, n: None))

    def schedule(transaction) -> None:
        for n in range(300):
            world.jobs.scheduler(transaction).run_after(0, "work:count" if n % 10 < 7 else "work:act", n=n)

    world.database.write(schedule)
    children = []
    for _ in range(4):
        command = [sys.executable, "-m", "tests.jobs.crash_child", location, str(log), "postgresql"]
        child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
        assert child.stdout is not None
        assert child.stdout.readline() == b"running\n"
        children.append(child)
    try:
        wait_until(lambda: len(world.rows("counts")) > 20)
        children[0].send_signal(signal.SIGKILL)
        wait_until(lambda: ended(world))
    finally:
        for child in children:
            child.kill()
            child.communicate()
    counts = Counter(row["n"] for row in world.rows("counts"))
    assert counts == Counter(n for n in range(300) if n % 10 < 7), "each mutation once"
    assert len(world.rows("follows")) == 30
    acted = Counter(log.read_text().split())
    assert max(acted.values()) == 1, "each action at most once"
    lost = [row for row in world.rows("_scheduled_functions") if row["state"]["kind"] == "failed"]
    assert all("the process ended while the action ran" in row["state"]["error"] for row in lost)
    assert len(acted) + len(lost) >= 90


def test_a_mutation_that_kills_each_process_is_failed_and_no_other(
    location: str, tmp_path: Path, make_process
) -> None:
    world = make_process(workers=0)
    for name in ("count", "follow"):
        world.mutation(lambda_named(name, lambda ctx, n: None))
    world.mutation(lambda_named("kill", lambda ctx: None))

    def schedule(transaction) -> str:
        for n in range(1, 9):
            world.jobs.scheduler(transaction).run_after(0, "work:count", n=n)
        return str(world.jobs.scheduler(transaction).run_after(0, "work:kill"))

    killer = world.database.write(schedule)
    command = [sys.executable, "-m", "tests.jobs.crash_child", location, str(tmp_path / "log"), "postgresql"]
    kills = 0
    while not ended(world):
        child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
        try:
            wait_until(lambda child=child: child.poll() is not None or ended(world))
            kills += child.poll() == 9
        finally:
            child.kill()
            child.communicate()
        assert kills <= 3
    assert kills == 3
    assert world.state(killer) == "failed"
    assert "the process ended 3 times while this ran" in world.job(killer)["state"]["error"]
    assert Counter(row["n"] for row in world.rows("counts")) == Counter(range(1, 9)), "each mutation once"
