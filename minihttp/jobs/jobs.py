# SPDX-License-Identifier: MIT
"""`Jobs` puts durable work together: who stores jobs, who runs them, and the maintenance in between.

`store.py` and `executor.py` know the rows, `workers.py` the threads.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from ..errors import ConfigurationError, StorageUnavailableError
from ..limits import DEFAULT_LIMITS, Limits
from .crash_notes import CrashNotes
from .cron_runs import CronRuns
from .crons import Crons
from .executor import Executor
from .scheduler import Scheduler
from .store import CLAIM_SECONDS, CLAIMED, JOB_TABLES, JobStore, due_order
from .workers import WorkerPool

if TYPE_CHECKING:
    from ..data.catalog import Document
    from ..data.database import Database, Transaction
    from ..functions.calls import CallInfo
    from ..functions.runner import Runner

__all__ = ["JOB_TABLES", "Jobs"]
log = logging.getLogger("minihttp.jobs")
_COUNTED = 1_000  # jobs of a pool that are due, for the plot of the queue
_CLAIMED_AT_ONCE = 64  # by a call that runs what is due
_CHORES_SECONDS = 60.0  # after which another process may remove what has expired
_SETTLING_SECONDS = 3.0  # a few looks of the workers: others have renewed their leases by then if they can


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
        notes_path: a file beside the database for `CrashNotes`; None where there is no such place.

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
        notes_path: str | None = None,
    ) -> None:
        if not isinstance(workers, int) or isinstance(workers, bool) or workers < 0:
            raise ConfigurationError(f"workers must be an integer from 0, not {workers!r}")
        self._database = database
        self._runner = runner
        self._limits = limits
        self._workers = workers
        self._alone = alone
        self._stopped = threading.Event()  # of the present or the last worker pool
        self._stopped.set()
        self._pool: WorkerPool | None = None
        self._starting = threading.Lock()
        self.store = JobStore(database, limits, clock, self._offer, self._reserve)
        self._notes = CrashNotes(notes_path)
        pause = lambda seconds: self._stopped.wait(seconds)  # noqa: E731
        self._executor = Executor(self.store, runner, pause, self._notes, self._claims_of_workers)
        self._crons = CronRuns(self.store, runner, crons)
        self._next_maintenance = -math.inf
        self._reached_at = self._judges_from = -math.inf
        self._listens = False
        self._scheduled_meanwhile: set[str] | None = (
            None  # during `run_due`: what it leaves for the next call
        )
        self.expired: list[Callable[[Transaction], list[Document]]] = [
            self.store.expired
        ]  # each finds some rows that are to go

    def scheduler(self, transaction: Transaction | None = None, call: CallInfo | None = None) -> Scheduler:
        """What `ctx.scheduler` is: of a mutation with its transaction, of anybody else without."""
        return Scheduler(self.store, self._runner, transaction, call)

    @property
    def owner(self) -> str:
        """The name by which this process claims jobs."""
        return self._executor.owner

    def lease(self, name: str, seconds: float) -> bool:
        """Whether this process may do what only one of all may, until the lease ends or it asks again."""
        return self.store.lease(name, self._executor.owner, seconds)

    # ------------------------------------------------------------ running

    def run_due(self) -> int:
        """Run all jobs that are due now, one after the other in this thread; returns how many ran.

        Jobs that these schedule are left for the next call.
        """
        while self._clean_up():
            pass
        self._crons.tick()
        count, self._scheduled_meanwhile = 0, set()
        try:
            for row in self.store.all_due(self.store.now_ms()) if self._alone else self._claims():
                if row["_id"] not in self._scheduled_meanwhile:
                    count += self._executor.run(row["_id"], self.store.call_of(row)[0], row)
        finally:
            self._scheduled_meanwhile = None
            if not self._alone:
                self._release()
        return count

    def _claims(self) -> Iterator[Document]:
        """The rows of all jobs that are due, once they are claimed, until there are no others than those that
        were scheduled meanwhile."""
        claim = partial(self.store.claim_due, owner=self._executor.owner, room=_CLAIMED_AT_ONCE)
        while True:
            found = self._database.write(claim, any_thread=True, by_locks=True)
            rows = [row for _, some, _ in found for row in some if row["queue"].startswith(CLAIMED)]
            yield from sorted(rows, key=due_order)
            if all(row["_id"] in (self._scheduled_meanwhile or ()) for row in rows):
                return

    def plan_crons(self) -> None:
        """Note when each cron runs next, from now on; a worker does so when it starts."""
        self._crons.tick()

    def start(self) -> None:
        """Start the worker threads, unless they run or there are to be none; also in a forked child."""
        with self._starting:
            if self._workers and (self._pool is None or not self._pool.alive()):
                self._stopped = threading.Event()
                self._next_maintenance = -math.inf
                calls = self._executor.run, self._executor.submit, self._maintain
                owner = None if self._alone else self._executor.owner
                self._pool = WorkerPool(self.store, *calls, self._workers, self._stopped, owner)
                self._pool.start()
                if not self._alone and not self._listens:
                    self._listens = True
                    self._database.listen(self._heard)

    def stop(self, timeout_seconds: float = 30.0) -> bool:
        """Take no further jobs, and wait for those that run.

        Returns:
            Whether all ended in time. An action that did not is failed (or retried) by the next process.
        """
        with self._starting:
            pool, self._pool = self._pool, None
        ended = pool is None or pool.stop(timeout_seconds)
        if pool is not None and not self._alone:
            self._release()
        if not ended:
            log.warning("jobs: some still run after %.3g s and are not waited for", timeout_seconds)
        if ended:
            self._notes.close()
        return ended

    def _reserve(self, name: str) -> tuple[str, Callable[[], None]] | None:
        pool = self._pool
        return None if pool is None else pool.reserve(name)

    def _offer(self, row: Document) -> None:
        """A pending job is durable."""
        pool, meanwhile, is_due = self._pool, self._scheduled_meanwhile, row["dueTime"] <= self.store.now_ms()
        if pool is None and row["queue"].startswith(CLAIMED):  # its worker has been stopped meanwhile
            self._release()
            return
        if meanwhile is not None and is_due:
            meanwhile.add(row["_id"])
        if pool is not None:
            pool.offer(row)
        if not self._alone and is_due and (pool is None or pool.busy()):
            self._database.notify()

    def _release(self) -> None:
        """Let other processes run what this one has claimed and does not run."""
        with suppress(StorageUnavailableError):  # then their lease has to end
            self._executor.release()
            self._database.notify()

    def _heard(self) -> None:
        """Another process has news."""
        pool = self._pool
        if pool is not None:
            pool.wake(-math.inf)

    def _claims_of_workers(self) -> Collection[str]:
        pool = self._pool
        return () if pool is None else pool.claims()

    def _maintain(self) -> float:
        """Maintenance and crons; returns when it wants to be called next, in milliseconds since the epoch."""
        now = time.monotonic()
        if now >= self._next_maintenance:
            more = self._clean_up()  # if it fails, it is tried again at the next look
            self._next_maintenance = now if more else now + self._lease_seconds / 3
            self._runner.statistics.saw_queue(self._count_due)
        next_cron_ms = self._crons.tick()
        return self.store.now_ms() if self._next_maintenance <= now else next_cron_ms

    def _count_due(self) -> int:
        return self._database.read(lambda transaction: self.store.count_due(transaction, _COUNTED))

    def _clean_up(self) -> bool:
        """Returns whether some remain: due jobs do not wait until all that has expired is removed."""
        if not self._alone:
            self._executor.renew()
        self._executor.run_suspects()
        if self._alone or self._may_judge():
            self._executor.recover(alone=self._alone)
        self._reached_at = time.monotonic()
        if not self._alone and not self.lease("expired", min(_CHORES_SECONDS, 2 * self._lease_seconds)):
            return False
        found = [expired for expired in self.expired if self._database.read(expired)]
        for expired in found:
            self._database.write(partial(self._delete, expired))
        return bool(found)

    def _may_judge(self) -> bool:
        """Whether a lease that has ended shows that its process is gone. If the database was out of reach for
        half a lease, the others may live, and could not renew theirs: they get time to do so."""
        self._database.read(lambda transaction: transaction.engine.get(""))  # waits while it is out of reach
        now, seconds = time.monotonic(), self._lease_seconds
        if -math.inf < self._reached_at < now - max(seconds / 2, _SETTLING_SECONDS):
            self._judges_from = now + max(seconds / 3, _SETTLING_SECONDS)
        return now >= self._judges_from

    @property
    def _lease_seconds(self) -> float:
        """The shorter one of a job that runs and of one that is claimed."""
        seconds = self._limits.job_lease_seconds
        return seconds if self._alone else min(seconds, CLAIM_SECONDS)

    def _delete(self, find: Callable[[Transaction], list[Document]], transaction: Transaction) -> None:
        for row in find(transaction):
            self.store.remove(transaction, row)
