# SPDX-License-Identifier: MIT
"""How often each function ran in this process, how often it failed, how long it took; and which runs now."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

_MINUTES = 24 * 60  # for which jobs are counted
_KEPT = 512  # durations of a function, for its percentiles


class _Running(threading.local):
    """The name of the function that runs in this thread, and its `CallInfo`: log lines are marked with them.

    One attribute, as each look at one of a thread's own costs as much as a call.
    """

    now: tuple[str, Any] = ("", None)


running = _Running()


class CallStatistics:
    """Counts the calls of one process, for any thread.

    Args:
        clock: Unix seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._jobs: dict[int, int] = {}
        self._queue: dict[int, int] = {}
        self._lock = threading.Lock()
        self._calls: dict[str, tuple[list[int], deque[float]]] = {}

    def record(self, name: str, seconds: float, failed: bool) -> None:
        """Count one call."""
        found = self._calls.get(name)
        if found is None:
            found = self._calls.setdefault(name, ([0, 0], deque(maxlen=_KEPT)))
        counts, durations = found
        with self._lock:
            counts[0] += 1
            counts[1] += failed
            durations.append(seconds)

    def ran_job(self) -> None:
        """Count one run of a job, in its minute."""
        with self._lock:
            minute = self._begin_minute(self._jobs)
            self._jobs[minute] = self._jobs.get(minute, 0) + 1

    def saw_queue(self, count: Callable[[], int]) -> None:
        """Note how many jobs are due and wait, once a minute."""
        with self._lock:
            minute = self._begin_minute(self._queue)
            if minute in self._queue:
                return
            self._queue[minute] = 0
        depth = count()
        with self._lock:
            self._queue[minute] = depth

    def _begin_minute(self, counts: dict[int, int]) -> int:
        minute = int(self._clock() // 60)
        if minute not in counts:
            for old in [number for number in counts if number <= minute - _MINUTES]:
                del counts[old]
        return minute

    def jobs(self) -> list[list[int]]:
        """How many jobs ran in the last day: pairs of a minute (of Unix time) and a number, without zeros."""
        with self._lock:
            return [[minute, count] for minute, count in self._jobs.items()]

    def queue(self) -> list[list[int]]:
        """How many jobs were due and waited in the last day: pairs of a minute and a number, where known."""
        with self._lock:
            return [[minute, depth] for minute, depth in self._queue.items()]

    def rows(self) -> list[dict[str, Any]]:
        """By name: `name`, `calls`, `errors`, and `p50Ms` and `p95Ms` of the last 512 calls."""
        rows = []
        with self._lock:
            for name, ((calls, errors), durations) in sorted(self._calls.items()):
                times = sorted(durations) or [0.0]
                middle, late = (times[len(times) * percent // 100] * 1000 for percent in (50, 95))
                rows.append({"name": name, "calls": calls, "errors": errors, "p50Ms": middle, "p95Ms": late})
        return rows
