# SPDX-License-Identifier: MIT
"""`Jobs`: durable work put together: who writes jobs down, who runs them, and the chores in between.

Knows no rows and no threads itself: `diary.py` and `attempt.py` have the one, `hand.py` the other.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from ..errors import ConfigurationError
from ..limits import DEFAULT_LIMITS, Limits
from . import rate_limit
from .attempt import Attempts
from .cron_runs import CronRuns
from .crons import Crons
from .diary import JOB_TABLES, PENDING, Diary, Row
from .hand import Hand
from .scheduler import Scheduler

if TYPE_CHECKING:
    from ..data.database import Database, Transaction
    from ..functions.context import Call
    from ..functions.runner import Runner

__all__ = ["JOB_TABLES", "Jobs"]
log = logging.getLogger("minihttp.jobs")


class Jobs:
    """The jobs of one app.

    Args:
        database: where they are kept, with `JOB_TABLES` among its system tables.
        runner: runs their functions.
        clock: Unix seconds; may jump.
        crons: the cron jobs.
        workers: how many jobs may run side by side once it is started.
        alone: whether no other process runs jobs of this database: then actions that were running when the
            last process died are failed at once, otherwise when their lease ends.

    Raises:
        ConfigurationError: for fewer than 0 workers; CronError: for a cron that cannot run.
    """

    def __init__(
        self,
        database: Database,
        runner: Runner,
        *,
        clock: Callable[[], float] = time.time,
        limits: Limits = DEFAULT_LIMITS,
        crons: Crons | None = None,
        workers: int = 4,
        alone: bool = True,
    ) -> None:
        if not isinstance(workers, int) or isinstance(workers, bool) or workers < 0:
            raise ConfigurationError(f"workers must be an integer from 0, not {workers!r}")
        self._database = database
        self._runner = runner
        self._limits = limits
        self._workers = workers
        self._alone = alone
        self._stopped = threading.Event()  # of the present or the last hand
        self._stopped.set()
        self._hand: Hand | None = None
        self._starting = threading.Lock()
        self.diary = Diary(database, limits, clock, self._wake)
        self._attempts = Attempts(self.diary, runner, lambda seconds: self._stopped.wait(seconds))
        self._crons = CronRuns(self.diary, runner, crons)
        self._next_chores = -math.inf
        self.outlived = [self.diary.outlived, rate_limit.outlived]  # each finds some rows that are to go

    def scheduler(self, transaction: Transaction | None = None, call: Call | None = None) -> Scheduler:
        """What `ctx.scheduler` is: of a mutation with its transaction, of anybody else without."""
        return Scheduler(self.diary, self._runner, transaction, call)

    # ------------------------------------------------------------ running

    def run_due(self) -> int:
        """Run all jobs that are due now, one after the other in this thread; returns how many ran.

        Jobs that these schedule are left for the next call.
        """
        while self._do_chores():
            pass
        self._crons.tick()
        due = self._database.read(self._due)
        return sum(self._attempts.run(job_id, name) for _, job_id, name in sorted(due))

    def _due(self, transaction: Transaction) -> list[tuple[float, str, str]]:
        now = self.diary.now_ms()
        found = []
        for lane in self.diary.lanes(transaction):
            rows = self.diary.first(transaction, PENDING + lane, until_ms=now)
            found += [(row["dueTime"], row["_id"], row["name"]) for row in rows]
        return found

    def start(self) -> None:
        """Start the worker threads, unless they run or there are to be none; also in a forked child."""
        with self._starting:
            if self._workers and (self._hand is None or not self._hand.alive()):
                self._stopped = threading.Event()
                self._next_chores = -math.inf
                run, keep_house = self._attempts.run, self._keep_house
                self._hand = Hand(self.diary, run, keep_house, self._workers, self._stopped)
                self._hand.start()

    def stop(self, timeout_seconds: float = 30.0) -> bool:
        """Take no further jobs, and wait for those that run.

        Returns:
            Whether all ended in time. An action that did not is failed (or retried) by the next process.
        """
        with self._starting:
            hand, self._hand = self._hand, None
        ended = hand is None or hand.stop(timeout_seconds)
        if not ended:
            log.warning("jobs: some still run after %.3g s and are not waited for", timeout_seconds)
        return ended

    def _wake(self, due_ms: float) -> None:
        hand = self._hand
        if hand is not None:
            hand.wake(due_ms)

    def _keep_house(self) -> float:
        """Chores and crons; returns when it wants to be called next, in milliseconds since the epoch."""
        now = time.monotonic()
        if now >= self._next_chores:
            self._next_chores = now + self._limits.job_lease_seconds / 3
            if self._do_chores():
                self._next_chores = now
        next_cron_ms = self._crons.tick()
        return self.diary.now_ms() if self._next_chores <= now else next_cron_ms

    def _do_chores(self) -> bool:
        """Returns whether some remain: due jobs do not wait until all is removed that outlived its time."""
        if not self._alone:
            self._attempts.renew()
        self._attempts.recover(alone=self._alone)
        found = [outlived for outlived in self.outlived if self._database.read(outlived)]
        for outlived in found:
            self._database.write(partial(_delete, outlived))
        return bool(found)


def _delete(find: Callable[[Transaction], list[Row]], transaction: Transaction) -> None:
    for row in find(transaction):
        transaction.system.delete(row["_id"])
