# SPDX-License-Identifier: MIT
"""Webhook deliveries as documents, and every change of state that one may make.

Each method works in a transaction that somebody else opened, so that a delivery's state, its job and its
effects share one commit. A delivery is `pending` (it has a job), `waiting` (behind another of its order key),
`done` or `dead`. The index by (`queue`, `until`) finds them by state: `queue` is the state, with the lane
behind it where deliveries are ordered, and `until` is when the row may be removed. Bodies are documents of
their own, so that a change of state does not write them again. Knows no HTTP and verifies nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from ..data.schema import Table
from ..data.validators import v
from ..errors import DocumentError
from .diary import Diary, Row, new_row

if TYPE_CHECKING:
    from ..data.database import Transaction
    from ..data.documents import Draft

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

SETTLED = ("done", "dead")
_AT_ONCE = 100  # rows that one transaction changes: it holds the one write lock


class Deliveries:
    """Reads and writes deliveries.

    Args:
        diary: where the jobs are that run their handlers.
    """

    def __init__(self, diary: Diary) -> None:
        self._diary = diary
        self.now_ms = diary.now_ms

    # ------------------------------------------------------------ states

    def new(self, row: Row, body: bytes, run: Row | None) -> Callable[[Transaction], None]:
        """Make a delivery ready; what is returned stores it in a transaction, and schedules its handler.

        Args:
            row: `endpoint`, `deliveryId`, `retentionSeconds`, perhaps `lane`, and what else is to be kept.
            run: what `new_row` takes of the handler's job; None where nothing is to run.
        """
        draft = self._diary.database.draft
        kept = draft(BODIES, {"body": _storable(body)})
        row = {**row, "duplicates": 0, "body": kept.id}
        if run is not None and "lane" in row:  # whether it has to wait is seen in the transaction
            return partial(self._add_ordered, kept, row, run)
        job_row = job = None
        if run is None:
            row |= self._settled(row, "done")
        else:
            job_row = new_row(due_ms=self.now_ms(), **run)
            job = self._diary.draft(job_row)
            row |= self._unsettled(row, "pending") | {"jobId": job.id}
        delivery = draft(DELIVERIES, row)

        def add(transaction: Transaction) -> None:
            transaction.system.add(kept)
            transaction.system.add(delivery)
            if job_row is not None:
                self._diary.add(transaction, job_row, job)

        return add

    def _add_ordered(self, kept: Draft, row: Row, run: Row, transaction: Transaction) -> None:
        transaction.system.add(kept)
        transaction.system.insert(DELIVERIES, row | self._begun(transaction, row, run))

    def again(self, transaction: Transaction, row: Row, body_hash: str, run: Row | None) -> None:
        """Count a duplicate. It revives a dead delivery: senders resend by hand under the old id."""
        changes: Row = {"duplicates": row["duplicates"] + 1, "lastSeen": self.now_ms()}
        if row["bodyHash"] != body_hash:
            changes["conflicts"] = row.get("conflicts", 0) + 1  # the first body stays
        if row["state"] == "dead" and run is not None:
            changes |= self._begun(transaction, row, run)
        transaction.system.patch(row["_id"], changes)

    def replay(self, transaction: Transaction, row: Row, run: Row) -> None:
        """Run the handler of a settled delivery again; one that is not settled stays as it is."""
        if row["state"] in SETTLED:
            transaction.system.patch(row["_id"], self._begun(transaction, row, run))

    def settle(self, transaction: Transaction, row: Row, state: str, **outcome: Any) -> None:
        """Bring a delivery to its end, and let the next one of its lane begin."""
        transaction.system.patch(row["_id"], {**self._settled(row, state), **outcome})
        lane = row.get("lane")
        following = lane and self._queue(transaction, f"waiting:{lane}").first()
        if following:
            job = {
                "queue": f"pending:{lane}",
                "state": "pending",
                "jobId": self._schedule(transaction, following["run"]),
            }
            transaction.system.patch(following["_id"], job)

    def _begun(self, transaction: Transaction, row: Row, run: Row) -> Row:
        lane = row.get("lane")
        if lane is not None and self._queue(transaction, f"pending:{lane}").first() is not None:
            return self._unsettled(row, "waiting") | {"run": run}
        return self._unsettled(row, "pending") | {"jobId": self._schedule(transaction, run)}

    def _unsettled(self, row: Row, state: str) -> Row:
        queue = f"{state}:{row['lane']}" if "lane" in row else state  # `until` orders a lane
        return {"state": state, "queue": queue, "until": self.now_ms(), "error": None}

    def _schedule(self, transaction: Transaction, run: Row) -> str:
        return self._diary.add(transaction, new_row(due_ms=self.now_ms(), **run))

    def _settled(self, row: Row, state: str) -> Row:
        now = self.now_ms()
        until = now + row["retentionSeconds"] * 1000
        return {"state": state, "queue": state, "until": until, "completedAt": now}

    # ------------------------------------------------------------ refusals

    def refuse(self, transaction: Transaction, row: Row, body: bytes | None, *, is_full: bool) -> None:
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

    def find(self, transaction: Transaction, endpoint: str, delivery_id: str) -> Row | None:
        """The delivery with the provider's id, or None."""
        query = transaction.system.query(DELIVERIES)
        row: Row | None = query.with_index(
            "by_key", lambda q: q.eq("endpoint", endpoint).eq("deliveryId", delivery_id)
        ).first()
        return row

    def get(self, transaction: Transaction, id: str) -> Row:
        """A delivery or a refusal by its own id.

        Raises:
            DocumentError: there is none.
        """
        if any(transaction.system.normalize_id(table, id) for table in (DELIVERIES, REFUSALS)):
            row: Row | None = transaction.system.get(id)
            if row is not None:
                return row
        raise DocumentError("DocumentNotFound", f"there is no webhook delivery {id!r}")

    def body(self, transaction: Transaction, row: Row) -> bytes | None:
        """The raw body of a delivery or refusal; None where it was not kept."""
        kept = transaction.system.get(row["body"]) if "body" in row else None
        if kept is None:
            return None
        return kept["body"].encode() if isinstance(kept["body"], str) else bytes(kept["body"])

    def newest(self, transaction: Transaction, state: str | None) -> Iterator[Row]:
        """Deliveries (of one state), or with the state "refused" refusals, the newest first."""
        query = transaction.system.query(REFUSALS if state == "refused" else DELIVERIES)
        if state in (None, "refused"):
            return iter(query.order("desc"))
        lanes_too = query.with_index("by_queue", lambda q: q.gte("queue", state).lt("queue", f"{state};"))
        return iter(lanes_too.order("desc"))  # ";" follows the ":" before a lane

    def dead(self, transaction: Transaction, wanted: Callable[[Row], bool] | None = None) -> list[Row]:
        """Some of the dead deliveries (that are wanted), the oldest first."""
        return list(islice(filter(wanted, self._queue(transaction, "dead")), _AT_ONCE))

    def outlived(self, transaction: Transaction) -> list[Row]:
        """Some of the settled deliveries whose retention is over, each behind its body."""
        now = self.now_ms()
        rows = [row for state in SETTLED for row in self._queue(transaction, state, now).take(_AT_ONCE)]
        return [found for row in rows for found in ({"_id": row["body"]}, row)]

    def _remove(self, transaction: Transaction, row: Row) -> None:
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
