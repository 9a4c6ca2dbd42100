# SPDX-License-Identifier: MIT
"""Cron registration and next-run computation: Convex's vectors, POSIX rules, hostile expressions."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minihttp.errors import CronError
from minihttp.jobs.crons import CronExpression, Crons

ROWS = json.loads((Path(__file__).parent.parent / "data" / "crons.json").read_text("utf-8"))

# The calls behind the rows of crons.json, in snake_case.
CALLS = {
    "interval s": lambda c: c.interval("x", seconds=30, function="m:f"),
    "interval m,args": lambda c: c.interval("x", minutes=5, function="m:f", args={"a": 1}),
    "interval h": lambda c: c.interval("x", hours=1, function="m:f"),
    "interval none": lambda c: c.interval("x", function="m:f"),
    "interval two": lambda c: c.interval("x", seconds=1, hours=1, function="m:f"),
    "interval 0": lambda c: c.interval("x", seconds=0, function="m:f"),
    "interval 1.5": lambda c: c.interval("x", seconds=1.5, function="m:f"),
    "hourly": lambda c: c.hourly("x", minute_utc=30, function="m:f"),
    "hourly no schedule": lambda c: c.hourly("x", function="m:f"),
    "hourly 60": lambda c: c.hourly("x", minute_utc=60, function="m:f"),
    "daily": lambda c: c.daily("x", hour_utc=17, minute_utc=0, function="m:f"),
    "daily no minute": lambda c: c.daily("x", hour_utc=17, function="m:f"),
    "daily 24": lambda c: c.daily("x", hour_utc=24, function="m:f"),
    "weekly": lambda c: c.weekly("x", day_of_week="tuesday", hour_utc=1, minute_utc=2, function="m:f"),
    "weekly bad": lambda c: c.weekly("x", day_of_week="tue", hour_utc=1, minute_utc=2, function="m:f"),
    "monthly": lambda c: c.monthly("x", day=31, hour_utc=1, minute_utc=2, function="m:f"),
    "monthly 32": lambda c: c.monthly("x", day=32, hour_utc=1, minute_utc=2, function="m:f"),
    "cron": lambda c: c.cron("x", "*/5 * * * *", function="m:f"),
    "dup": lambda c: [c.cron("x", "* * * * *", function="m:f") for _ in range(2)],
    "ident é": lambda c: c.cron("é", "* * * * *", function="m:f"),
    "ident empty": lambda c: c.cron("", "* * * * *", function="m:f"),
}
NOT_FOLLOWED = {"cron junk accepted client-side"}  # here junk is refused at registration


def utc(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp()


@pytest.mark.parametrize("row", ROWS, ids=[row["label"] for row in ROWS])
def test_convex_vectors(row: dict) -> None:
    if row["label"] in NOT_FOLLOWED:
        with pytest.raises(CronError, match="five fields"):
            Crons().cron("x", "junk", function="m:f")
        return
    crons = Crons()
    if "error" in row:
        with pytest.raises(CronError) as caught:
            CALLS[row["label"]](crons)
        assert str(caught.value).startswith(row["error"].rstrip("."))
        return
    CALLS[row["label"]](crons)
    ((name, expected),) = row["export"].items()
    (cron,) = crons
    assert (cron.name, cron.function, cron.schedule) == (name, expected["name"], expected["schedule"])
    assert len(cron.args) == len(expected["args"][0])


@pytest.mark.parametrize(
    ("register", "now", "expected"),
    [
        (lambda c: c.interval("x", seconds=60, function="f"), 1677659700, 1677659700),
        (lambda c: c.hourly("x", minute_utc=5, function="f"), 1677659700, 1677661500),
        (lambda c: c.daily("x", hour_utc=8, minute_utc=30, function="f"), 1677573300, 1677659400),
        (
            lambda c: c.weekly("x", day_of_week="tuesday", hour_utc=12, minute_utc=30, function="f"),
            1677573300,
            1677587400,
        ),
        (lambda c: c.monthly("x", day=1, hour_utc=12, minute_utc=30, function="f"), 1677573300, 1677673800),
        (lambda c: c.cron("x", "0 12 * * 1,5", function="f"), 1677573300, 1677844800),
    ],
)
def test_next_run_vectors(register, now: float, expected: float) -> None:
    crons = Crons()
    register(crons)
    (cron,) = crons
    assert cron.next_run(now) == expected


def test_an_interval_that_another_process_has_run_is_not_planned_again() -> None:
    crons = Crons()
    crons.interval("x", seconds=1, function="m:f")
    [cron] = crons
    for behind in (0.0, 0.001, 0.9):
        assert cron.replan(1_001.0, 1_000.0 - behind) == 1_001.0
    assert cron.replan(1_001.0, 900.5) == 901.0, "a clock that went back is followed"


def test_an_interval_keeps_its_beat() -> None:
    crons = Crons()
    crons.interval("x", seconds=60, function="f")
    (cron,) = crons
    assert cron.next_run(1677659700, previous=1677659700) == 1677659760
    assert cron.next_run(1677659759, previous=1677659700) == 1677659760
    assert cron.next_run(1677660003, previous=1677659700) == 1677660060, "five missed runs are left out"
    assert cron.next_run(1677652500, previous=1677659700) == 1677652560, "the clock went back two hours"


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("* * * * *", "2026-11-23T09:22:00", "2026-11-23T09:23:00"),
        ("59 23 31 12 *", "2026-12-31T23:59:00", "2027-12-31T23:59:00"),
        ("0 0 29 2 *", "2096-02-29T00:00:00", "2104-02-29T00:00:00"),
        ("0 0 31 * *", "2026-11-23T00:00:00", "2026-12-31T00:00:00"),
        ("0 0 13 * fri", "2026-11-23T00:00:00", "2026-11-27T00:00:00"),  # either day: POSIX crontab
        ("0 0 */2 * fri", "2026-11-23T00:00:00", "2026-11-27T00:00:00"),  # a star does not restrict: both
        ("0 0 13 * *", "2026-11-23T00:00:00", "2026-12-13T00:00:00"),
        ("10-20/5 8 * JAN-MAR MON", "2026-11-23T00:00:00", "2027-01-04T08:10:00"),
        ("0 0 * * 0", "2026-11-23T00:00:00", "2026-11-29T00:00:00"),
        ("0 0 * * 7", "2026-11-23T00:00:00", "2026-11-29T00:00:00"),
        ("0 9 * * fri-mon", "2026-11-23T09:00:00", "2026-11-27T09:00:00"),
        ("0 9 * * fri-mon", "2026-11-29T09:00:00", "2026-11-30T09:00:00"),
        ("0 9 * * 5-7", "2026-11-28T09:00:00", "2026-11-29T09:00:00"),
        ("0 9 * * 7-2", "2026-11-24T09:00:00", "2026-11-29T09:00:00"),
        ("0 9 * * Saturday-Sunday", "2026-11-23T09:00:00", "2026-11-28T09:00:00"),
        ("0 9 * * fri-mon/2", "2026-11-27T09:00:00", "2026-11-29T09:00:00"),
        ("0 22-2 * * *", "2026-11-23T23:00:00", "2026-11-24T00:00:00"),
        ("0 22-2/2 * * *", "2026-11-23T22:00:00", "2026-11-24T00:00:00"),
        ("50-10/10 * * * *", "2026-11-23T09:50:00", "2026-11-23T10:00:00"),
        ("0 0 30-2 * *", "2026-11-23T00:00:00", "2026-11-30T00:00:00"),
        ("0 0 1 November-february *", "2026-11-23T00:00:00", "2026-12-01T00:00:00"),
        ("@yearly", "2026-11-23T00:00:00", "2027-01-01T00:00:00"),
        ("@annually", "2026-11-23T00:00:00", "2027-01-01T00:00:00"),
        ("@monthly", "2026-11-23T00:00:00", "2026-12-01T00:00:00"),
        ("@weekly", "2026-11-23T00:00:00", "2026-11-29T00:00:00"),
        (" @Daily ", "2026-11-23T09:00:00", "2026-11-24T00:00:00"),
        ("@midnight", "2026-11-23T09:00:00", "2026-11-24T00:00:00"),
        ("@hourly", "2026-11-23T09:22:00", "2026-11-23T10:00:00"),
        ("30 6 * * *", "1969-12-31T23:59:59", "1970-01-01T06:30:00"),
    ],
)
def test_expressions(expression: str, after: str, expected: str) -> None:
    assert CronExpression(expression).next_run(utc(after)) == utc(expected)


@pytest.mark.parametrize(
    "bad",
    [
        *("", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "0 12 * * 8"),
        *(
            "*/0 * * * *",
            "5/10 * * * *",
            "1,,2 * * * *",
            "-1 * * * *",
            "1.5 * * * *",
            "a * * * *",
        ),
        *(
            "0 0 30 2 *",
            "0 0 31 4,6,9,11 *",
            "٣ * * * *",
            "* * * * mon-",
            "*\n* * * * * *",
            "@reboot",
            "@every 5m",
            "0 0 * * mond",
            "0 0 * * 8-2",
            "0 0 ? * *",
            "1e1 * * * *",
        ),
    ],
)
def test_bad_expressions_are_refused(bad: str) -> None:
    with pytest.raises(CronError):
        Crons().cron("x", bad, function="f")


@given(st.text(alphabet="0123456789*/,-monjaf ٣\x00", max_size=30), st.floats(-6e10, 2.5e11))
def test_any_text_is_an_expression_or_a_cron_error(text: str, after: float) -> None:
    try:
        expression = CronExpression(text)
    except CronError:
        return
    assert expression.next_run(after) > after


_field = st.sampled_from(["*", "*/7", "3", "1-9", "2,5", "4-11/3"])


@given(
    minute=_field,
    hour=_field,
    day=_field,
    month=_field,
    after=st.integers(0, 4_000_000_000),
    part=st.floats(0, 0.999),
)
def test_the_next_run_is_the_first_that_matches(minute, hour, day, month, after, part) -> None:
    expression = CronExpression(f"{minute} {hour} {day} {month} *")
    found = datetime.fromtimestamp(expression.next_run(after), timezone.utc)

    def matches(field: str, value: int, low: int) -> bool:
        body, _, step = field.partition("/")
        for item in body.split(","):
            start, _, stop = item.partition("-")
            first = low if start == "*" else int(start)
            last = 99 if start == "*" else int(stop or start)
            if first <= value <= last and (value - first) % int(step or 1) == 0:
                return True
        return False

    assert matches(minute, found.minute, 0) and matches(hour, found.hour, 0)
    assert matches(day, found.day, 1) and matches(month, found.month, 1)
    between = after + (found.timestamp() - after) * part
    assert expression.next_run(between) == found.timestamp(), "nothing matches between"


def test_splay_is_stable_and_within_its_bound() -> None:
    def delays() -> list[float]:
        crons = Crons()
        for name in "abcdefgh":
            crons.hourly(name, function="f", splay_seconds=600)
        return [cron.next_run(1677659700) - 1677661200 for cron in crons]

    assert delays() == delays()
    assert len(set(delays())) > 1
    assert all(0 <= delay <= 600 for delay in delays())


@pytest.mark.parametrize("splay", [-1, 3601, 1.5, True])
def test_a_bad_splay_is_refused(splay) -> None:
    with pytest.raises(CronError, match="splay_seconds"):
        Crons().hourly("x", function="f", splay_seconds=splay)


@pytest.mark.parametrize("hour", [None, "5", 5.0, True])
def test_an_hour_must_be_an_integer(hour) -> None:
    with pytest.raises(CronError, match="Hour of day must be an integer from 0 to 23"):
        Crons().daily("x", hour_utc=hour, function="f")


def test_args_are_a_dict() -> None:
    with pytest.raises(CronError, match="The args of cron 'x' must be a dict, not"):
        Crons().hourly("x", function="m:f", args=[{"n": 1}])
