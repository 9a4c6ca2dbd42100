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
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from heapq import merge
from itertools import chain
from typing import TYPE_CHECKING, Any

from ..data import ids
from ..data.schema import Table
from ..data.validators import v
from ..errors import DocumentError
from ..values import show
from .retry import RetryPolicy

if TYPE_CHECKING:
    from ..data.catalog import Document
    from ..data.database import Database, Transaction
    from ..data.documents import PreparedDocument
    from ..data.query import Query
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
"""The system tables of jobs. Of a job, Convex's fields are `name`, `args` (a list of one object),
`scheduledTime` and `completedTime` (milliseconds) and `state` (`kind`, and `error` when failed)."""

DONE = ("success", "failed", "canceled")
STATES = ("pending", "inProgress", *DONE)
PENDING = "pending:"
CLAIMED = "claimed:"
_PENDING_END = "pending;"  # what follows every queue of pending jobs
_READ_FOR_A_PAGE = 500
SUSPECTS = "suspects"
CLAIM_SECONDS = 30.0  # how long a process may have a claimed job before it runs; renewed
_FRESH = 5 / 6  # so much of a lease is left of one that need not be renewed: most jobs have begun by then
_PRUNED_AT_ONCE = 100  # a transaction holds the one write lock


class JobTable:
    """A table whose rows are jobs, and what these have of their own; here, the scheduled functions.

    A row has `state`, `queue`, `dueTime` and `attempts` whatever its table is.
    """

    name = JOBS

    def call_of(self, row: Document) -> tuple[str, Mapping[str, Any]]:
        """The name and the arguments of the function that the job runs."""
        return row["name"], row["args"][0]

    def retry_of(self, row: Document) -> RetryPolicy | None:
        """How the job is tried again."""
        return RetryPolicy(**row["retry"]) if "retry" in row else None

    def kept_seconds(self, row: Document) -> float | None:
        """How long it is kept once it has ended; None for as long as other jobs."""
        return None

    def ended(self, transaction: Transaction, store: JobStore, row: Document, outcome: Document) -> None:
        """What else is written when a job has ended.

        Args:
            row: as it was before.
            outcome: `kind`, and `returnValue` or `error`.
        """
        callback = row.get("onComplete")
        if callback is not None:
            args = {**callback["args"], "job_id": row["_id"], "result": outcome}
            new = new_row(callback["name"], args, "mutation", store.now_ms(), completes=row["_id"])
            store.add(transaction, new)

    def shown(self, row: Document) -> Document:
        """The row as people see it who look at jobs."""
        return row

    def parts(self, row: Document) -> list[str]:
        """The ids of what is removed with it."""
        return []

    def removed(self, transaction: Transaction, row: Document) -> None:
        """It is removed by this transaction."""


def new_row(name: str, args: Mapping[str, Any], kind: str, due_ms: float, **options: Any) -> Document:
    """A pending job.

    Args:
        name, kind: of the function.
        args: its arguments.
        due_ms: when it is to run, in milliseconds since the epoch.
        options: `lane` (instead of the kind: "pool:" and the name of a pool) and `maxParallel` of it,
            `retry` (a policy), `onComplete` (name and args), `completes` (the job whose `onComplete` this
            is), `requestId` (of the request that schedules it).
    """
    row = {"name": name, "args": [args], "scheduledTime": due_ms, "attempts": 0}
    return row | pending(options.get("lane", kind), due_ms) | options


def pending(pool: str, due_ms: float) -> Document:
    """The fields of a job that waits for its time, in a pool."""
    return {"state": {"kind": "pending"}, "queue": PENDING + pool, "dueTime": due_ms}


def due_ms(row: Document) -> float:
    """When a pending job is due, also while it is claimed."""
    due: float = row["claimedDue"] if row["queue"].startswith(CLAIMED) else row["dueTime"]
    return due


def due_order(row: Document) -> tuple[float, float, str]:
    """The order in which pending jobs are run, as the index has it."""
    return due_ms(row), row["_creationTime"], row["_id"]


def pool_of(row: Document) -> str:
    """The pool of a job that has not ended."""
    queue: str = row["queue"]
    return queue.removeprefix(PENDING) if queue.startswith(PENDING) else str(row["lane"])


def page_of(
    transaction: Transaction, queries: list[Any], wanted: Mapping[str, str], limit: int, cursor: str | None
) -> dict[str, Any]:
    """A page of what several queries find one after the other.

    Args:
        wanted: what fields must be; a page ends after so many rows were read, fitting or not.

    Raises:
        DocumentError: for what is no cursor of a page before.
    """
    number, _, inner = (cursor or "0.").partition(".")
    if not (number.isdecimal() and int(number) < len(queries)):
        raise DocumentError("InvalidCursor", f"{show(cursor)} is not the cursor of a page").refusing(cursor)
    for n, query in enumerate(queries[int(number) :], int(number)):
        for name, value in wanted.items():
            query = query.filter(lambda q, name=name, value=value: q.eq(q.field(name), value))
        transaction.paginated = False  # a function reads one page; here they are one
        asked = {"numItems": limit, "cursor": inner or None, "maximumRowsRead": _READ_FOR_A_PAGE}
        page: dict[str, Any] = query.paginate(asked)
        is_last, inner = n == len(queries) - 1, ""
        if page["page"] or not page["isDone"] or is_last:
            break
    following = f"{n + 1}." if page["isDone"] and not is_last else f"{n}.{page['continueCursor']}"
    return {**page, "isDone": page["isDone"] and is_last, "continueCursor": following}


class JobStore:
    """Reads and writes the rows of jobs, of every table that has some.

    Args:
        offer: called after the commit of each pending job with its row.
        reserve: keeps a worker of this process for a job of a pool that is about to be committed, and returns
            the owner by whom it is to be claimed and a call that gives the worker back; None where no worker
            is idle, or jobs are not claimed.
    """

    def __init__(
        self,
        database: Database,
        limits: Limits,
        clock: Callable[[], float],
        offer: Callable[[Document], None],
        reserve: Callable[[str], tuple[str, Callable[[], None]] | None] = lambda pool: None,
    ) -> None:
        self.database = database
        self.limits = limits
        self._clock = clock
        self._offer = offer
        self._reserve = reserve
        self._tables: dict[str, JobTable] = {}
        self.add_table(JobTable())

    def add_table(self, table: JobTable) -> None:
        """From now on the rows of this table are jobs, too."""
        self._tables[ids.table_tag(table.name)] = table

    def table_of(self, row: Document) -> JobTable:
        """The table of a row."""
        return self._tables[row["_id"][: ids.TAG_LENGTH]]

    def call_of(self, row: Document) -> tuple[str, Mapping[str, Any]]:
        """The name and the arguments of the function that a job runs."""
        return self.table_of(row).call_of(row)

    def now_ms(self) -> float:
        return self._clock() * 1000

    # ------------------------------------------------------------ states

    def add(
        self, transaction: Transaction, row: Document, prepared: PreparedDocument | None = None
    ) -> Document:
        """Write a new job, perhaps one prepared before, and return its row."""
        new = self.begun(transaction, row)
        prepared = prepared if prepared and new is row else self.prepare(new)
        new = {**new, "_id": transaction.system.add(prepared)}
        self.announce(transaction, new)
        return new

    def begun(self, transaction: Transaction, row: Document) -> Document:
        """What makes a job pending, or claimed by this process where one of its workers is idle.

        Args:
            row: the fields of a pending job, which is written and announced by this transaction.
        """
        if row["dueTime"] > self.now_ms() or "maxParallel" in row or not row["queue"].startswith(PENDING):
            return row
        reserved = self._reserve(pool_of(row))
        if reserved is None:
            return row
        owner, give_back = reserved
        transaction.after_commit(give_back)
        transaction.after_rollback(give_back)
        return {**row, **self._claimed(row, owner)}

    def announce(self, transaction: Transaction, row: Document) -> None:
        """Tell the workers of a pending job, once it is durable."""
        transaction.after_commit(lambda: self._offer(row))

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
            "lane": pool_of(row),
        }
        transaction.system.rewrite(row, changes)

    def renew(self, transaction: Transaction, row: Document) -> None:
        """Begin the lease of a running job again."""
        transaction.system.rewrite(row, {"dueTime": self._lease_end_ms()})

    def postpone(self, transaction: Transaction, row: Document, delay_seconds: float, **changes: Any) -> None:
        """Let a job wait for its next attempt."""
        due_ms = self.now_ms() + delay_seconds * 1000
        waiting = transaction.system.rewrite(row, {**pending(pool_of(row), due_ms), **changes})
        self.announce(transaction, waiting)

    def finish(self, transaction: Transaction, row: Document, kind: str, **outcome: Any) -> None:
        """Bring a job to its end, and do in the same transaction what its end asks for.

        Args:
            kind: "success", "failed" or "canceled".
            outcome: `returnValue` of a success, `error` of a failure.
        """
        now, table = self.now_ms(), self.table_of(row)
        kept_seconds = table.kept_seconds(row)
        kept_seconds = self.limits.job_result_seconds if kept_seconds is None else kept_seconds
        changes = {
            "state": {"kind": kind} | ({"error": outcome["error"]} if "error" in outcome else {}),
            "queue": kind,
            "dueTime": now + kept_seconds * 1000,
            "completedTime": now,
            "attempts": row["attempts"] + (row["state"]["kind"] == "pending" and kind != "canceled"),
        }
        if outcome.get("returnValue") is not None:
            changes["result"] = outcome["returnValue"]
        transaction.system.rewrite(row, changes)
        table.ended(transaction, self, row, {"kind": kind, **outcome})

    def _lease_end_ms(self) -> float:
        return self.now_ms() + self.limits.job_lease_seconds * 1000

    def expired(self, transaction: Transaction, table: JobTable | None = None) -> list[Document]:
        """Some of the ended jobs (of one table) whose time to be kept is over, each behind its parts."""
        now, tables = self.now_ms(), [table] if table else list(self._tables.values())
        rows = [
            row
            for t in tables
            for kind in DONE
            for row in _in_queue(transaction, t, kind, now).take(_PRUNED_AT_ONCE)
        ]
        return [
            gone for row in rows for gone in (*({"_id": id} for id in self.table_of(row).parts(row)), row)
        ]

    def remove(self, transaction: Transaction, row: Document) -> None:
        """Remove one of the rows that `expired`, of here or elsewhere, has found."""
        transaction.system.delete(row["_id"])
        table = self._tables.get(row["_id"][: ids.TAG_LENGTH])
        if table is not None:
            table.removed(transaction, row)

    # ------------------------------------------------------------ looking

    def find(self, transaction: Transaction, job_id: str) -> Document | None:
        """A job by its id, or None when it has been removed.

        Raises:
            DocumentError: for what is no id of a job.
        """
        if not (ids.is_id(job_id) and job_id[: ids.TAG_LENGTH] in self._tables):
            message = f"{show(job_id)} is not the id of a scheduled function"
            raise DocumentError("InvalidTable", message).refusing(job_id)
        return transaction.system.get(job_id)

    def due(
        self, transaction: Transaction, job_id: str, owner: str, known: Document | None = None
    ) -> Document | None:
        """A job by its id if it is claimed by this owner, or due and claimed by nobody; else None.

        Args:
            known: its row as far as the caller knows. If he has claimed it, it is not read again: nobody else
                should have changed it, and a commit shows whether somebody did.
        """
        if known is not None and known["queue"] == CLAIMED + owner:
            transaction.system.trust(known)
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
            Of each pool its name, the claimed rows, and whether these are all that are due; then the first
            row that is not due yet follows them.
        """
        now, found = self.now_ms(), []
        for pool in list(self.pools(transaction)):
            found_rows = self.due_jobs(transaction, PENDING + pool, 2 * room + 1)
            rows = [row for row in found_rows if row["dueTime"] <= now]
            limit = room
            # One process at a time counts them, and sees what all others did
            if rows and "maxParallel" in rows[0]:
                at_it = transaction.engine.lock([transaction.catalog.guard[0]])
                limit = min(room, rows[0]["maxParallel"] - self._in_flight(transaction, pool)) if at_it else 0
            taken = self._take(transaction, random.sample(rows, len(rows)), limit, owner)
            room -= len(taken)
            complete = len(taken) == len(rows)
            later = found_rows[len(rows) : len(rows) + complete]
            found.append((pool, sorted(taken, key=due_order) + later, complete))
        return found

    def _take(self, transaction: Transaction, rows: list[Document], limit: int, owner: str) -> list[Document]:
        """Claim so many of these rows, as far as nobody else is at them."""
        taken: list[Document] = []
        while rows and len(taken) < limit:
            some, rows = rows[: limit - len(taken)], rows[limit - len(taken) :]
            locked = transaction.engine.lock([row["_id"] for row in some])
            for candidate in some:
                row = transaction.system.get(candidate["_id"]) if candidate["_id"] in locked else None
                if row is not None and row["queue"] == candidate["queue"]:
                    taken.append(transaction.system.rewrite(row, self._claimed(row, owner)))
        return taken

    def _claimed(self, row: Document, owner: str) -> Document:
        """The fields of a pending job that make it a claimed one."""
        lane, due = pool_of(row), row["dueTime"]
        return {"queue": CLAIMED + owner, "dueTime": self._claim_end_ms(), "lane": lane, "claimedDue": due}

    def _in_flight(self, transaction: Transaction, pool: str) -> int:
        """How many jobs of a pool are claimed or run, in all processes.

        Each look may see a newer state, and a claimed job may begin to run between two of them: it is looked
        for first where it was first.
        """
        queues = [*self._queues(transaction, CLAIMED), "inProgress"]
        rows = chain(*(self.due_jobs(transaction, queue) for queue in queues))
        return len({row["_id"] for row in rows if row["lane"] == pool})

    def aged_claims(self, transaction: Transaction, owner: str) -> list[Document]:
        """The jobs claimed by a process whose leases are not quite new."""
        return self.due_jobs(transaction, CLAIMED + owner, until_ms=self._claim_end_ms(_FRESH))

    def renew_claims(self, transaction: Transaction, owner: str, known: Collection[str]) -> None:
        """Begin the leases of a process's aged claims again, and give back those that it does not know: what
        became of their run was told to nobody, for the database could not be reached."""
        for row in self.aged_claims(transaction, owner):
            if row["_id"] in known:
                transaction.system.rewrite(row, {"dueTime": self._claim_end_ms()})
            else:
                self.release_claim(transaction, row)

    def release_claims(self, transaction: Transaction, owner: str) -> None:
        """Let the jobs wait that a process had claimed and does not run."""
        for row in self.due_jobs(transaction, CLAIMED + owner):
            self.release_claim(transaction, row)

    def release_claim(self, transaction: Transaction, row: Document, **changes: Any) -> None:
        """Let a claimed job wait for another process."""
        pool = str(changes.get("lane", row["lane"]))
        transaction.system.rewrite(row, {**pending(pool, row["claimedDue"]), **changes})

    def lost_claims(self, transaction: Transaction) -> list[Document]:
        """Some of the claimed jobs whose lease has ended: their process is gone."""
        now = self.now_ms()
        queues = self._queues(transaction, CLAIMED)
        return [row for queue in queues for row in self.due_jobs(transaction, queue, _PRUNED_AT_ONCE, now)]

    def _claim_end_ms(self, part: float = 1.0) -> float:
        return self.now_ms() + part * min(CLAIM_SECONDS, self.limits.job_lease_seconds) * 1000

    def lease(self, name: str, owner: str, seconds: float) -> bool:
        """Whether this process may do what only one of all may, until the lease ends or it asks again."""

        def look(transaction: Transaction) -> Document | None:
            return transaction.rows_where(LEASES, "name", name).unique()

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

    def due_jobs(
        self, transaction: Transaction, queue: str, limit: int | None = None, until_ms: float | None = None
    ) -> list[Document]:
        """The rows of a queue in due order, at most `limit`, up to a due time."""
        queries = [_in_queue(transaction, table, queue, until_ms) for table in self._tables.values()]
        found = [query.collect() if limit is None else query.take(limit) for query in queries]
        if len(found) == 1:
            return found[0]
        return sorted(chain(*found), key=lambda row: (row["dueTime"], row["_creationTime"]))[:limit]

    def due_page(
        self, table: JobTable, queue: str, until_ms: float, cursor: str | None, transaction: Transaction
    ) -> dict[str, Any]:
        """A page of the rows of a queue of one table in due order, up to a due time."""
        query = _in_queue(transaction, table, queue, until_ms)
        return query.paginate(num_items=DUE_PAGE, cursor=cursor)

    def by_state(self, transaction: Transaction, state: str | None, limit: int) -> list[Document]:
        """At most `limit` jobs: the pending ones in due order, others the latest first.

        Args:
            state: one of `STATES`, or None for all.
        """
        if state == "pending":
            queues = chain(self._queues(transaction, PENDING), self._queues(transaction, CLAIMED))
            waiting = [self.due_jobs(transaction, queue, limit) for queue in queues]
            return sorted(chain(*waiting), key=lambda row: row["dueTime"])[:limit]
        found: list[Document] = []
        for table in self._tables.values():
            found += _in_queue(transaction, table, state).order("desc").take(limit)
        if len(self._tables) > 1:
            found.sort(key=lambda row: row["_creationTime" if state is None else "dueTime"], reverse=True)
        return found[:limit]

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
        if state == "pending":
            queries = [
                transaction.system.query(table.name)
                .with_index("by_queue", lambda q: q.gte("queue", PENDING).lt("queue", _PENDING_END))
                .order("asc")
                for table in self._tables.values()
            ]
        else:
            queries = [_in_queue(transaction, t, state).order("desc") for t in self._tables.values()]
        page = page_of(transaction, queries, wanted, limit, cursor)
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
        found = (self._queues_of(transaction, table.name, prefix) for table in self._tables.values())
        return iter(dict.fromkeys(chain(*found)))

    @staticmethod
    def _queues_of(transaction: Transaction, table: str, prefix: str) -> Iterator[str]:
        last, end = prefix, prefix[:-1] + ";"  # which follows ":"
        while True:

            def following(q: Any, last: str = last) -> Any:
                return q.gt("queue", last).lt("queue", end)

            row = transaction.system.query(table).with_index("by_queue", following).first()
            if row is None:
                return
            last = row["queue"]
            yield last

    def all_due(self, until_ms: float) -> Iterator[Document]:
        """The rows of all jobs that are due, in due order.

        Pages are read while it goes on, since there may be very many: what is scheduled meanwhile may be
        among them.
        """
        pools = self.database.read(lambda transaction: list(self.pools(transaction)))
        every = [
            self._pages(table, PENDING + pool, until_ms) for table in self._tables.values() for pool in pools
        ]
        return merge(*every, key=lambda row: (row["dueTime"], row["_creationTime"]))

    def _pages(self, table: JobTable, queue: str, until_ms: float) -> Iterator[Document]:
        cursor: str | None = None
        while True:
            page = self.database.read(partial(self.due_page, table, queue, until_ms, cursor))
            yield from page["page"]
            if page["isDone"]:
                return
            cursor = page["continueCursor"]


def _in_queue(
    transaction: Transaction, table: JobTable, queue: str | None, until_ms: float | None = None
) -> Query:
    """The rows of a queue of one table in due order, up to a due time; or all of its rows."""

    def wanted(q: Any) -> Any:
        rows = q.eq("queue", queue)
        return rows if until_ms is None else rows.lte("dueTime", until_ms)

    query = transaction.system.query(table.name)
    return query if queue is None else query.with_index("by_queue", wanted)
