# SPDX-License-Identifier: MIT
"""Webhook deliveries as documents, and every change of state that one may make.

Each method works in a transaction that somebody else opened, so that a delivery's state, its job and its
effects share one commit. A delivery is `pending` (it has a job), `waiting` (behind another of its order key),
`done` or `dead`. The index by (`queue`, `until`) finds them by state: `queue` is the state, with the lane
behind it where deliveries are ordered, and `until` is when the row may be removed. Bodies are documents of
their own, so that a change of state does not write them again. Knows no HTTP and verifies nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from ..data.schema import Table
from ..data.validators import v
from ..errors import DocumentError
from ..jobs.store import JobStore, new_row

if TYPE_CHECKING:
    from ..data.catalog import Document
    from ..data.database import Transaction
    from ..data.documents import PreparedDocument

DELIVERIES = "_webhook_deliveries"
BODIES = "_webhook_bodies"
REFUSALS = "_webhook_refusals"
INBOX_TABLES: dict[str, Table] = {
    DELIVERIES: Table(v.any())
    .index("by_key", ["endpoint", "deliveryId"])
    .index("by_queue", ["queue", "until"]),
    BODIES: Table(v.any()),
    REFUSALS: Table(v.any()).index("by_endpoint", ["endpoint"]),
}

FINISHED = ("done", "dead")
_READ_FOR_A_PAGE = 500
_AT_ONCE = 100  # rows that one transaction changes: it holds the one write lock


class Deliveries:
    """Reads and writes deliveries.

    Args:
        store: where the jobs are that run their handlers.
    """

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self.now_ms = store.now_ms

    # ------------------------------------------------------------ states

    def insert(self, row: Document, body: bytes, run: Document | None) -> Callable[[Transaction], None]:
        """Make a delivery ready; what is returned stores it in a transaction, and schedules its handler.

        Args:
            row: `endpoint`, `deliveryId`, `retentionSeconds`, perhaps `lane`, and what else is to be kept.
            run: what `new_row` takes of the handler's job; None where nothing is to run.
        """
        prepare = self._store.database.prepare
        kept = prepare(BODIES, {"body": _storable(body)})
        row = {**row, "duplicates": 0, "body": kept.id}
        if run is not None and "lane" in row:  # whether it has to wait is seen in the transaction
            return partial(self._add_ordered, kept, row, run)
        job_row = job = None
        if run is None:
            row |= self._finished(row, "done")
        else:
            job_row = new_row(due_ms=self.now_ms(), **run)
            job = self._store.prepare(job_row)
            row |= self._unfinished(row, "pending") | {"jobId": job.id}
        delivery = prepare(DELIVERIES, row)

        def add(transaction: Transaction) -> None:
            transaction.system.add(kept)
            transaction.system.add(delivery)
            if job_row is not None:
                self._store.add(transaction, job_row, job)

        return add

    def _add_ordered(
        self, kept: PreparedDocument, row: Document, run: Document, transaction: Transaction
    ) -> None:
        transaction.system.add(kept)
        transaction.system.insert(DELIVERIES, row | self._start(transaction, row, run))

    def record_duplicate(
        self, transaction: Transaction, row: Document, body_hash: str, run: Document | None
    ) -> None:
        """Count a duplicate. It revives a dead delivery: senders resend by hand under the old id."""
        changes: Document = {"duplicates": row["duplicates"] + 1, "lastSeen": self.now_ms()}
        if row["bodyHash"] != body_hash:
            changes["conflicts"] = row.get("conflicts", 0) + 1  # the first body stays
        if row["state"] == "dead" and run is not None:
            changes |= self._start(transaction, row, run)
        transaction.system.patch(row["_id"], changes)

    def replay(self, transaction: Transaction, row: Document, run: Document) -> None:
        """Run the handler of a finished delivery again; one that is not finished stays as it is."""
        if row["state"] in FINISHED:
            transaction.system.patch(row["_id"], self._start(transaction, row, run))

    def finish(self, transaction: Transaction, row: Document, state: str, **outcome: Any) -> None:
        """Bring a delivery to its end, and let the next one of its lane begin."""
        transaction.system.patch(row["_id"], {**self._finished(row, state), **outcome})
        lane = row.get("lane")
        following = lane and self._queue(transaction, f"waiting:{lane}").first()
        if following:
            job = {
                "queue": f"pending:{lane}",
                "state": "pending",
                "jobId": self._schedule(transaction, following["run"]),
            }
            transaction.system.patch(following["_id"], job)

    def _start(self, transaction: Transaction, row: Document, run: Document) -> Document:
        lane = row.get("lane")
        if lane is not None and self._queue(transaction, f"pending:{lane}").first() is not None:
            return self._unfinished(row, "waiting") | {"run": run}
        return self._unfinished(row, "pending") | {"jobId": self._schedule(transaction, run)}

    def _unfinished(self, row: Document, state: str) -> Document:
        queue = f"{state}:{row['lane']}" if "lane" in row else state  # `until` orders a lane
        return {"state": state, "queue": queue, "until": self.now_ms(), "error": None}

    def _schedule(self, transaction: Transaction, run: Document) -> str:
        return self._store.add(transaction, new_row(due_ms=self.now_ms(), **run))

    def _finished(self, row: Document, state: str) -> Document:
        now = self.now_ms()
        until = now + row["retentionSeconds"] * 1000
        return {"state": state, "queue": state, "until": until, "completedAt": now}

    # ------------------------------------------------------------ refusals

    def refuse(self, transaction: Transaction, row: Document, body: bytes | None, *, is_full: bool) -> None:
        """Keep a refused delivery; `is_full` makes room by removing the oldest of the endpoint."""
        if is_full:
            oldest = self.refusals(transaction, row["endpoint"]).first()
            if oldest is not None:
                self._remove(transaction, oldest)
        kept = {} if body is None else {"body": transaction.system.insert(BODIES, {"body": _storable(body)})}
        transaction.system.insert(REFUSALS, {**row, **kept})

    def refusals(self, transaction: Transaction, endpoint: str) -> Any:
        """A query over the refused deliveries of an endpoint, the oldest first."""
        return transaction.system.query(REFUSALS).with_index(
            "by_endpoint", lambda q: q.eq("endpoint", endpoint)
        )

    # ------------------------------------------------------------ looking

    def find(self, transaction: Transaction, endpoint: str, delivery_id: str) -> Document | None:
        """The delivery with the provider's id, or None."""
        query = transaction.system.query(DELIVERIES)
        row: Document | None = query.with_index(
            "by_key", lambda q: q.eq("endpoint", endpoint).eq("deliveryId", delivery_id)
        ).first()
        return row

    def get(self, transaction: Transaction, id: str) -> Document:
        """A delivery or a refusal by its own id.

        Raises:
            DocumentError: there is none.
        """
        if any(transaction.system.normalize_id(table, id) for table in (DELIVERIES, REFUSALS)):
            row: Document | None = transaction.system.get(id)
            if row is not None:
                return row
        raise DocumentError("DocumentNotFound", f"there is no webhook delivery {id!r}")

    def body(self, transaction: Transaction, row: Document) -> bytes | None:
        """The raw body of a delivery or refusal; None where it was not kept."""
        kept = transaction.system.get(row["body"]) if "body" in row else None
        if kept is None:
            return None
        return kept["body"].encode() if isinstance(kept["body"], str) else bytes(kept["body"])

    def newest(self, transaction: Transaction, state: str | None) -> Iterator[Document]:
        """Deliveries (of one state), or with the state "refused" refusals, the newest first."""
        return iter(self._newest(transaction, state))

    def _newest(self, transaction: Transaction, state: str | None) -> Any:
        query = transaction.system.query(REFUSALS if state == "refused" else DELIVERIES)
        if state not in (None, "refused"):  # of every lane: ";" follows the ":" before one
            query = query.with_index("by_queue", lambda q: q.gte("queue", state).lt("queue", f"{state};"))
        return query.order("desc")

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
        query = self._newest(transaction, state)
        for name, value in wanted.items():
            query = query.filter(lambda q, name=name, value=value: q.eq(q.field(name), value))
        asked = {"numItems": limit, "cursor": cursor, "maximumRowsRead": _READ_FOR_A_PAGE}
        page: dict[str, Any] = query.paginate(asked)
        return page

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
        return list(islice(filter(wanted, self._queue(transaction, "dead")), _AT_ONCE))

    def expired(self, transaction: Transaction) -> list[Document]:
        """Some of the finished deliveries whose retention is over, each behind its body."""
        now = self.now_ms()
        rows = [row for state in FINISHED for row in self._queue(transaction, state, now).take(_AT_ONCE)]
        return [found for row in rows for found in ({"_id": row["body"]}, row)]

    def _remove(self, transaction: Transaction, row: Document) -> None:
        if "body" in row:
            transaction.system.delete(row["body"])
        transaction.system.delete(row["_id"])

    def _queue(self, transaction: Transaction, queue: str, until_ms: float | None = None) -> Any:
        def wanted(q: Any) -> Any:
            rows = q.eq("queue", queue)
            return rows if until_ms is None else rows.lte("until", until_ms)

        return transaction.system.query(DELIVERIES).with_index("by_queue", wanted)


def _storable(body: bytes) -> str | bytes:
    """Text where it is UTF-8, so that a person can read the database; the way back gives the same bytes."""
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body
