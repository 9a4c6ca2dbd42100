# SPDX-License-Identifier: MIT
"""What scheduling promises: ids, times, limits, options, cancelling, and being part of the transaction."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from minihttp.data.validators import v
from minihttp.errors import (
    CallError,
    ConfigurationError,
    DocumentError,
    FunctionNotFoundError,
    LimitError,
    MinihttpError,
    ScheduleError,
    ValidationError,
)
from minihttp.functions.decorators import internal_mutation
from minihttp.jobs.retry import RetryPolicy
from minihttp.limits import Limits

from .world import START, World


@pytest.fixture
def note(world: World):
    """A mutation that stores what it was given."""
    return world.mutation(lambda_note)


def lambda_note(ctx, **what):
    return ctx.db.insert("notes", what)


def notes(world: World) -> list[dict]:
    return [{k: val for k, val in row.items() if k[0] != "_"} for row in world.rows("notes")]


def test_a_scheduled_mutation_runs_when_it_is_due(world, note) -> None:
    job_id = world.scheduler.run_after(5, note, text="hello")
    assert world.jobs.run_due() == 0
    row = world.job(job_id)
    assert row["name"] == "work:lambda_note"
    assert row["args"] == [{"text": "hello"}]
    assert row["scheduledTime"] == (START + 5) * 1000
    assert row["state"] == {"kind": "pending"}
    world.now += 5
    assert world.jobs.run_due() == 1
    assert notes(world) == [{"text": "hello"}]
    row = world.job(job_id)
    assert row["state"] == {"kind": "success"}
    assert row["completedTime"] == (START + 5) * 1000
    assert row["attempts"] == 1
    assert row["result"] == world.rows("notes")[0]["_id"]
    assert world.jobs.run_due() == 0


def test_every_way_to_name_a_time(world, note) -> None:
    start = datetime.fromtimestamp(START, timezone.utc)
    ids = [
        world.scheduler.run_after(timedelta(minutes=1), note),
        world.scheduler.run_after(60.0, note),
        world.scheduler.run_at(START + 60, note),
        world.scheduler.run_at(start + timedelta(minutes=1), note),
        world.scheduler.run_at(
            (start + timedelta(minutes=1)).astimezone(timezone(timedelta(hours=-7))), note
        ),
    ]
    assert {world.job(job_id)["scheduledTime"] for job_id in ids} == {(START + 60) * 1000}


def test_a_past_moment_is_now(world, note) -> None:
    world.scheduler.run_at(START - 3600, note)
    assert world.jobs.run_due() == 1


def test_jobs_run_in_due_order(world, note) -> None:
    for seconds in (3, 1, 2, 0):
        world.scheduler.run_after(seconds, note, n=seconds)
    world.now += 3
    assert world.jobs.run_due() == 4
    assert [row["n"] for row in notes(world)] == [0, 1, 2, 3]


@pytest.mark.parametrize("delay", ["5", None, True, 1j, datetime(2026, 1, 1)])
def test_a_delay_must_be_a_number(world, note, delay) -> None:
    with pytest.raises(ScheduleError, match="must be a number of seconds or a timedelta, not"):
        world.scheduler.run_after(delay, note)


@pytest.mark.parametrize(
    ("delay", "rule"),
    [
        (float("nan"), "finite"),
        (float("inf"), "finite"),
        (-0.001, "non-negative"),
        (timedelta(seconds=-1), "non-negative"),
        (6 * 366 * 86_400, "five years"),
        (10**400, "finite|five years"),
    ],
)
def test_a_delay_must_be_in_range(world, note, delay, rule) -> None:
    with pytest.raises(ScheduleError, match=rule):
        world.scheduler.run_after(delay, note)
    assert world.rows("_scheduled_functions") == []


@pytest.mark.parametrize(
    ("moment", "rule"),
    [
        (datetime(2026, 11, 23, 12), "aware datetime"),
        ("2026-11-23", "aware datetime or Unix seconds"),
        (timedelta(1), "aware datetime or Unix seconds"),
        (float("nan"), "finite"),
        (START + 6 * 366 * 86_400, "five years"),
        (START * 1000, "five years"),  # milliseconds
        (10**400, "five years"),
        (-(10**400), "five years"),
        (datetime.max.replace(tzinfo=timezone.utc), "five years"),
    ],
)
def test_a_moment_must_be_one(world, note, moment, rule) -> None:
    with pytest.raises(ScheduleError, match=rule):
        world.scheduler.run_at(moment, note)


def test_the_function_must_exist_and_be_no_query(world) -> None:
    def read(ctx):
        return None

    with pytest.raises(FunctionNotFoundError):
        world.scheduler.run_after(0, "work:nothing")
    with pytest.raises(CallError, match="query"):
        world.scheduler.run_after(0, world.query(read))


def test_arguments_may_have_any_name(world, note) -> None:
    world.scheduler.run_after(0, note, delay=1, fn=2, retry=3, args=4, moment=5, self=6)
    world.jobs.run_due()
    assert notes(world) == [{"delay": 1, "fn": 2, "retry": 3, "args": 4, "moment": 5, "self": 6}]


def test_arguments_must_be_values(world, note) -> None:
    with pytest.raises(ValidationError):
        world.scheduler.run_after(0, note, when=datetime(2026, 1, 1))


def test_arguments_are_validated_when_the_job_runs(world) -> None:
    def strict(ctx, n):
        return n

    job_id = world.scheduler.run_after(0, world.mutation(strict, args={"n": v.string()}), n=7)
    assert world.jobs.run_due() == 1
    assert "ArgumentValidationError" in world.job(job_id)["state"]["error"]


def test_in_a_mutation_scheduling_is_part_of_the_transaction(world, note) -> None:
    def schedule(ctx, fail):
        ctx.scheduler.run_after(0, note, text="from a mutation")
        if fail:
            raise RuntimeError("no")

    schedule = world.mutation(schedule)
    with pytest.raises(RuntimeError):
        world.runner.run(schedule, {"fail": True})
    assert world.rows("_scheduled_functions") == []
    world.runner.run(schedule, {"fail": False})
    assert notes(world) == [], "never inside the mutation itself"
    assert world.jobs.run_due() == 1
    assert notes(world) == [{"text": "from a mutation"}]


def test_a_sub_transaction_takes_its_schedules_with_it(world, note) -> None:
    def inner(ctx):
        ctx.scheduler.run_after(0, note, text="inner")
        raise RuntimeError("inner")

    def outer(ctx):
        ctx.scheduler.run_after(0, note, text="outer")
        try:
            ctx.run_mutation("work:inner")
        except RuntimeError:
            pass

    world.mutation(inner)
    world.runner.run(world.mutation(outer), {})
    assert world.run_all() == 1
    assert notes(world) == [{"text": "outer"}]


def test_in_an_action_scheduling_takes_effect_at_once(world, note) -> None:
    def act(ctx):
        ctx.scheduler.run_after(0, note, text="kept")
        raise RuntimeError("later")

    with pytest.raises(RuntimeError):
        world.runner.run(world.action(act), {})
    assert world.run_all() == 1


def test_limits_of_one_mutation() -> None:
    limits = Limits(max_scheduled=3, max_scheduled_args_bytes=1_000, max_scheduled_total_bytes=1_500)
    world = World(limits=limits)
    note = world.mutation(lambda_note)

    def schedule(ctx, sizes):
        for size in sizes:
            ctx.scheduler.run_after(0, note, text="x" * size)

    schedule = world.mutation(schedule)
    for sizes, code in (
        ([1, 1, 1, 1], "TooManyFunctionsScheduled"),
        ([1_000], "ScheduledFunctionArgumentsTooLarge"),
        ([800, 800], "ScheduledFunctionsArgumentsTooLarge"),
    ):
        with pytest.raises(LimitError) as caught:
            world.runner.run(schedule, {"sizes": sizes})
        assert caught.value.code == code
    assert world.rows("_scheduled_functions") == []
    world.runner.run(schedule, {"sizes": [1, 1, 1]})
    assert world.run_all() == 3
    world.close()


def test_a_canceled_job_never_runs(world, note) -> None:
    job_id = world.scheduler.run_after(1, note)
    world.scheduler.cancel(job_id)
    world.now += 1
    assert world.jobs.run_due() == 0
    assert world.state(job_id) == "canceled"
    assert world.job(job_id)["completedTime"] == START * 1000


def test_cancelling_what_has_ended_changes_nothing(world, note) -> None:
    job_id = world.scheduler.run_after(0, note)
    world.jobs.run_due()
    before = world.job(job_id)
    world.scheduler.cancel(job_id)
    assert world.job(job_id) == before


@pytest.mark.parametrize("bad", ["", "nonsense", 5, None, "0" * 32])
def test_only_a_job_can_be_canceled(world, bad) -> None:
    with pytest.raises(DocumentError, match="scheduled function"):
        world.scheduler.cancel(bad)


def test_a_cancel_that_is_undone_does_not_cancel(world, note) -> None:
    job_id = world.scheduler.run_after(0, note)

    def cancel(ctx):
        ctx.scheduler.cancel(job_id)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        world.runner.run(world.mutation(cancel), {})
    assert world.jobs.run_due() == 1


def test_a_mutation_cannot_cancel_itself(world) -> None:
    def suicide(ctx):
        ctx.scheduler.cancel(world.seen[0])

    world.seen.append(world.scheduler.run_after(0, world.mutation(suicide)))
    world.jobs.run_due()
    assert "A mutation cannot cancel itself" in world.job(world.seen[0])["state"]["error"]


def test_what_a_canceled_action_schedules_is_canceled(world, note) -> None:
    def act(ctx):
        world.seen.append(ctx.scheduler.run_after(0, note, text="before"))
        world.scheduler.cancel(world.seen[0])
        world.seen.append(ctx.scheduler.run_after(0, note, text="after"))
        ctx.run_mutation("work:relay")

    def relay(ctx):
        world.seen.append(ctx.scheduler.run_after(0, note, text="in a mutation"))

    world.mutation(relay)
    world.seen.append(world.scheduler.run_after(0, world.action(act)))
    assert world.run_all() == 2
    assert [world.state(job_id) for job_id in world.seen] == ["canceled", "success", "canceled", "canceled"]
    assert notes(world) == [{"text": "before"}]


@pytest.mark.parametrize(
    "options",
    [
        {"retry": 3},
        {"retry": True},
        {"pool": ""},
        {"pool": 5},
        {"max_parallel": 2},
        {"pool": "mail", "max_parallel": 0},
        {"pool": "mail", "max_parallel": 1.5},
        {"pool": "mail", "max_parallel": True},
        {"on_complete": "work:nothing"},
        {"on_complete": "work:read"},
    ],
)
def test_bad_options_are_refused(world, options) -> None:
    def read(ctx):
        return None

    world.query(read)
    with pytest.raises(MinihttpError) as caught:
        world.scheduler.with_options(**options)
    assert isinstance(caught.value, (ConfigurationError, FunctionNotFoundError))


@pytest.mark.parametrize(
    ("fail", "expected"),
    [(False, {"kind": "success", "returnValue": 42}), (True, {"kind": "failed"})],
)
@pytest.mark.parametrize("kind", ["mutation", "action"])
def test_on_complete_gets_the_result_once(world, kind, fail, expected) -> None:
    def work(ctx):
        if fail:
            raise ValueError("broken")
        return 42

    def done(ctx, job_id, result, context):
        ctx.db.insert("done", {"job": job_id, "result": result, "context": context})

    function = getattr(world, kind)(work)
    scheduler = world.scheduler.with_options(on_complete=world.mutation(done), context={"order": 7})
    job_id = scheduler.run_after(0, function)
    assert world.run_all() == 2
    (row,) = world.rows("done")
    assert row["job"] == job_id and row["context"] == {"order": 7}
    assert expected.items() <= row["result"].items()
    if fail:
        assert row["result"]["error"].startswith("ValueError: broken")


def test_on_complete_hears_of_a_cancel(world, note) -> None:
    def done(ctx, job_id, result):
        ctx.db.insert("done", {"job": job_id, "result": result})

    job_id = world.scheduler.with_options(on_complete=world.mutation(done)).run_after(9, note)
    world.scheduler.cancel(job_id)
    assert world.run_all() == 1
    assert [(row["job"], row["result"]) for row in world.rows("done")] == [(job_id, {"kind": "canceled"})]


def test_on_complete_itself_cannot_be_canceled(world, note) -> None:
    def done(ctx, job_id, result):
        ctx.db.insert("done", {"job": job_id})

    job_id = world.scheduler.with_options(on_complete=world.mutation(done)).run_after(0, note)
    world.jobs.run_due()
    (pending,) = (row for row in world.rows("_scheduled_functions") if row["_id"] != job_id)
    with pytest.raises(CallError, match=f"is the on_complete of {job_id}: it cannot be canceled"):
        world.scheduler.cancel(pending["_id"])
    world.run_all()
    assert len(world.rows("done")) == 1
    world.scheduler.cancel(pending["_id"])  # it has ended, as any job


def test_options_do_not_stick_to_the_scheduler(world, note) -> None:
    scheduler = world.scheduler
    scheduler.with_options(retry=RetryPolicy(3), pool="mail")
    row = world.job(scheduler.run_after(0, note))
    assert "retry" not in row and "lane" not in row


def test_a_job_that_has_ended_can_run_once_more(world, note) -> None:
    def done(ctx, job_id, result):
        ctx.db.insert("done", {"job": job_id})

    scheduler = world.scheduler.with_options(
        retry=RetryPolicy(3), pool="mail", max_parallel=2, on_complete=world.mutation(done)
    )
    first = scheduler.run_after(0, note, text="hello")
    with pytest.raises(DocumentError, match="is not a job that has ended"):
        world.scheduler.retry(first)
    world.run_all()
    second = world.scheduler.retry(first)
    world.run_all()
    assert notes(world) == [{"text": "hello"}] * 2
    assert [row["job"] for row in world.rows("done")] == [first, second]
    options = ("name", "args", "lane", "maxParallel", "retry", "onComplete")
    assert [world.job(first)[name] for name in options] == [world.job(second)[name] for name in options]


def test_a_job_of_a_module_with_an_underscore_can_run_once_more(world) -> None:
    def private(ctx):
        ctx.db.insert("notes", {"text": "private"})

    function = internal_mutation(private)
    world.registry.add(function, "_private:note")
    first = world.scheduler.run_after(0, function)
    world.run_all()
    world.scheduler.retry(first)
    world.run_all()
    assert len(notes(world)) == 2
