# SPDX-License-Identifier: MIT
"""How attempts end: errors kept with the user's frames, retries, interrupted actions, storage faults,
removal."""

from __future__ import annotations

import errno
from datetime import timedelta
from threading import get_ident

import pytest

from minihttp.errors import ApplicationError, ArgumentValidationError, StorageFullError
from minihttp.jobs.retry import Drop, RetryLater, RetryPolicy
from minihttp.limits import Limits
from minihttp.tracebacks import RepeatFilter
from minihttp.values import Int64
from storage_backends.sqlite import DocumentBackend

from .world import World, raising


@pytest.mark.parametrize("kind", ["mutation", "action"])
def test_an_error_is_final_and_kept(world, kind) -> None:
    job_id = world.scheduler.run_after(0, raising(world, kind, ValueError("bad fish")))
    assert world.run_all() == 1
    row = world.job(job_id)
    error = row["state"]["error"]
    assert error.startswith(f'ValueError: bad fish\n  File "{raising.__code__.co_filename}", line ')
    assert error.endswith("in work\n    raise error"), "the user's frames, not ours"
    assert (row["state"]["kind"], row["attempts"]) == ("failed", 1)


def test_a_failed_mutation_leaves_nothing_else(world) -> None:
    def work(ctx):
        ctx.db.insert("notes", {"n": 1})
        ctx.scheduler.run_after(0, "work:work")
        raise ValueError

    job_id = world.scheduler.run_after(0, world.mutation(work))
    assert world.run_all() == 1
    assert world.rows("notes") == []
    assert [row["_id"] for row in world.rows("_scheduled_functions")] == [job_id]


@pytest.mark.parametrize("kind", ["mutation", "action"])
@pytest.mark.parametrize(
    "value",
    [2**60, "\ud800", {"é": 1}, {"$a": 1}, {1: 1}, {"a" * 2000: 1}, {1, 2}, "x" * 17 * 2**20],
    ids=lambda value: repr(value)[:9].encode("ascii", "replace").decode(),
)
def test_a_result_that_cannot_be_kept_is_a_failure(world, kind, value) -> None:
    def work(ctx):
        world.seen.append(ctx)
        return value

    job_id = world.scheduler.run_after(0, getattr(world, kind)(work))
    assert world.run_all() == 1
    error = world.job(job_id)["state"]["error"]
    assert error.startswith(("ValidationError: ", "ReturnsValidationError: ", "LimitError: "))
    assert len(world.seen) == 1


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize("kind", ["mutation", "action"])
@pytest.mark.parametrize(
    ("error", "text"),
    [
        (SystemExit(3), "SystemExit: 3"),
        (GeneratorExit(), "GeneratorExit\n"),
        (MemoryError(), "MemoryError"),
        (RecursionError("deep"), "RecursionError: deep"),
        (ApplicationError({"code": "SOLD_OUT"}), "ApplicationError: {'code': 'SOLD_OUT'}"),
        (ValueError("lone \ud800 surrogate"), "ValueError: lone \\ud800 surrogate"),
        (ArgumentValidationError("ArgumentValidationError: n"), "ArgumentValidationError: n\n"),
        (Unprintable(), "Unprintable: (its message cannot be shown)"),
        (ValueError("x" * 100_000), "ValueError: " + "x" * 8000),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_any_exception_is_written_down(world, kind, error, text) -> None:
    job_id = world.scheduler.run_after(0, raising(world, kind, error))
    assert world.run_all() == 1
    state = world.job(job_id)["state"]
    assert state["kind"] == "failed"
    assert state["error"].startswith(text) and len(state["error"]) <= 8192


def test_a_function_that_has_vanished_is_a_failure(world) -> None:
    job_id = world.scheduler.run_after(0, raising(world, "mutation"))
    world.registry._functions.clear()  # a new version of the app
    assert world.run_all() == 1
    assert "Could not find function for 'work:work'" in world.job(job_id)["state"]["error"]


def test_a_slow_mutation_is_undone_and_failed(make_world) -> None:
    world = make_world(limits=Limits(mutation_seconds=0.01))

    def work(ctx):
        ctx.db.insert("notes", {"n": 1})
        while ctx.time_left() > 0:
            pass

    job_id = world.scheduler.run_after(0, world.mutation(work))
    assert world.run_all() == 1
    assert "DeadlineError" in world.job(job_id)["state"]["error"]
    assert world.rows("notes") == []


@pytest.mark.parametrize("kind", ["mutation", "action"])
def test_a_policy_tries_again_with_growing_pauses(world, kind) -> None:
    function = raising(world, kind, OSError("1"), OSError("2"), None)
    job_id = world.scheduler.with_options(retry=RetryPolicy(4, 10, 2, 0)).run_after(0, function)
    assert world.run_all() == 1
    row = world.job(job_id)
    assert (row["state"], row["attempts"]) == ({"kind": "pending"}, 1)
    assert row["lastError"].startswith("OSError: 1")
    world.now += 9.9
    assert world.run_all() == 0
    world.now += 0.1
    assert world.run_all() == 1
    world.now += 19.9
    assert world.run_all() == 0
    world.now += 0.1
    assert world.run_all() == 1
    row = world.job(job_id)
    assert (row["state"]["kind"], row["attempts"], row["result"]) == ("success", 3, 3)


@pytest.mark.parametrize("kind", ["mutation", "action"])
def test_the_last_attempt_ends_the_job(world, kind) -> None:
    function = raising(world, kind, *[OSError("down")] * 9)
    job_id = world.scheduler.with_options(retry=RetryPolicy(3, 1, 1, 0)).run_after(0, function)
    for _ in range(9):
        world.run_all()
        world.now += 1
    assert len(world.seen) == 3
    assert (world.state(job_id), world.job(job_id)["attempts"]) == ("failed", 3)


def test_drop_ends_the_job_at_once(world) -> None:
    function = raising(world, "action", Drop("no such customer"))
    job_id = world.scheduler.with_options(retry=RetryPolicy(9)).run_after(0, function)
    world.run_all()
    assert world.job(job_id)["state"]["error"].startswith("Drop: no such customer")


def test_a_raised_retry_asks_for_a_pause_of_its_own(world) -> None:
    function = raising(world, "action", RetryLater(timedelta(minutes=1)), None)
    job_id = world.scheduler.run_after(0, function)
    world.run_all()
    world.now += 59
    assert world.run_all() == 0
    world.now += 1
    assert world.run_all() == 1
    assert world.state(job_id) == "success"


def test_a_raised_retry_counts_against_the_policy(world) -> None:
    function = raising(world, "action", *[RetryLater(1)] * 9)
    job_id = world.scheduler.with_options(retry=RetryPolicy(2)).run_after(0, function)
    for _ in range(5):
        world.run_all()
        world.now += 1
    assert (len(world.seen), world.state(job_id)) == (2, "failed")


def test_a_raised_pause_goes_before_that_of_the_policy(world) -> None:
    function = raising(world, "action", RetryLater(1), None)
    job_id = world.scheduler.with_options(retry=RetryPolicy(2, 100, 1, 0)).run_after(0, function)
    world.run_all()
    world.now += 1
    world.run_all()
    assert world.state(job_id) == "success"


def test_on_complete_waits_for_the_last_attempt(world) -> None:
    def done(ctx, job_id, result):
        ctx.db.insert("done", result)

    function = raising(world, "action", OSError(), None)
    scheduler = world.scheduler.with_options(retry=RetryPolicy(2, 1, 1, 0), on_complete=world.mutation(done))
    scheduler.run_after(0, function)
    world.run_all()
    assert world.rows("done") == []
    world.now += 1
    world.run_all()
    assert [row["kind"] for row in world.rows("done")] == ["success"]


def interrupt(world: World, **options) -> str:
    """A job whose action is claimed and then never ends."""
    job_id = world.scheduler.with_options(**options).run_after(0, raising(world, "action"))
    world.database.write(
        lambda transaction: world.jobs.store.claim(
            transaction, transaction.system.get(job_id), "a process that is gone"
        )
    )
    assert world.state(job_id) == "inProgress"
    return job_id


def test_an_interrupted_action_is_failed_not_run_again(world) -> None:
    job_id = interrupt(world)
    world.jobs = world.make_jobs()
    assert world.run_all() == 0
    assert world.job(job_id)["state"]["error"].startswith("Interrupted: ")
    assert world.seen == []


def test_an_interrupted_action_with_a_policy_runs_again(world) -> None:
    job_id = interrupt(world, retry=RetryPolicy(2, 1, 1, 0))
    world.jobs = world.make_jobs()
    world.run_all()
    assert world.state(job_id) == "pending"
    world.now += 1
    world.run_all()
    assert (world.state(job_id), world.job(job_id)["attempts"], len(world.seen)) == ("success", 2, 1)


def test_an_interrupted_last_attempt_is_failed(world) -> None:
    job_id = interrupt(world, retry=RetryPolicy(1))
    world.jobs = world.make_jobs()
    world.run_all()
    assert world.state(job_id) == "failed"


def test_beside_other_processes_only_an_ended_lease_is_taken_over(world) -> None:
    job_id = interrupt(world)
    world.jobs = world.make_jobs(alone=False)
    world.now += world.limits.job_lease_seconds - 1
    world.run_all()
    assert world.state(job_id) == "inProgress"
    world.now += 1
    world.run_all()
    assert world.state(job_id) == "failed"


def test_a_lease_is_renewed_while_the_action_runs(world) -> None:
    def work(ctx):
        for _ in range(3):
            world.now += world.limits.job_lease_seconds - 1
            world.jobs.run_due()  # the maintenance of this process
            other.run_due()

    world.jobs, other = world.make_jobs(alone=False), world.make_jobs(alone=False)
    job_id = world.scheduler.run_after(0, world.action(work))
    world.jobs.run_due()
    assert world.state(job_id) == "success"


def test_a_process_that_lost_its_lease_cannot_finish_the_job(world) -> None:
    def work(ctx):
        world.now += 3600  # so long that the lease ends
        other.run_due()
        return "too late"

    job_id = world.scheduler.run_after(0, world.action(work))
    other = world.make_jobs(alone=False)
    world.jobs.run_due()
    row = world.job(job_id)
    assert row["state"]["error"].startswith("Interrupted: ") and "result" not in row


def test_nor_can_it_when_another_process_has_claimed_it(world) -> None:
    def work(ctx):
        world.now += 3600
        other.run_due()  # the job waits for its next attempt
        world.database.write(claim)
        return "too late"

    def claim(transaction):
        store = world.jobs.store
        store.claim(transaction, store.find(transaction, job_id), "another process")

    job_id = world.scheduler.with_options(retry=RetryPolicy(9, 60)).run_after(0, world.action(work))
    other = world.make_jobs(alone=False)
    world.jobs.run_due()
    row = world.job(job_id)
    assert (row["state"]["kind"], row["owner"]) == ("inProgress", "another process")


def test_maintenance_leaves_alone_what_runs_here(world) -> None:
    def work(ctx):
        world.now += 3600
        world.jobs.run_due()

    job_id = world.scheduler.run_after(0, world.action(work))
    world.jobs.run_due()
    assert world.state(job_id) == "success"


def test_more_lost_actions_than_one_transaction_takes(world) -> None:
    ids = [interrupt(world) for _ in range(1)]
    function = world.registry.resolve("work:work")

    def claim(transaction):
        for _ in range(250):
            job_id = world.jobs.scheduler(transaction).run_after(0, function)
            world.jobs.store.claim(transaction, transaction.system.get(job_id), "gone")
            ids.append(job_id)

    world.database.write(claim)
    world.jobs.run_due()
    assert {world.state(job_id) for job_id in ids} == {"failed"}


class Disk(DocumentBackend):
    """A disk that is full whenever the test says so."""

    full = False
    full_once = False

    def write(self, run, deadline_seconds, **options):
        def checked(writing):
            result = run(writing)
            once, self.full_once = self.full_once, False
            if self.full or once:
                raise self.Fault(errno.ENOSPC, "database or disk is full")
            return result

        return super().write(checked, deadline_seconds, **options)


@pytest.mark.parametrize("kind", ["mutation", "action"])
def test_a_job_that_storage_refuses_to_begin_stays_pending(make_world, kind) -> None:
    world = make_world(engine=Disk)
    job_id = world.scheduler.run_after(0, raising(world, kind))
    world.backend.full = True
    with pytest.raises(StorageFullError):
        world.jobs.run_due()
    world.backend.full = False
    assert (world.state(job_id), world.job(job_id)["attempts"]) == ("pending", 0)
    assert world.run_all() == 1
    assert world.state(job_id) == "success"


def test_a_fault_of_storage_is_no_failure_of_the_job(make_world) -> None:
    world = make_world(engine=Disk)
    world.run_all()
    job_id = world.scheduler.run_after(0, raising(world, "mutation"))
    world.backend.full_once = True
    with pytest.raises(StorageFullError):
        world.jobs.run_due()
    assert world.state(job_id) == "pending"


def test_an_action_whose_end_cannot_be_written_counts_as_interrupted(make_world) -> None:
    world = make_world(engine=Disk)

    def work(ctx):
        world.backend.full = True

    job_id = world.scheduler.run_after(0, world.action(work))
    with pytest.raises(StorageFullError):
        world.jobs.run_due()
    world.backend.full = False
    assert world.state(job_id) == "inProgress"
    assert world.run_all() == 0
    assert world.job(job_id)["state"]["error"].startswith("Interrupted: ")


@pytest.mark.parametrize("kind", ["mutation", "action"])
def test_what_a_function_does_to_its_arguments_stays_with_it(world, kind) -> None:
    def work(ctx, items):
        items[0]["n"] = object()  # which no document can hold
        items.clear()

    given = [{"n": Int64(1)}, b"two"]
    job_id = world.scheduler.run_after(0, getattr(world, kind)(work), items=given)
    assert world.run_all() == 1
    job = world.job(job_id)
    assert (job["state"], job["args"]) == ({"kind": "success"}, [{"items": given}])


@pytest.mark.parametrize(("kind", "state"), [("mutation", "pending"), ("action", "failed")])
def test_ctrl_c_in_the_calling_thread_ends_the_pass(world, kind, state) -> None:
    """A mutation is undone and runs again; an action has begun, and that is written down."""
    job_id = world.scheduler.run_after(0, raising(world, kind, KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        world.jobs.run_due()
    assert world.state(job_id) == state


@pytest.mark.parametrize("kind", ["mutation", "action"])
def test_jobs_that_fail_alike_are_logged_once_with_a_count(world, kind, caplog) -> None:
    later = []
    repeats = RepeatFilter(lambda seconds, call: later.append(call))
    world.jobs._executor.__dict__["_repeats"] = repeats
    errors = [ValueError("bad fish") for _ in range(20)] + [ValueError("bad bird")]
    work = raising(world, kind, *errors)
    jobs = [world.scheduler.run_after(0, work) for _ in errors]
    assert world.run_all() == len(errors)
    told = [record.getMessage() for record in caplog.records]  # counts of earlier tests may come meanwhile
    assert [("fish" in text, "bird" in text) for text in told if text.startswith("job ")] == [
        (True, False),
        (False, True),
    ]
    caplog.clear()
    for call in later:
        call()
    here = [record for record in caplog.records if record.thread == get_ident()]
    name = world.job(jobs[0])["name"]
    assert [record.getMessage() for record in here] == [f"19 more jobs ({name}) failed alike within 1 s"]
    assert all("bad " in world.job(job)["state"]["error"] for job in jobs)
