# SPDX-License-Identifier: MIT
"""The worker pool: one thread looks for due jobs, and N threads run them; in one process alone, mutations are
submitted to the thread that writes for all instead.

The first reads due rows into pools, in due order; it is woken after the commit of each new job that is due
before its next look, and looks at least once a second, which is how it notices a clock that jumps and jobs
of other processes. What it reads are candidates only: a job is claimed in the transaction that runs it, so
a stale one does no harm. Where several processes run jobs, each claims those that are to wait here: the first
thread for some at once, or the transaction that commits a job, which has reserved a worker for it.
Knows nothing of rows' states and of functions: `executor.py` runs a job.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import TYPE_CHECKING

from ..errors import StorageUnavailableError
from .store import CLAIMED, PENDING, SUSPECTS, JobStore, due_ms, pool_of

if TYPE_CHECKING:
    from ..data.catalog import Document
    from ..data.database import Transaction

log = logging.getLogger("minihttp.jobs")

_LOOK_SECONDS = 1.0
_MUTATIONS = ("mutation", SUSPECTS)  # their pools
Found = tuple[str, "list[Document]", bool]
"""Of a pool its name, its first rows, and whether there are no others."""

Landed = Callable[["bool | None", "BaseException | None"], None]

_MAX_SUBMITTED = 16  # mutations at a time: whoever else writes waits for them
_READ_AHEAD = 64  # candidates of one pool; more would only grow stale
_MAX_PAUSE_SECONDS = 10.0


class _Pool:
    """Jobs that share a limit: those of a pool, or all other actions, or all other mutations.

    Attributes:
        waiting: candidates in due order.
        running: how many of them run now, at most `limit`.
        more: whether the last look left due jobs behind in the store.
        reserved: for how many jobs a worker is kept that are not committed yet.
    """

    __slots__ = ("limit", "more", "reserved", "running", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[Document] = deque()
        self.running = 0
        self.limit = 1
        self.more = False
        self.reserved = 0


class WorkerPool:
    """Worker threads, from `start` to `stop`.

    One of them is kept for mutations, which are short: other pools together get at most `workers - 1` (one
    of one), so that due mutations never wait behind long actions.

    Args:
        run: runs one job by id, function name and row as last known, and says whether it ran.
        submit: begins to run the mutation of a row, and calls what it is given with whether it ran, or with
            an error; False for what is no mutation.
        maintain: called at each look; returns when it wants to be called next, in milliseconds since the
            epoch.
        workers: how many jobs may run side by side.
        stopped: set when the threads are to end.
        owner: by which name to claim jobs before they wait here, where several processes run them: then each
            mutation takes a worker, since they are written side by side.
    """

    def __init__(
        self,
        store: JobStore,
        run: Callable[[str, str, Document], bool],
        submit: Callable[[Document, Landed], bool],
        maintain: Callable[[], float],
        workers: int,
        stopped: threading.Event,
        owner: str | None = None,
    ) -> None:
        self._owner = owner
        self._submit = submit
        self._store = store
        self._run = run
        self._maintain = maintain
        self._workers = workers
        self._most_others = max(1, workers - 1)
        self._stopped = stopped
        self._changed = threading.Condition()
        self._pools: dict[str, _Pool] = {}
        self._submitted = _Pool()  # what runs in no thread of ours
        self._submitted.limit = _MAX_SUBMITTED
        if owner is None:
            self._pools["mutation"] = self._submitted
        self._is_failing = False  # the database, when the last mutation was submitted
        self._known: set[str] = set()
        self._news = threading.Event()
        self._next_look_ms = math.inf
        self._has_looked = False
        names = ["minihttp-jobs", *(f"minihttp-job-{n}" for n in range(1, workers + 1))]
        targets = [self._look_out, *[self._work] * workers]
        self._threads = [
            threading.Thread(target=target, name=name, daemon=True)
            for target, name in zip(targets, names, strict=True)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def alive(self) -> bool:
        """Whether the threads run: after a fork they do so in the parent only."""
        return self._threads[0].is_alive()

    def wake(self, due_ms: float) -> None:
        """Look again, if a job with this due time could matter before the next look."""
        if due_ms <= self._next_look_ms and not self._news.is_set():
            self._news.set()

    def reserve(self, name: str) -> tuple[str, Callable[[], None]] | None:
        """Keep a worker for a job of a pool that is about to be committed as a claimed one: by whom, and a
        call that gives the worker back; None if none is idle.
        """
        owner = self._owner
        if owner is None or self._stopped.is_set():
            return None
        with self._changed:
            pools = {**self._pools, name: self._pools.get(name) or _Pool()}
            alike = [p for other, p in pools.items() if (other in _MUTATIONS) == (name in _MUTATIONS)]
            most = self._workers if name in _MUTATIONS else self._most_others
            if sum(map(_taken, pools.values())) >= self._workers or sum(map(_taken, alike)) >= most:
                return None
            self._pools = pools
            pools[name].reserved += 1
        return owner, lambda: self._free(pools[name])

    def _free(self, pool: _Pool) -> None:
        with self._changed:
            pool.reserved -= 1

    def offer(self, row: Document) -> None:
        """A job has become pending: it goes to the workers at once where none that is due earlier may be left
        in the store.
        """
        if row["queue"].startswith(CLAIMED):
            with self._changed:
                self._enter(self._pools.setdefault(pool_of(row), _Pool()), [row])
            return
        if self._owner is None and self._has_looked and row["dueTime"] <= self._store.now_ms():
            name = row["queue"].removeprefix(PENDING)
            with self._changed:
                pool = self._pools.setdefault(name, _Pool())
                pool.more = pool.more or len(pool.waiting) >= _READ_AHEAD
                is_taken = not pool.more and row["_id"] not in self._known
                if is_taken:
                    self._enter(pool, [row])
            if is_taken:
                self._launch()
                return
        self.wake(row["dueTime"])

    def busy(self) -> bool:
        """Whether as many jobs are known here as there are workers."""
        return len(self._known) >= self._workers

    def claims(self) -> Collection[str]:
        """The jobs that are known here and have not ended."""
        with self._changed:
            return set(self._known)

    def stop(self, timeout_seconds: float) -> bool:
        """Let the running jobs end; returns whether all of them did in time."""
        deadline = time.monotonic() + timeout_seconds
        with self._changed:
            self._stopped.set()
            self._news.set()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        with self._changed:
            left_seconds = max(0.0, deadline - time.monotonic())
            have_landed = self._changed.wait_for(lambda: not self._submitted.running, left_seconds)
        return have_landed and not any(thread.is_alive() for thread in self._threads)

    # ------------------------------------------------------------ looking

    def _look_out(self) -> None:
        while not self._stopped.is_set():
            self._news.clear()
            self._next_look_ms = math.inf  # while it looks, any new job is news
            next_ms = min(_guarded(self._maintain), _guarded(self._fill))
            self._has_looked = True
            self._next_look_ms = next_ms
            until_next = (next_ms - self._store.now_ms()) / 1000
            self._news.wait(max(0.0, min(until_next, _LOOK_SECONDS)))

    def _fill(self) -> float:
        """Take due jobs into the pools; returns when the next one is due, in milliseconds since the epoch."""
        look = partial(self._store.database.read, self._candidates)
        found = look() if self._owner is None else self._claimed(self._owner, look)
        now = self._store.now_ms()
        next_ms = math.inf
        with self._changed:
            for name, rows, complete in found:
                pool = self._pools.setdefault(name, _Pool())
                due = [row for row in rows if due_ms(row) <= now]
                pool.more = not complete and len(due) == len(rows)
                if len(due) < len(rows):
                    next_ms = min(next_ms, due_ms(rows[len(due)]))
                self._enter(pool, [row for row in due if row["_id"] not in self._known])
            for name, pool in list(self._pools.items()):
                if not _taken(pool) and pool is not self._submitted:
                    del self._pools[name]  # it is done with
            self._is_failing = False
        self._launch()
        return next_ms

    def _claimed(self, owner: str, look: Callable[[], list[Found]]) -> list[Found]:
        """What is due, once it is claimed, and what is due next. While more is known to be due, nothing is
        looked at but what is claimed."""
        room = 2 * self._workers - len(self._known)
        if room <= 0 or not any(pool.more for pool in self._pools.values()):
            found, now = look(), self._store.now_ms()
            due = [(name, [row for row in rows if row["dueTime"] > now], False) for name, rows, _ in found]
            if room <= 0 or all(rows for _, rows, _ in due):
                return due
        return self._store.database.write(
            lambda transaction: self._store.claim_due(transaction, owner, room),
            any_thread=True,
            by_locks=True,
        )

    def _candidates(self, transaction: Transaction) -> list[tuple[str, list[Document], bool]]:
        """Of each pool that has room: its name, its first rows, and whether these are all."""
        limit = _READ_AHEAD + len(self._known) if self._owner is None else 1
        found = []
        for name in self._store.pools(transaction):
            pool = self._pools.get(name)
            if pool is None or len(pool.waiting) <= self._workers:
                rows = self._store.due_jobs(transaction, f"pending:{name}", limit)
                found.append((name, rows, len(rows) < limit))
        return found

    def _enter(self, pool: _Pool, rows: Iterable[Document]) -> None:
        for row in rows:
            pool.waiting.append(row)
            self._known.add(row["_id"])
            if pool is not self._submitted:
                pool.limit = row.get("maxParallel", self._workers)
                self._changed.notify()

    # ------------------------------------------------------------ running

    def _launch(self) -> None:
        """Submit mutations that wait, as far as there is room."""
        pool = self._submitted
        while True:
            with self._changed:
                is_held = self._is_failing or self._stopped.is_set()
                if is_held or not pool.waiting or pool.running >= pool.limit:
                    return
                row = pool.waiting.popleft()
                pool.running += 1
            try:
                is_submitted = self._submit(row, partial(self._landed, row))
            except Exception as error:
                self._landed(row, None, error)
                return
            if not is_submitted:  # its function is something else by now
                with self._changed:
                    pool.running -= 1
                    self._enter(self._pools.setdefault("action", _Pool()), [row])

    def _landed(self, row: Document, ran: bool | None, error: BaseException | None) -> None:
        """What was submitted has ended; after an error nothing is submitted before another has succeeded, or
        the next look."""
        was_failing, self._is_failing = self._is_failing, error is not None
        if error is not None and not was_failing:
            _log_failure(self._store.call_of(row)[0], error)
        self._give_back(self._submitted, row, ran)
        self._launch()

    def _work(self) -> None:
        failures = 0
        while (taken := self._take()) is not None:
            pool, row = taken
            name, ran = self._store.call_of(row)[0], False
            try:
                ran = self._run(row["_id"], name, row)
                failures = 0
            except BaseException as error:  # a thread that dies would take all later jobs with it
                failures += 1
                _log_failure(name, error)
            self._give_back(pool, row, ran)
            if failures:
                self._stopped.wait(min(_MAX_PAUSE_SECONDS, 0.05 * 2 ** min(failures, 10)))

    def _take(self) -> tuple[_Pool, Document] | None:
        """The next candidate and its pool; waits for one, and gives None at the end."""
        with self._changed:
            while not self._stopped.is_set():
                pool = self._next_pool()
                if pool is not None:
                    pool.running += 1
                    return pool, pool.waiting.popleft()
                self._changed.wait()
        return None

    def _next_pool(self) -> _Pool | None:
        """Of the pools below their limits, the one whose first job has been due the longest."""
        mutations = [self._pools.get(name) for name in _MUTATIONS]
        others = sum(pool.running for pool in self._pools.values() if pool not in mutations)
        others_full = others >= self._most_others
        ready = [
            pool
            for pool in self._pools.values()
            if pool is not self._submitted
            and pool.waiting
            and pool.running < pool.limit
            and (pool in mutations or not others_full)
        ]
        return min(ready, key=lambda pool: due_ms(pool.waiting[0]), default=None)

    def _give_back(self, pool: _Pool, row: Document, ran: bool | None) -> None:
        """A job does not run any more; None: it is to be found by the next look, which is not hurried."""
        with self._changed:
            pool.running -= 1
            self._known.discard(row["_id"])
            pool.more = pool.more or ran is None
            if ran is False or (ran and pool.more and len(pool.waiting) <= self._workers):
                self._news.set()
            if self._stopped.is_set():
                self._changed.notify_all()
            elif pool is not self._submitted:
                self._changed.notify()


def _log_failure(name: str, error: BaseException) -> None:
    if isinstance(error, StorageUnavailableError):
        log.warning("jobs: %s has to wait, the database does not answer: %s", name, error)
    else:
        log.error("jobs: running %s failed", name, exc_info=error)


def _taken(pool: _Pool) -> int:
    """How many workers its jobs have, are to have, or wait for."""
    return len(pool.waiting) + pool.running + pool.reserved


def _guarded(look: Callable[[], float]) -> float:
    """What a look returns; if it fails, that nothing is due before the next look, a second later."""
    try:
        return look()
    except StorageUnavailableError as error:
        log.warning("jobs: the database does not answer: %s", error)
    except Exception:
        log.exception("jobs: looking for due jobs failed")
    return math.inf
