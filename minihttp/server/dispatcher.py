# SPDX-License-Identifier: MIT
"""The handler threads, as few of them awake as answer the most.

Two threads that want the interpreter take it from each other at every system call, and on two cores these
exchanges cost more than a short request does. So the main loop hands over what arrived in one poll, and
sleeps while one thread answers it all. That is best while handlers compute; where they wait (for a disk,
another server), they had better all wait together. Which it is shows in what gets done:

* another thread is woken whenever none of those awake has taken a task for `stuck_seconds`;
* while there is more to do than one thread can take at once, the time is cut into spans: in most of them
  either one thread is awake or all are, whichever answered more in its last span, and now and then the other
  way is tried again.

Stands in for waitress's `ThreadedTaskDispatcher`. Knows nothing of requests.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from math import inf
from threading import Lock, Thread
from typing import Any

log = logging.getLogger("minihttp.server")

_STUCK_SECONDS = 0.001
_MAX_PAUSES = 10  # of `stuck_seconds`, so that the main loop hears of new connections
_SPAN_SECONDS = 0.25
_SPANS_BETWEEN_TRIALS = 32


class _Span:
    """A stretch of time, and how busy it was."""

    __slots__ = ("began", "busy_polls", "polls", "taken")

    def __init__(self, began: float, taken: int) -> None:
        self.began, self.taken = began, taken
        self.polls = self.busy_polls = 0


class Dispatcher:
    """Runs `task.service()` for each task added, in one of `count` threads.

    Args:
        count: how many tasks may run at the same time.
        name: what the threads are called.
        stuck_seconds: after how long without a task taken another thread is woken.
        clock: seconds, from any moment on.

    Attributes:
        queue: what no thread has taken yet.
        all: whether all threads may be awake, not only one and those that are stuck.
    """

    def __init__(
        self,
        count: int,
        name: str = "handler",
        stuck_seconds: float = _STUCK_SECONDS,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.count, self.stuck_seconds = count, stuck_seconds
        self._clock = clock
        self.queue: deque[Any] = deque()
        self._sleeping: list[Lock] = []  # the last to fall asleep wakes first: its caches are warm
        self._drained = Lock()  # released when the queue is empty and the main loop is `_settling`
        self._drained.acquire()
        self._settling = False
        self._progress_at, self._taken_then = clock(), 0  # when a task was last taken, or none waited
        self._taken = 0  # tasks, ever; a lost count does no harm
        self._wanted = 1  # how many threads may be awake, unless `all`: one and those that are stuck
        self.all = False
        self._rates = {False: inf, True: inf}  # tasks a second in the last span with one thread, with all
        self._span = _Span(clock(), 0)
        self._spans = 0
        self._ending = False
        self._threads = [Thread(target=self._run, name=f"{name}-{n}", daemon=True) for n in range(count)]
        for thread in self._threads:
            thread.start()

    def add_task(self, task: Any) -> None:
        """Queues a task, from a thread that is not the main loop's; that one appends to `queue`."""
        self.queue.append(task)
        self._wake()

    @property
    def busy(self) -> int:
        """How many threads run a task."""
        return self._awake()

    def stalled_seconds(self) -> float:
        """For how long tasks have waited of which no thread took any; 0 when that is not so."""
        return self._clock() - self._progress_at if self.queue and self._awake() == self.count else 0.0

    def drain(self) -> bool:
        """Has the queue taken, and sleeps meanwhile, for some milliseconds at most; for the main loop.

        Returns:
            Whether it is to be called again soon.
        """
        self._measure(self._clock())
        woken = 0
        while woken < len(self.queue) and self._wake():
            woken += 1
        if woken == len(self.queue) or self.all:
            return False
        self._drained.acquire(blocking=False)  # it may have been released after the last time was up
        self._settling = True
        pauses = _MAX_PAUSES
        while self.queue and pauses and self._pause():
            pauses -= 1
        self._settling = False
        return bool(self.queue and self._sleeping)

    def _pause(self) -> bool:
        """Sleeps until the queue is empty or time is up; wakes a thread if meanwhile none took a task.

        Returns:
            False when all threads are stuck.
        """
        taken = self._taken
        self._drained.acquire(timeout=self.stuck_seconds)
        if not self.queue or taken != self._taken:
            return True
        self._wanted = min(self._awake() + 1, self.count)
        return self._wake()

    def shutdown(self, timeout: float) -> None:
        """Cancels what is queued and ends the threads, waiting at most `timeout` seconds for those busy."""
        self._ending = True
        with suppress(IndexError):
            while True:
                self.queue.popleft().cancel()
        self.all = True
        while self._wake():
            pass
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _wake(self) -> bool:
        """Wakes a thread if more may be awake than are; says whether it did."""
        if self.all or self._awake() < self._wanted:
            try:
                self._sleeping.pop().release()
                return True
            except IndexError:  # another thread has just woken the last one
                pass
        return False

    def _awake(self) -> int:
        return self.count - len(self._sleeping)

    def _run(self) -> None:
        bell = Lock()
        bell.acquire()
        while True:
            try:
                task = self.queue.popleft()
            except IndexError:
                if self._ending:
                    return
                self._sleep(bell)
                continue
            self._taken += 1
            began = self._clock()
            try:
                task.service()
            except BaseException:
                log.exception("a task let an error out")
            if self._wanted > 1 and self._clock() - began > self.stuck_seconds:
                self._wanted -= 1  # it was stuck, and is no more

    def _sleep(self, bell: Lock) -> None:
        self._sleeping.append(bell)
        if self.queue or self._ending:  # since we looked; nobody may have seen that we need waking
            try:
                self._sleeping.remove(bell)
                return
            except ValueError:  # woken already
                pass
        elif self._settling:
            with suppress(RuntimeError):  # another thread has released it
                self._drained.release()
        bell.acquire()

    def _measure(self, now: float) -> None:
        """After each poll of the main loop; at the end of a span, choose how many are awake in the next."""
        if self._taken != self._taken_then or not self.queue:
            self._progress_at, self._taken_then = now, self._taken
        span = self._span
        span.polls += 1
        span.busy_polls += len(self.queue) + self._awake() > 2
        seconds = now - span.began
        if seconds < _SPAN_SECONDS:
            return
        if 2 * span.busy_polls > span.polls:
            self._rates[self.all] = (self._taken - span.taken) / seconds
            self._spans += 1
            more = self._rates[True] > self._rates[False]
            self._choose(more if self._spans % _SPANS_BETWEEN_TRIALS else not more)
        else:
            self._choose(False)
        self._span = _Span(now, self._taken)

    def _choose(self, all: bool) -> None:
        if all is not self.all:
            self.all, self._wanted = all, 1
