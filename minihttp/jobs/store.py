# SPDX-License-Identifier: MIT
"""Jobs as documents of `_scheduled_functions`, and every change of state that such a row may make.

Each method writes into a transaction that somebody else opened, so that a job's state and its effects share
one commit. The one index is by (`queue`, `dueTime`): `queue` is the state, for a pending job "pending:" and
its pool, and `dueTime` is when the row next wants attention: its start, the end of its lease, or its
removal. Where several processes run jobs, one claims a pending job before it runs it: its queue is "claimed:"
and that process, until its lease ends. Knows no threads and runs nothing.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any

from ..data.schema import Table
from ..data.validators import v
from ..errors import DocumentError
from ..values import show

if TYPE_CHECKING:
    from ..data.catalog import Document
    from ..data.database import Database, Transaction
    from ..data.documents import PreparedDocument
    from ..limits import Limits

DUE_PAGE = 500  # rows that are read at a time
JOBS = "_scheduled_functions"
CRONS = "_cron_jobs"
LEASES = "_leases"
JOB_TABLES: dict[str, Table] = {
    JOBS: Table(v.any()).index("by_queue", ["queue", "dueTime"]),
    CRONS: Table(v.any()).index("by_name", ["name"]),
    LEASES: Table(v.any()).index("by_name", ["name"]),
}
"""The system tables of this room. Of a job, Convex's fields are `name`, `args` (a list of one object),
`scheduledTime` and `completedTime` (milliseconds) and `state` (`kind`, and `error` when failed)."""

DONE = ("success", "failed", "canceled")
STATES = ("pending", "inProgress", *DONE)
PENDING = "pending:"
CLAIMED = "claimed:"
_PENDING_END = "pending;"  # what follows every queue of pending jobs
_READ_FOR_A_PAGE = 500
SUSPECTS = "suspects"
_CLAIM_SECONDS = 30.0  # how long a process may have a claimed job before it runs; renewed
_PRUNED_AT_ONCE = 100  # a transaction holds the one write lock


def new_row(name: str, args: Mapping[str, Any], kind: str, due_ms: float, **options: Any) -> Document:
    """A pending job.

    Args:
        name, kind: of the function.
        args: its arguments.
        due_ms: when it is to run, in milliseconds since the epoch.
        options: `lane` (instead of the kind: "pool:" and the name of a pool) and `maxParallel` of it,
            `retry` (a policy), `onComplete` (name and args; `unless` lists ends that it is not for),
            `completes` (the job whose `onComplete` this is), `requestId` (of the request that schedules it).
    """
    row = {"name": name, "args": [args], "scheduledTime": due_ms, "attempts": 0}
    return row | _pending(options.get("lane", kind), due_ms) | options


def _pending(pool: str, due_ms: float) -> Document:
    return {"state": {"kind": "pending"}, "queue": PENDING + pool, "dueTime": due_ms}


def _pool_of(row: Document) -> str:
    queue: str = row["queue"]
    return queue.removeprefix(PENDING) if queue.startswith(PENDING) else str(row["lane"])


class JobStore:
    """Reads and writes the rows of jobs.

    Args:
        wake: called after the commit of each new pending job with its due time in milliseconds.
    """

    def __init__(
        self, database: Database, limits: Limits, clock: Callable[[], float], wake: Callable[[float], None]
    ) -> None:
        self.database = database
        self.limits = limits
        self._clock = clock
        self._wake = wake

    def now_ms(self) -> float:
        return self._clock() * 1000

    # ------------------------------------------------------------ states

    def add(self, transaction: Transaction, row: Document, prepared: PreparedDocument | None = None) -> str:
        """Write a new job, perhaps one prepared before, and return its id."""
        job_id: str = transaction.system.add(prepared or self.prepare(row))
        transaction.after_commit(lambda: self._wake(row["dueTime"]))
        return job_id

    def prepare(self, row: Document) -> PreparedDocument:
        """A new job, ready to be added."""
        return self.database.prepare(JOBS, row)

    def claim(self, transaction: Transaction, row: Document, owner: str) -> None:
        """Mark a job as being run by `owner`, until its lease ends."""
        state = {"state": {"kind": "inProgress"}, "queue": "inProgress", "dueTime": self._lease_end_ms()}
        changes = {
            **state,
            "owner": owner,
            "attempts": row["attempts"] + 1,
            "lane": _pool_of(row),
        }
        transaction.system.patch(row["_id"], changes)

    def renew(self, transaction: Transaction, row: Document) -> None:
        """Begin the lease of a running job again."""
        transaction.system.patch(row["_id"], {"dueTime": self._lease_end_ms()})

    def postpone(self, transaction: Transaction, row: Document, delay_seconds: float, **changes: Any) -> None:
        """Let a job wait for its next attempt."""
        due_ms = self.now_ms() + delay_seconds * 1000
        transaction.system.patch(row["_id"], {**_pending(_pool_of(row), due_ms), **changes})
        transaction.after_commit(lambda: self._wake(due_ms))

    def finish(self, transaction: Transaction, row: Document, kind: str, **outcome: Any) -> None:
        """Bring a job to its end, and schedule its `on_complete` in the same transaction.

        Args:
            kind: "success", "failed" or "canceled".
            outcome: `returnValue` of a success, `error` of a failure.
        """
        now = self.now_ms()
        changes = {
            "state": {"kind": kind} | ({"error": outcome["error"]} if "error" in outcome else {}),
            "queue": kind,
            "dueTime": now + self.limits.job_result_seconds * 1000,
            "completedTime": now,
            "attempts": row["attempts"] + (row["state"]["kind"] == "pending" and kind != "canceled"),
        }
        if outcome.get("returnValue") is not None:
            changes["result"] = outcome["returnValue"]
        transaction.system.patch(row["_id"], changes)
        callback = row.get("onComplete")
        if callback is not None and kind not in callback.get("unless", ()):
            args = {**callback["args"], "job_id": row["_id"], "result": {"kind": kind, **outcome}}
            self.add(transaction, new_row(callback["name"], args, "mutation", now, completes=row["_id"]))

    def _lease_end_ms(self) -> float:
        return self.now_ms() + self.limits.job_lease_seconds * 1000

    def expired(self, transaction: Transaction) -> list[Document]:
        """Some of the ended jobs whose time to be kept is over."""
        now = self.now_ms()
        return [row for kind in DONE for row in self.due_jobs(transaction, kind, _PRUNED_AT_ONCE, now)]

    # ------------------------------------------------------------ looking

    def find(self, transaction: Transaction, job_id: str) -> Document | None:
        """A job by its id, or None when it has been removed.

        Raises:
            DocumentError: for what is no id of a job.
        """
        if transaction.system.normalize_id(JOBS, job_id) is None:
            message = f"{show(job_id)} is not the id of a scheduled function"
            raise DocumentError("InvalidTable", message).refusing(job_id)
        row: Document | None = transaction.system.get(job_id)
        return row

    def due(self, transaction: Transaction, job_id: str, owner: str) -> Document | None:
        """A job by its id if it is claimed by this owner, or due and claimed by nobody; else None."""
        row: Document | None = transaction.system.get(job_id)
        if row is None or row["state"]["kind"] != "pending":
            return None
        free = row["queue"].startswith(PENDING) and row["dueTime"] <= self.now_ms()
        return row if free or row["queue"] == CLAIMED + owner else None

    # ------------------------------------------------------------ claims of one process among several

    def claim_due(
        self, transaction: Transaction, owner: str, room: int
    ) -> list[tuple[str, list[Document], bool]]:
        """Claim at most `room` due jobs for a process; relies on nothing but locked rows.

        They are taken in a random order, and those at which another process is are left out, so that
        processes that look at the same time take different ones.

        Returns:
            Of each pool its name, the rows as they were, and whether these are all that are due.
        """
        now, found = self.now_ms(), []
        for pool in list(self.pools(transaction)):
            rows = self.due_jobs(transaction, PENDING + pool, 2 * room + 1, now)
            limit = room
            # One process at a time counts them, and sees what all others did
            if rows and "maxParallel" in rows[0]:
                at_it = transaction.engine.lock(transaction.catalog.guard[0])
                limit = min(room, rows[0]["maxParallel"] - self._in_flight(transaction, pool)) if at_it else 0
            taken: list[Document] = []
            for candidate in random.sample(rows, len(rows)):
                if len(taken) < limit and transaction.engine.lock(candidate["_id"]):
                    row = transaction.system.get(candidate["_id"])
                    if row is not None and row["queue"] == candidate["queue"]:
                        self._take(transaction, row, owner)
                        taken.append(row)
            room -= len(taken)
            taken.sort(key=lambda row: row["dueTime"])
            found.append((pool, taken, len(taken) == len(rows)))
        return found

    def _take(self, transaction: Transaction, row: Document, owner: str) -> None:
        changes = {"queue": CLAIMED + owner, "dueTime": self._claim_end_ms(), "lane": _pool_of(row)}
        transaction.system.patch(row["_id"], {**changes, "claimedDue": row["dueTime"]})

    def _in_flight(self, transaction: Transaction, pool: str) -> int:
        """How many jobs of a pool are claimed or run, in all processes.

        Each look may see a newer state, and a claimed job may begin to run between two of them: it is looked
        for first where it was first.
        """
        queues = [*self._queues(transaction, CLAIMED), "inProgress"]
        rows = chain(*(self.due_jobs(transaction, queue) for queue in queues))
        return len({row["_id"] for row in rows if row["lane"] == pool})

    def renew_claims(self, transaction: Transaction, owner: str) -> None:
        """Begin the leases of all claims of a process again."""
        for row in self.due_jobs(transaction, CLAIMED + owner):
            transaction.system.patch(row["_id"], {"dueTime": self._claim_end_ms()})

    def release_claims(self, transaction: Transaction, owner: str) -> None:
        """Let the jobs wait that a process had claimed and does not run."""
        for row in self.due_jobs(transaction, CLAIMED + owner):
            self.release_claim(transaction, row)

    def release_claim(self, transaction: Transaction, row: Document, **changes: Any) -> None:
        """Let a claimed job wait for another process."""
        pool = str(changes.get("lane", row["lane"]))
        transaction.system.patch(row["_id"], {**_pending(pool, row["claimedDue"]), **changes})

    def lost_claims(self, transaction: Transaction) -> list[Document]:
        """Some of the claimed jobs whose lease has ended: their process is gone."""
        now = self.now_ms()
        queues = self._queues(transaction, CLAIMED)
        return [row for queue in queues for row in self.due_jobs(transaction, queue, _PRUNED_AT_ONCE, now)]

    def _claim_end_ms(self) -> float:
        return self.now_ms() + min(_CLAIM_SECONDS, self.limits.job_lease_seconds) * 1000

    def lease(self, name: str, owner: str, seconds: float) -> bool:
        """Whether this process may do what only one of all may, until the lease ends or it asks again."""

        def look(transaction: Transaction) -> Document | None:
            leases = transaction.system.query(LEASES).with_index("by_name", lambda q: q.eq("name", name))
            found: Document | None = leases.unique()
            return found

        def take(transaction: Transaction) -> bool:
            row, now = look(transaction), self.now_ms()
            fields = {"name": name, "owner": owner, "until": now + seconds * 1000}
            if row is None:
                transaction.system.insert(LEASES, fields)
            elif row["owner"] == owner or row["until"] < now:
                transaction.system.patch(row["_id"], fields)
            else:
                return False
            return True

        row = self.database.read(look)
        if row is not None and row["owner"] != owner and row["until"] >= self.now_ms():
            return False
        return self.database.write(take)

    def due_page(
        self, queue: str, until_ms: float, cursor: str | None, transaction: Transaction
    ) -> dict[str, Any]:
        """A page of the rows of a queue in due order, up to a due time."""
        query = transaction.system.query(JOBS).with_index(
            "by_queue", lambda q: q.eq("queue", queue).lte("dueTime", until_ms)
        )
        page: dict[str, Any] = query.paginate(num_items=DUE_PAGE, cursor=cursor)
        return page

    def due_jobs(
        self, transaction: Transaction, queue: str, limit: int | None = None, until_ms: float | None = None
    ) -> list[Document]:
        """The rows of a queue in due order, at most `limit`, up to a due time."""

        def wanted(q: Any) -> Any:
            rows = q.eq("queue", queue)
            return rows if until_ms is None else rows.lte("dueTime", until_ms)

        query = transaction.system.query(JOBS).with_index("by_queue", wanted)
        found: list[Document] = query.collect() if limit is None else query.take(limit)
        return found

    def by_state(self, transaction: Transaction, state: str | None, limit: int) -> list[Document]:
        """At most `limit` jobs: the pending ones in due order, others the latest first.

        Args:
            state: one of `STATES`, or None for all.
        """
        if state == "pending":
            queues = chain(self._queues(transaction, PENDING), self._queues(transaction, CLAIMED))
            waiting = [self.due_jobs(transaction, queue, limit) for queue in queues]
            return sorted(chain(*waiting), key=lambda row: row["dueTime"])[:limit]
        jobs = transaction.system.query(JOBS)
        if state is not None:
            jobs = jobs.with_index("by_queue", lambda q: q.eq("queue", state))
        found: list[Document] = jobs.order("desc").take(limit)
        return found

    def page(
        self,
        transaction: Transaction,
        state: str | None,
        wanted: Mapping[str, str],
        limit: int,
        cursor: str | None,
    ) -> dict[str, Any]:
        """A page of `by_state`; the pending ones pool by pool.

        Args:
            wanted: what fields must be; a page then ends after so many rows were read, fitting or not.
        """
        query = transaction.system.query(JOBS)
        if state == "pending":
            query = query.with_index("by_queue", lambda q: q.gte("queue", PENDING).lt("queue", _PENDING_END))
        elif state is not None:
            query = query.with_index("by_queue", lambda q: q.eq("queue", state))
        for name, value in wanted.items():
            query = query.filter(lambda q, name=name, value=value: q.eq(q.field(name), value))
        asked = {"numItems": limit, "cursor": cursor, "maximumRowsRead": _READ_FOR_A_PAGE}
        page: dict[str, Any] = query.order("asc" if state == "pending" else "desc").paginate(asked)
        if state == "pending" and cursor is None:
            claimed = chain(
                *(self.due_jobs(transaction, q, limit) for q in self._queues(transaction, CLAIMED))
            )
            fitting = [row for row in claimed if all(row.get(n) == value for n, value in wanted.items())]
            page["page"] = fitting + page["page"]
        return page

    def count_due(self, transaction: Transaction, limit: int) -> int:
        """How many jobs are due and wait, counting at most `limit` of a pool."""
        now = self.now_ms()
        queues = self._queues(transaction, PENDING)
        return sum(len(self.due_jobs(transaction, queue, limit, now)) for queue in queues)

    def pools(self, transaction: Transaction) -> Iterator[str]:
        """The pools in which jobs are waiting: one seek each, however many jobs there are."""
        return (queue.removeprefix(PENDING) for queue in self._queues(transaction, PENDING))

    def _queues(self, transaction: Transaction, prefix: str) -> Iterator[str]:
        last, end = prefix, prefix[:-1] + ";"  # which follows ":"
        while True:

            def following(q: Any, last: str = last) -> Any:
                return q.gt("queue", last).lt("queue", end)

            row = transaction.system.query(JOBS).with_index("by_queue", following).first()
            if row is None:
                return
            last = row["queue"]
            yield last
