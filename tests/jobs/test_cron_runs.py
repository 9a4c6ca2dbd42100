# SPDX-License-Identifier: MIT
"""Crons as jobs: on time, one at a time, over restarts, changes of the app, and clock jumps."""

from __future__ import annotations

import pytest

from minihttp.data.validators import v
from minihttp.errors import CronError
from minihttp.jobs.crons import Crons

from .world import START, World

assert START == 1_700_000_000  # 2023-11-14 22:13:20 UTC


@pytest.fixture
def beat(world: World):
    def beat(ctx, **args):
        ctx.db.insert("beats", {"time": ctx._transaction.now, **args})

    return world.mutation(beat)


def install(world: World, *register) -> None:
    """A new process of the app with these crons."""
    crons = Crons()
    for call in register:
        call(crons)
    world.jobs = world.make_jobs(crons=crons)


def every(seconds: int, function, name: str = "beat", **args):
    return lambda crons: crons.interval(name, seconds=seconds, function=function, args=args)


def beats(world: World) -> list[float]:
    return [row["time"] - START for row in world.rows("beats")]


def live(world: World, seconds: float, step: float = 1) -> None:
    """Let time pass, with a look at every step."""
    end = world.now + seconds
    while world.now < end:
        world.now += step
        world.run_all()


def test_an_interval_beats_from_the_start(world, beat) -> None:
    install(world, every(60, beat, n=1))
    world.run_all()
    live(world, 200)
    assert beats(world) == [0, 60, 120, 180]
    assert {row["n"] for row in world.rows("beats")} == {1}


def test_a_clock_schedule_waits_for_its_minute(world, beat) -> None:
    install(world, lambda crons: crons.hourly("beat", minute_utc=15, function=beat))
    world.run_all()
    live(world, 2 * 3600, 10)
    assert beats(world) == [100, 3700]


def test_each_run_is_a_job_that_can_be_seen(world, beat) -> None:
    install(world, every(60, beat))
    world.run_all()
    (row,) = world.rows("_scheduled_functions")
    assert (row["cron"], row["name"], row["state"]["kind"]) == ("beat", "work:beat", "success")


def test_a_restart_goes_on_with_the_plan(world, beat) -> None:
    install(world, every(60, beat))
    world.run_all()
    world.now += 30
    install(world, every(60, beat))
    world.run_all()
    assert beats(world) == [0]
    live(world, 30)
    assert beats(world) == [0, 60]


def test_of_missed_runs_one_is_made_up_and_the_rest_is_logged(world, beat, caplog) -> None:
    install(world, every(60, beat))
    world.run_all()
    world.now += 615
    install(world, every(60, beat))
    world.run_all()
    assert beats(world) == [0, 615]
    assert "cron beat: runs missed between 2023-11-14T22:14:20+00:00 and" in caplog.text
    live(world, 45)
    assert beats(world) == [0, 615, 660], "and the beat is kept"


def test_a_run_that_falls_into_the_last_one_is_skipped(world, caplog) -> None:
    def slow(ctx):
        ctx.run_mutation("work:beat")
        if len(beats(world)) == 1:
            world.now += 125
            world.jobs._crons.tick()

    def beat(ctx):
        ctx.db.insert("beats", {"time": ctx._transaction.now})

    world.mutation(beat)
    install(world, every(60, world.action(slow)))
    world.run_all()
    assert beats(world) == [0]
    assert (
        "cron beat: the run of 2023-11-14T22:14:20+00:00 is skipped, the last one has not ended"
        in caplog.text
    )
    live(world, 120)
    assert beats(world) == [0, 180, 240]


def test_a_failed_run_does_not_end_the_cron(world) -> None:
    def fail(ctx):
        world.seen.append(world.now)
        raise ValueError

    install(world, every(60, world.mutation(fail)))
    world.run_all()
    live(world, 60)
    assert len(world.seen) == 2


def test_a_removed_cron_disappears_with_its_pending_run(world, beat) -> None:
    install(world, every(60, beat), every(60, beat, "other"))
    world.jobs._crons.tick()
    assert {row["name"] for row in world.rows("_cron_jobs")} == {"beat", "other"}
    install(world, every(60, beat, "other"))
    assert world.run_all() == 1
    assert {row["name"] for row in world.rows("_cron_jobs")} == {"other"}
    assert {row["cron"]: row["state"]["kind"] for row in world.rows("_scheduled_functions")} == {
        "beat": "canceled",
        "other": "success",
    }
    install(world)
    world.run_all()
    assert world.rows("_cron_jobs") == []


@pytest.mark.parametrize("change", [{"seconds": 50}, {"n": 2}])
def test_a_changed_cron_begins_anew(world, beat, change) -> None:
    install(world, every(60, beat, n=1))
    world.run_all()
    world.now += 10
    args = {"n": 1, **change}
    install(world, every(args.pop("seconds", 60), beat, **args))
    world.run_all()
    assert beats(world) == [0, 10]
    live(world, 50)
    assert beats(world) == ([0, 10, 60] if "seconds" in change else [0, 10])


def test_an_interval_survives_a_clock_that_goes_back(world, beat) -> None:
    install(world, every(60, beat))
    world.run_all()
    live(world, 60)
    world.now -= 7200
    live(world, 120)
    assert beats(world) == [0, 60, -7080, -7020], "it does not stand still for two hours"


def test_a_clock_schedule_does_not_come_twice_when_the_clock_is_corrected(world, beat) -> None:
    install(world, lambda crons: crons.daily("beat", hour_utc=22, minute_utc=14, function=beat))
    world.run_all()
    live(world, 60, 10)
    world.now -= 3600
    live(world, 2 * 3600, 60)
    assert beats(world) == [40]
    live(world, 86_400, 600)
    assert len(beats(world)) == 2


def test_a_clock_that_was_years_ahead_does_not_stop_a_cron(world, beat) -> None:
    world.now += 50 * 365 * 86_400
    install(world, lambda crons: crons.hourly("beat", function=beat))
    world.run_all()
    world.now = START
    world.run_all()
    live(world, 3600, 60)
    assert len(beats(world)) == 1


@pytest.mark.parametrize(
    ("function", "args", "message"),
    [
        ("work:nothing", {}, "Could not find function"),
        ("work:read", {}, "not a query"),
        ("work:named", {}, "missing the required field `count`"),
        ("work:named", {"count": "5"}, "Path: .count"),
        ("work:beat", {"when": object()}, "not a supported Convex type"),
    ],
)
def test_a_cron_that_cannot_run_is_refused_at_the_start(world, beat, function, args, message) -> None:
    def read(ctx):
        return None

    def named(ctx, count):
        return None

    world.query(read)
    world.mutation(named, args={"count": v.number()})
    with pytest.raises(CronError, match=f"(?s)cron 'beat'.*{message}"):
        install(world, every(60, function, **args))
