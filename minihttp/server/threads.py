# SPDX-License-Identifier: MIT
"""The handler threads, as few of them awake as will do.

Two threads that want the interpreter take it from each other at every system call, and on two cores these
exchanges cost more than a short request does. So the main loop hands over what arrived in one turn, and
sleeps while one thread answers it all. More threads are woken

* one by one, while none of those awake has taken a task for `stuck_seconds`;
* all, for half a second, when tasks wait for something (a disk, another server) a tenth of a millisecond on
  average: then they had better wait together.

Stands in for waitress's `ThreadedTaskDispatcher`. Knows nothing of requests.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any

log = logging.getLogger("minihttp.server")

_STUCK_SECONDS = 0.001
_MAX_PAUSES = 10  # of `stuck_seconds`, so that the main loop hears of new connections
_WAITING_SECONDS = 0.000_1
_MAX_SAMPLE_SECONDS = 0.000_5  # one long wait, or a pause of the machine, says little of the next request
_SMOOTHING = 16  # tasks, about, over which waiting is averaged
_WIDE_SECONDS = 0.5


class Threads:
    """Runs `task.service()` for each task added, in one of `count` threads.

    Args:
        count: how many tasks may run at the same time.
        name: what the threads are called.
        stuck_seconds: after how long without a task taken another thread is woken.

    Attributes:
        queue: what no thread has taken yet.
    """

    def __init__(self, count: int, name: str = "handler", stuck_seconds: float = _STUCK_SECONDS) -> None:
        self.count, self.stuck_seconds = count, stuck_seconds
        self.queue: deque[Any] = deque()
        self._sleeping: list[Lock] = []  # the last to fall asleep wakes first: its caches are warm
        self._drained: SimpleQueue[None] = SimpleQueue()
        self._settling = False  # whether the main loop waits for `_drained`
        self._taken = 0  # tasks, ever; a lost count does no harm
        self._wanted = 1  # how many threads may be awake: one, and those that are stuck
        self._waiting_seconds = 0.0  # how long a task waits, on average
        self._wide_until = 0.0
        self._ending = False
        self._threads = [Thread(target=self._run, name=f"{name}-{n}", daemon=True) for n in range(count)]
        for thread in self._threads:
            thread.start()

    def add_task(self, task: Any) -> None:
        """Queues a task, from a thread that is not the main loop's; that one appends to `queue`."""
        self.queue.append(task)
        self._wake()

    def settle(self) -> bool:
        """Has the queue taken, and sleeps meanwhile, for some milliseconds at most; for the main loop.

        Returns:
            Whether it is to be called again soon.
        """
        woken = 0
        while woken < len(self.queue) and self._wake():
            woken += 1
        if woken == len(self.queue) or self._wide_until:
            return False
        self._settling = True
        pauses = _MAX_PAUSES
        while self.queue and pauses and self._pause():
            pauses -= 1
        self._settling = False
        return not pauses

    def _pause(self) -> bool:
        """Sleeps until the queue is empty or time is up; wakes a thread if meanwhile none took a task.

        Returns:
            False when all threads are stuck.
        """
        taken = self._taken
        with suppress(Empty):
            self._drained.get(timeout=self.stuck_seconds)
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
        self._wanted = self.count
        while self._wake():
            pass
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _wake(self) -> bool:
        """Wakes a thread if more may be awake than are; says whether it did."""
        if self._awake() < self._wanted:
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
            began, busy = time.perf_counter(), time.thread_time()
            try:
                task.service()
            except BaseException:
                log.exception("a task let an error out")
            now = time.perf_counter()
            self._learn(now, now - began, time.thread_time() - busy)

    def _sleep(self, bell: Lock) -> None:
        self._sleeping.append(bell)
        if self.queue or self._ending:  # since we looked; nobody may have seen that we need waking
            try:
                self._sleeping.remove(bell)
                return
            except ValueError:  # woken already
                pass
        elif self._settling:
            self._drained.put(None)
        bell.acquire()

    def _learn(self, now: float, seconds: float, busy_seconds: float) -> None:
        """After each task: how many threads are wanted from now on."""
        if self._wide_until:
            if now > self._wide_until:
                self._wide_until, self._waiting_seconds, self._wanted = 0.0, 0.0, 1
            return
        sample = min(seconds - busy_seconds, _MAX_SAMPLE_SECONDS)
        self._waiting_seconds += (sample - self._waiting_seconds) / _SMOOTHING
        if self._waiting_seconds > _WAITING_SECONDS:
            self._wide_until, self._wanted = now + _WIDE_SECONDS, self.count
            for _ in range(len(self.queue)):
                self._wake()
        elif seconds > self.stuck_seconds and self._wanted > 1:
            self._wanted -= 1
