# SPDX-License-Identifier: MIT
"""What an app did in the last day, by the minute: requests, latency, deliveries. In memory, bounded.

Durations are counted in buckets that grow by half, so a percentile is right to a third.
"""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ..logs import Served

MINUTES = 24 * 60
CLASSES = ("2xx", "3xx", "4xx", "5xx")
_BOUNDS = [0.0005 * 1.5**n for n in range(28)]  # seconds: 0.5 ms to 28 s
_BUCKETS = len(_BOUNDS) + 1


class _Minute:
    """The counts of one minute."""

    __slots__ = ("deliveries", "latency", "number", "statuses")

    def __init__(self, number: int) -> None:
        self.number = number
        self.statuses = [0, 0, 0, 0]
        self.latency = array("I", bytes(4 * _BUCKETS))
        self.deliveries = 0


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
        self._minutes: dict[int, _Minute] = {}

    def _minute(self) -> _Minute:
        number = int(self._clock() // 60)
        found = self._minutes.get(number)
        if found is None:
            found = self._minutes[number] = _Minute(number)
            for old in [n for n in self._minutes if n <= number - MINUTES]:
                del self._minutes[old]
        return found

    def record(self, served: Served) -> None:
        """Count one answered request; those of the dashboard itself are left out."""
        if served.route is not None and served.route.startswith("/_/"):
            return
        self.has_heard = True
        with self._lock:
            minute = self._minute()
            minute.statuses[min(max(served.status // 100, 2), 5) - 2] += 1
            minute.latency[bisect_left(_BOUNDS, served.seconds)] += 1
            if served.route in self._webhooks and served.status < 300:
                minute.deliveries += 1

    def steps(self, minutes: int, each: int) -> list[Step]:
        """The last `minutes`, the oldest first, in steps of `each` minutes."""
        with self._lock:
            last = int(self._clock() // 60)
            ends = range(last - minutes + each, last + 1, each)
            return [self._step(range(end - each + 1, end + 1)) for end in ends]

    def _step(self, numbers: range) -> Step:
        found = [self._minutes[number] for number in numbers if number in self._minutes]
        latency = [sum(counts) for counts in zip(*(minute.latency for minute in found), strict=True)]
        statuses = tuple(sum(minute.statuses[n] for minute in found) for n in range(len(CLASSES)))
        return Step(
            numbers,
            statuses,
            _percentile(latency, 0.5),
            _percentile(latency, 0.95),
            sum(minute.deliveries for minute in found),
        )


def _percentile(counts: Iterable[int], share: float) -> float:
    """The upper bound of the bucket in which the share lies; 0 where nothing was counted."""
    counted = list(counts)
    left = sum(counted) * share
    for number, count in enumerate(counted):
        left -= count
        if count and left <= 0:
            return _BOUNDS[min(number, len(_BOUNDS) - 1)]
    return 0.0
