# SPDX-License-Identifier: MIT
"""What happened, by the minute, in memory that does not grow."""

from __future__ import annotations

from minihttp.dashboard.activity import HOUR, Activity
from minihttp.logs import Served


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def served(route: str | None, status: int, seconds: float = 0.01) -> Served:
    return Served(0.0, "GET", route, "/x", status, seconds, 1, "id", "192.0.2.1", True)


def test_requests_are_counted_in_their_minute() -> None:
    clock = Clock()
    activity = Activity(["/webhooks/x"], clock)
    for status in (200, 201, 304, 404, 500, 101):
        activity.record(served("/a", status))
    clock.now += 60
    activity.record(served("/webhooks/x", 200))
    activity.record(served("/webhooks/x", 400))
    activity.record(served("/_/data", 200))
    before, now = activity.hour()[-2:]
    assert before.statuses == (3, 1, 1, 1)
    assert now.statuses == (1, 0, 1, 0)
    assert now.deliveries == 1
    assert list(now.minutes) == [clock.now // 60]
    assert activity.day()[-1].statuses == (4, 1, 2, 1)
    assert activity.day()[-1].deliveries == 1


def test_percentiles() -> None:
    activity = Activity([], Clock())
    for n in range(100):
        activity.record(served("/a", 200, 0.001 if n < 90 else 1.0))
    step = activity.hour()[-1]
    assert 0.001 <= step.p50_seconds < 0.0015
    assert 1.0 <= step.p95_seconds < 1.5


def test_a_day_is_kept_in_little() -> None:
    clock = Clock()
    activity = Activity([], clock)
    for _ in range(2 * 24 * HOUR):
        activity.record(served("/a", 200))
        clock.now += 60
    assert sum(step.statuses[0] for step in activity.hour()) == HOUR - 1  # the present minute has none yet
    day = activity.day()
    assert [len(day), sum(step.statuses[0] for step in day)] == [96, 24 * HOUR - 15 + clock.now % 900 // 60]
    assert len(activity._minutes) == HOUR
    assert len(activity._quarters) <= 97


def test_after_a_quiet_time() -> None:
    clock = Clock()
    activity = Activity([], clock)
    activity.record(served("/a", 200))
    clock.now += 3 * 3_600
    assert sum(step.statuses[0] for step in activity.hour()) == 0
    assert sum(step.statuses[0] for step in activity.day()) == 1
    activity.record(served("/a", 500))
    assert activity.hour()[-1].statuses == (0, 0, 0, 1)
    assert [step.statuses for step in activity.day() if any(step.statuses)] == [(1, 0, 0, 0), (0, 0, 0, 1)]
    clock.now += 24 * 3_600
    assert sum(sum(step.statuses) for step in activity.day()) == 0


def test_a_clock_that_goes_back_counts_in_the_last_minute() -> None:
    clock = Clock()
    activity = Activity([], clock)
    activity.record(served("/a", 200))
    clock.now -= 120
    activity.record(served("/a", 200))
    clock.now += 120
    assert activity.hour()[-1].statuses == (2, 0, 0, 0)
    assert activity.day()[-1].statuses == (2, 0, 0, 0)
