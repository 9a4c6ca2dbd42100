# SPDX-License-Identifier: MIT
"""Webhook deliveries: one row each, which is its own job, and its body apart.

The id of the body follows from the endpoint and the delivery's id, so a delivery is new exactly if its body
can be inserted. The row has the fields of a job (`jobs/store.py`), so that the workers claim, retry and end
it as any other; what a person sees of it is worked out (`seen`). Of deliveries with an order key one at a
time has the lane, a row of its own, and those that wait have a queue that no worker looks at. Each method
works in a transaction that somebody else opened. Knows no HTTP and verifies nothing.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from ..data import ids
from ..data.schema import Table
from ..data.validators import v
from ..errors import DocumentError, HTTPError
from ..jobs.retry import RetryPolicy
from ..jobs.store import CLAIMED, DONE, PENDING, JobStore, JobTable, page_of, pending
from ..shown import quoted
from ..values import UNSET
from .stored_bytes import RECOUNT_SECONDS, StoredBytes

if TYPE_CHECKING:
    from ..data.catalog import Document
    from ..data.database import Transaction
    from ..data.query import Query
    from ..webhooks.delivery import Delivery

DELIVERIES = "_webhook_deliveries"
BODIES = "_webhook_bodies"
LANES = "_webhook_lanes"
REFUSALS = "_webhook_refusals"
INBOX_TABLES: dict[str, Table] = {
    DELIVERIES: Table(v.any()).index("by_queue", ["queue", "dueTime"]),
    BODIES: Table(v.any()),
    LANES: Table(v.any()),
    REFUSALS: Table(v.any()).index("by_endpoint", ["endpoint"]),
}

FULL_JITTER = RetryPolicy(max_attempts=8, initial_seconds=2, base=4, jitter=1.0)
"""How a handler that fails is tried again where its endpoint says nothing else."""

RETRY_AFTER_SECONDS = "60"
BEHIND = "behind:"  # the queue of those that wait for another of their lane
_AT_ONCE = 100  # rows that one transaction changes: it holds the one write lock
_LARGE_BYTES = 2_048  # from which on a body is compressed
_MAX_FRESH = 64  # deliveries that are kept in memory for their handlers
_MAX_FRESH_BYTES = 16 * 1024  # of one of them
_STATES = {"success": "done", "failed": "dead", "canceled": "dead"}
_OF_JOBS = ("queue", "dueTime", "lane", "lastError", "owner", "result", "claimedDue", "crashes", "retry")
_SHOWN_AS_JOB = (
    "_id", "_creationTime", "state", "queue", "dueTime", "attempts", "completedTime", "lastError", "failures",
    "requestId", "claimedDue",
)  # fmt: skip
_QUEUES: dict[str, list[tuple[str, str]]] = {  # bounds of the queues of a state
    "pending": [(PENDING, f"{PENDING[:-1]};"), (CLAIMED, f"{CLAIMED[:-1]};"), ("inProgress", "inProgress ")],
    "waiting": [(BEHIND, f"{BEHIND[:-1]};")],
    "done": [("success", "success ")],
    "dead": [("canceled", "canceled "), ("failed", "failed ")],
}


def body_id(endpoint: str, delivery_id: str) -> str:
    """The id of a delivery's body."""
    return ids.derived(BODIES, 0, _source(endpoint, delivery_id))


def _source(endpoint: str, delivery_id: str) -> bytes:
    return f"{endpoint}\0{delivery_id}".encode("utf-8", "backslashreplace")


def lane_id(order_key: str) -> str:
    """The id of the row that says that a lane is taken."""
    return ids.derived(LANES, 0, order_key.encode("utf-8", "backslashreplace"))


class InboxFullError(HTTPError):
    """The deliveries that are kept of an endpoint leave no room for this one; its sender tries again."""

    def __init__(self) -> None:
        headers = [("Retry-After", RETRY_AFTER_SECONDS)]
        super().__init__(503, "This endpoint takes no more deliveries now", headers=headers)


class Deliveries(JobTable):
    """Reads and writes deliveries.

    Args:
        store: of the jobs that they are.
    """

    name = DELIVERIES

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self.now_ms = store.now_ms
        recount_seconds = RECOUNT_SECONDS if store.database.shared else math.inf
        self.stored_bytes = StoredBytes(store, DELIVERIES, recount_seconds=recount_seconds)
        self._fresh: dict[str, Delivery] = {}

    # ------------------------------------------------------------ as jobs

    def call_of(self, row: Document) -> tuple[str, Mapping[str, Any]]:
        kind = "action" if self._pool_of(row) == "action" else "mutation"  # suspects are mutations too
        return f"_webhooks:run_{kind}", {"row": row}

    def retry_of(self, row: Document) -> RetryPolicy | None:
        return RetryPolicy(**row["retry"]) if "retry" in row else FULL_JITTER

    def kept_seconds(self, row: Document) -> float | None:
        return float(row["retentionSeconds"])

    def parts(self, row: Document) -> list[str]:
        return [body_id(row["endpoint"], row["deliveryId"])]

    def removed(self, transaction: Transaction, row: Document) -> None:
        self.stored_bytes.removed(transaction, row)

    def ended(self, transaction: Transaction, store: JobStore, row: Document, outcome: Document) -> None:
        """The next one of its lane begins."""
        if "orderKey" not in row or row["queue"].startswith(BEHIND):
            return
        following = self._queue(transaction, BEHIND + row["orderKey"]).first()
        if following is None:
            transaction.system.delete(lane_id(row["orderKey"]))
        else:
            due = self._store.begun(transaction, pending(following["lane"], self.now_ms()))
            self._store.announce(transaction, transaction.system.rewrite(following, due))

    def shown(self, row: Document) -> Document:
        name, _ = self.call_of(row)
        args = {"endpoint": row["endpoint"], "delivery_id": row["deliveryId"]}
        job = {field: row[field] for field in _SHOWN_AS_JOB if field in row}
        return {**job, "name": name, "args": [args], "scheduledTime": row["_creationTime"]}

    @staticmethod
    def _pool_of(row: Document) -> str:
        queue: str = row["queue"]
        return queue.removeprefix(PENDING) if queue.startswith(PENDING) else str(row.get("lane", "mutation"))

    # ------------------------------------------------------------ states

    def insert(
        self, row: Document, delivery: Delivery, pool: str | None, now_ms: float
    ) -> Callable[[Transaction], Document | None]:
        """Make a delivery ready; what is returned stores it in a transaction, or returns the row that is
        there already. That raises InboxFullError where it is new and the endpoint's limit is reached.

        Args:
            row: `endpoint`, `deliveryId`, `retentionSeconds`, perhaps `orderKey` and `retry`, and what else
                is to be kept.
            pool: of the job that runs the handler: its kind; None where nothing is to run.
        """
        kept, source = storable(delivery.body), _source(row["endpoint"], row["deliveryId"])
        begun = _done(row, now_ms) if pool is None else pending(pool, now_ms)
        row = {**row, "duplicates": 0, "attempts": 0, **begun}
        prepare, id = self._store.database.prepare, self._store.database.new_id(DELIVERIES)
        known_by = ids.derived(BODIES, 0, source)
        body = prepare(BODIES, {"delivery": id, **kept}, known_by)
        ready = None if "orderKey" in row and pool else prepare(DELIVERIES, row, id)

        def add(transaction: Transaction) -> Document | None:
            if not transaction.system.add_new(body):
                known = self._by_body(transaction, known_by)
                assert known is not None  # the two are removed together
                return known
            if not self.stored_bytes.has_room(row):
                raise InboxFullError
            self.stored_bytes.added(transaction, row, id)
            stored = row if ready is not None else {**row, **self._in_turn(transaction, row, pool or "")}
            stored = self._store.begun(transaction, stored)
            is_ready = ready is not None and stored is row
            transaction.system.add((is_ready and ready) or prepare(DELIVERIES, stored, id))
            if _is_to_run(stored):
                self._hand_over(transaction, id, stored, delivery)
            return None

        return add

    def _by_body(self, transaction: Transaction, id: str) -> Document | None:
        body = transaction.system.get(id)
        return None if body is None else transaction.system.get(body["delivery"])

    def _hand_over(self, transaction: Transaction, id: str, row: Document, delivery: Delivery) -> None:
        """The handler gets what is in memory already, if it runs soon and in this process."""
        if len(delivery.body) <= _MAX_FRESH_BYTES:
            transaction.after_commit(lambda: self._keep_fresh(id, delivery))
        created_ms = ids.microseconds(id) / 1000
        self._store.announce(transaction, {**row, "_id": id, "_creationTime": created_ms})

    def _keep_fresh(self, id: str, delivery: Delivery) -> None:
        fresh = self._fresh
        if len(fresh) >= _MAX_FRESH:
            fresh.pop(next(iter(list(fresh))), None)
        fresh[id] = delivery

    def take_fresh(self, id: str) -> Delivery | None:
        """The delivery as it was received, once, if it is still in memory."""
        return self._fresh.pop(id, None)

    def record_duplicate(
        self, transaction: Transaction, row: Document, body_hash: str, pool: str | None
    ) -> None:
        """Count a duplicate. It revives a dead delivery: senders resend by hand under the old id."""
        changes: Document = {"duplicates": row["duplicates"] + 1, "lastSeen": self.now_ms()}
        if row["bodyHash"] != body_hash:
            changes["conflicts"] = row.get("conflicts", 0) + 1  # the first body stays
        row = transaction.system.rewrite(row, changes)
        if row["queue"] in ("failed", "canceled") and pool is not None:
            self._start(transaction, row, pool)

    def replay(self, transaction: Transaction, row: Document, pool: str) -> None:
        """Run the handler of a finished delivery again; one that is not finished stays as it is."""
        if row["queue"] in DONE:
            self._start(transaction, row, pool)

    def _start(self, transaction: Transaction, row: Document, pool: str) -> None:
        begun = {"attempts": 0, "lastError": UNSET, "completedTime": UNSET}
        due = self._store.begun(transaction, self._in_turn(transaction, row, pool))
        row = transaction.system.rewrite(row, {**begun, **due})
        if _is_to_run(row):
            self._store.announce(transaction, row)

    def _in_turn(self, transaction: Transaction, row: Document, pool: str) -> Document:
        """The fields of a delivery that is to be handled: at once, or when it has the lane."""
        begun = pending(pool, self.now_ms())
        if "orderKey" in row:
            lane = self._store.database.prepare(
                LANES, {"orderKey": row["orderKey"]}, lane_id(row["orderKey"])
            )
            if not transaction.system.add_new(lane):
                return {**begun, "queue": BEHIND + row["orderKey"], "lane": pool}
        return begun

    # ------------------------------------------------------------ refusals

    def refuse(self, transaction: Transaction, row: Document, body: bytes | None, *, is_full: bool) -> None:
        """Keep a refused delivery; `is_full` makes room by removing the oldest of the endpoint."""
        if is_full:
            oldest = self.refusals(transaction, row["endpoint"]).first()
            if oldest is not None:
                if "body" in oldest:
                    transaction.system.delete(oldest["body"])
                transaction.system.delete(oldest["_id"])
        kept = {} if body is None else {"body": transaction.system.insert(BODIES, storable(body))}
        transaction.system.insert(REFUSALS, {**row, **kept})

    def refusals(self, transaction: Transaction, endpoint: str) -> Any:
        """A query over the refused deliveries of an endpoint, the oldest first."""
        return transaction.rows_where(REFUSALS, "endpoint", endpoint)

    # ------------------------------------------------------------ looking

    def get(self, transaction: Transaction, id: str) -> Document:
        """A delivery or a refusal by its own id.

        Raises:
            DocumentError: there is none.
        """
        if any(transaction.system.normalize_id(table, id) for table in (DELIVERIES, REFUSALS)):
            row = transaction.system.get(id)
            if row is not None:
                return row
        raise DocumentError("DocumentNotFound", f"there is no webhook delivery {quoted(id)}")

    def body(self, transaction: Transaction, row: Document) -> bytes | None:
        """The raw body of a delivery or refusal; None where it was not kept."""
        id = row.get("body") or ("deliveryId" in row and body_id(row["endpoint"], row["deliveryId"]))
        kept = transaction.system.get(id) if id else None
        if kept is None:
            return None
        if "zlib" in kept:
            return zlib.decompress(kept["zlib"])
        return kept["body"].encode() if isinstance(kept["body"], str) else bytes(kept["body"])

    def newest(self, transaction: Transaction, state: str | None, limit: int) -> list[Document]:
        """Deliveries (of one state), or with the state "refused" refusals, the newest first."""
        queries = self._queries(transaction, state)
        found = [row for query in queries for row in query.order("desc").take(limit)]
        return sorted(found, key=lambda row: row["_creationTime"], reverse=True)[:limit]

    @staticmethod
    def _queries(transaction: Transaction, state: str | None) -> list[Any]:
        if state in (None, "refused"):
            return [transaction.system.query(REFUSALS if state == "refused" else DELIVERIES)]
        return [in_queues(transaction, *bounds) for bounds in _QUEUES[state or ""]]

    def find(self, transaction: Transaction, endpoint: str, delivery_id: str) -> Document | None:
        """The delivery with the provider's id, or None."""
        return self._by_body(transaction, body_id(endpoint, delivery_id))

    def page(
        self,
        transaction: Transaction,
        state: str | None,
        wanted: Mapping[str, str],
        limit: int,
        cursor: str | None,
    ) -> dict[str, Any]:
        """A page of `newest`.

        Args:
            wanted: what fields must be; a page then ends after so many rows were read, fitting or not.
        """
        queries = [query.order("desc") for query in self._queries(transaction, state)]
        return page_of(transaction, queries, wanted, limit, cursor)

    def refused_since(self, transaction: Transaction, endpoint: str, since_ms: float, limit: int) -> int:
        """How many deliveries of an endpoint were refused since then, counting at most `limit`."""
        query = transaction.system.query(REFUSALS).with_index(
            "by_endpoint", lambda q: q.eq("endpoint", endpoint).gte("_creationTime", since_ms)
        )
        return len(query.take(limit))

    def dead(
        self, transaction: Transaction, wanted: Callable[[Document], bool] | None = None
    ) -> list[Document]:
        """Some of the dead deliveries (that are wanted), the oldest first."""
        rows = chain(*(self._queue(transaction, queue) for queue in ("canceled", "failed")))
        return list(islice(filter(wanted, rows), _AT_ONCE))

    def prune(self, transaction: Transaction) -> int:
        """Remove some of the finished deliveries whose retention is over; returns how many."""
        rows = self._store.expired(transaction, self)
        for row in rows:  # and their bodies
            self._store.remove(transaction, row)
        return sum("deliveryId" in row for row in rows)

    def _queue(self, transaction: Transaction, queue: str) -> Any:
        return transaction.rows_where(DELIVERIES, "queue", queue)


def in_queues(transaction: Transaction, low: str, high: str) -> Query:
    """The deliveries in the queues from one name on, up to another that is not among them."""
    return transaction.system.query(DELIVERIES).with_index(
        "by_queue", lambda q: q.gte("queue", low).lt("queue", high)
    )


def _is_to_run(row: Document) -> bool:
    return row["state"]["kind"] == "pending" and not row["queue"].startswith(BEHIND)


def _done(row: Document, now_ms: float) -> Document:
    until_ms = now_ms + row["retentionSeconds"] * 1000
    return {"state": {"kind": "success"}, "queue": "success", "dueTime": until_ms, "completedTime": now_ms}


def seen(row: Document) -> Document:
    """A delivery as a person sees it: `state` is pending, waiting, done or dead; a refusal as it is."""
    if "reason" in row:
        return row
    kind, queue = row["state"]["kind"], row["queue"]
    state = "waiting" if queue.startswith(BEHIND) else _STATES.get(kind, "pending")
    error = row.get("lastError")
    if queue in DONE:
        error = row["state"].get("error", "cancelled") if state == "dead" else None
    fields = {name: value for name, value in row.items() if name not in _OF_JOBS}
    was_run = kind != "success" or row["attempts"]
    return {**fields, "state": state, "error": error, **({"jobId": row["_id"]} if was_run else {})}


def storable(body: bytes) -> Document:
    """A body as the fields of a document: text that a person can read where it is short and UTF-8, else
    bytes, compressed where that makes a long one shorter.
    """
    if len(body) > _LARGE_BYTES:
        packed = zlib.compress(body, 1)
        if len(packed) < len(body):
            return {"zlib": packed}
    try:
        return {"body": body.decode()}
    except UnicodeDecodeError:
        return {"body": body}
