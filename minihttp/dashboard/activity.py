# SPDX-License-Identifier: MIT
"""What an app did: requests, latency and deliveries of an hour by the minute, of a day by 15 minutes.

It is in memory, and bounded. Durations are counted in buckets that grow by half, so a percentile is right to
a third.
"""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ..logs import Served

HOUR = 60  # minutes
QUARTER = 15
_QUARTERS = 24 * 60 // QUARTER
CLASSES = ("2xx", "3xx", "4xx", "5xx")
_BOUNDS = [0.0005 * 1.5**n for n in range(28)]  # seconds: 0.5 ms to 28 s
_BUCKETS = len(_BOUNDS) + 1


class _Counts:
    """What was counted in some time."""

    __slots__ = ("deliveries", "latency", "statuses")

    def __init__(self) -> None:
        self.statuses = array("I", bytes(4 * len(CLASSES)))
        self.latency = array("I", bytes(4 * _BUCKETS))
        self.deliveries = 0

    def add(self, other: _Counts) -> _Counts:
        for mine, others in ((self.statuses, other.statuses), (self.latency, other.latency)):
            for n, count in enumerate(others):
                mine[n] += count
        self.deliveries += other.deliveries
        return self


class Step(NamedTuple):
    """One step of a plot; `minutes` are those of Unix time that it covers."""

    minutes: range
    statuses: tuple[int, ...]
    p50_seconds: float
    p95_seconds: float
    deliveries: int


class Activity:
    """Counts what happens; for any thread.

    Args:
        webhooks: the paths of webhook routes.
        clock: Unix seconds.

    Attributes:
        has_heard: whether a server has reported any request.
    """

    def __init__(self, webhooks: Iterable[str], clock: Callable[[], float]) -> None:
        self._webhooks = frozenset(webhooks)
        self._clock = clock
        self.started = clock()
        self.has_heard = False
        self._lock = threading.Lock()
        self._minutes: dict[int, _Counts] = {}
        self._quarters: dict[int, _Counts] = {}  # without the last minute
        self._number, self._now = 0, _Counts()  # the last minute

    def record(self, served: Served) -> None:
        """Count one answered request; those of the dashboard itself are left out."""
        if served.route is not None and served.route.startswith("/_/"):
            return
        self.has_heard = True
        with self._lock:
            number = int(self._clock() // 60)
            if number > self._number:
                self._begin(number)
            now = self._now
            now.statuses[min(max(served.status // 100, 2), 5) - 2] += 1
            now.latency[bisect_left(_BOUNDS, served.seconds)] += 1
            if served.route in self._webhooks and served.status < 300:
                now.deliveries += 1

    def _begin(self, number: int) -> None:
        """Count a new minute; the last one goes into its quarter."""
        if self._number:
            self._quarters.setdefault(self._number // QUARTER, _Counts()).add(self._now)
        self._number, self._now = number, _Counts()
        self._minutes[number] = self._now
        for old in [each for each in self._minutes if each <= number - HOUR]:
            del self._minutes[old]
        for old in [each for each in self._quarters if each <= number // QUARTER - _QUARTERS]:
            del self._quarters[old]

    def hour(self) -> list[Step]:
        """The last hour by the minute, the oldest first."""
        with self._lock:
            last = int(self._clock() // 60)
            numbers = range(last - HOUR + 1, last + 1)
            return [_step(range(n, n + 1), self._minutes.get(n) or _Counts()) for n in numbers]

    def day(self) -> list[Step]:
        """The last day by the quarter of an hour, the oldest first."""
        with self._lock:
            last = int(self._clock() // 60) // QUARTER
            steps = []
            for quarter in range(last - _QUARTERS + 1, last + 1):
                counts = _Counts().add(self._quarters.get(quarter) or _Counts())
                if quarter == self._number // QUARTER:
                    counts.add(self._now)
                steps.append(_step(range(quarter * QUARTER, (quarter + 1) * QUARTER), counts))
            return steps


def _step(minutes: range, counts: _Counts) -> Step:
    middle, late = (_percentile(counts.latency, share) for share in (0.5, 0.95))
    return Step(minutes, tuple(counts.statuses), middle, late, counts.deliveries)


def _percentile(counts: Iterable[int], share: float) -> float:
    """The upper bound of the bucket in which the share lies; 0 where nothing was counted."""
    counted = list(counts)
    left = sum(counted) * share
    for number, count in enumerate(counted):
        left -= count
        if count and left <= 0:
            return _BOUNDS[min(number, len(_BOUNDS) - 1)]
    return 0.0
