# SPDX-License-Identifier: MIT
"""Deliveries as they were stored before a delivery was its own job, brought into the form of today.

Then a delivery had a job in `_scheduled_functions` and a body under an id of its own. Rows of that form are
known by their queue; they are changed at the start, a few in a transaction. Where there are none, that costs
a few look-ups.
"""

from __future__ import annotations

import logging
from itertools import islice
from typing import TYPE_CHECKING, Any

from ..jobs.store import DONE, JOBS, PENDING, JobStore
from .deliveries import BEHIND, BODIES, DELIVERIES, FULL_JITTER, LANES, body_id, lane_id, storable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..data.catalog import Document
    from ..data.database import Transaction

log = logging.getLogger("minihttp.webhooks")

_AT_ONCE = 100  # rows that one transaction changes: it holds the one write lock
_SAID_EVERY = 10_000  # rows
# bounds of the queues that rows had then: the state, and the lane, which begins with a path, behind some
_QUEUES = (
    ("dead", "dead "),
    ("done", "done "),
    ("pending", "pending "),
    (f"{PENDING}/", f"{PENDING}0"),
    ("waiting", "waiting;"),
)
_GONE = ("jobId", "queue", "until", "run", "error", "completedAt", "lane", "body", "state")
_OF_JOBS = ("attempts", "lastError", "crashes", "owner", "retry")
_STATE_OF_JOBS: tuple[str, ...] = ("queue", "dueTime", "state", "lane", "claimedDue")


def upgrade(store: JobStore) -> None:
    """Change every row of the old form; a process that dies meanwhile leaves the rest for the next start."""
    count = 0
    while store.database.read(lambda transaction: next(_old(transaction), None)):
        if not count:
            log.warning("webhook deliveries of an earlier version are brought into a new form")
        count += store.database.write(lambda transaction: _upgrade_some(transaction, store))
        if count % _SAID_EVERY < _AT_ONCE <= count:
            log.warning("webhook deliveries: %d are in the new form", count)
    if count:
        store.database.write(lambda transaction: _remove_callbacks(transaction, store))
        log.warning("webhook deliveries: all %d are in the new form", count)


def _old(transaction: Transaction) -> Iterator[Document]:
    for low, high in _QUEUES:
        yield from transaction.system.query(DELIVERIES).with_index(
            "by_queue", lambda q, low=low, high=high: q.gte("queue", low).lt("queue", high)
        )


def _upgrade_some(transaction: Transaction, store: JobStore) -> int:
    rows = list(islice(_old(transaction), _AT_ONCE))
    for row in rows:
        _upgrade(transaction, store, row)
    return len(rows)


def _upgrade(transaction: Transaction, store: JobStore, row: Document) -> None:
    system = transaction.system
    job: Document | None = system.get(row["jobId"]) if "jobId" in row else None
    new = {name: value for name, value in row.items() if name[0] != "_" and name not in _GONE}
    new |= {"attempts": 0, **_as_job(row, job, store.now_ms())}
    if "lane" in row:
        new["orderKey"] = row["lane"]
        if row["state"] == "pending" and new["queue"] not in DONE:
            lane = store.database.prepare(LANES, {"orderKey": row["lane"]}, lane_id(row["lane"]))
            system.add_new(lane)
    if new.get("retry") == FULL_JITTER.document:
        del new["retry"]
    system.replace(row["_id"], new)
    if job is not None and job["state"]["kind"] not in DONE:
        system.delete(job["_id"])
    _move_body(transaction, store, row)


def _as_job(row: Document, job: Document | None, now_ms: float) -> dict[str, Any]:
    """The fields by which the row is a job."""
    facts: Document = {name: job[name] for name in _OF_JOBS if job and name in job}
    if row["state"] == "waiting":
        run = row["run"]
        state = {"state": {"kind": "pending"}, "lane": run["kind"], "retry": run["retry"]}
        return {**state, "queue": BEHIND + row["lane"], "dueTime": row["until"]}
    if row["state"] == "pending" and job is not None and job["state"]["kind"] not in DONE:
        return facts | {name: job[name] for name in _STATE_OF_JOBS if name in job}
    ended = {"completedTime": row.get("completedAt", now_ms)}
    until = row["until"] if row["state"] != "pending" else now_ms + row["retentionSeconds"] * 1000
    failed = row["state"] == "dead" or (row["state"] == "pending" and _has_failed(job))
    kind = "failed" if failed else "success"
    error = row.get("error") or (job or {"state": {}})["state"].get("error", "cancelled")
    state = {"kind": kind, **({"error": error} if failed else {})}
    return {**facts, **ended, "state": state, "queue": kind, "dueTime": until}


def _has_failed(job: Document | None) -> bool:
    """Whether the job of a delivery that is pending has ended without success: nothing has said so yet."""
    return job is None or job["state"]["kind"] != "success"


def _move_body(transaction: Transaction, store: JobStore, row: Document) -> None:
    kept = transaction.system.get(row["body"])["body"]
    body = kept.encode() if isinstance(kept, str) else bytes(kept)
    fields = {"delivery": row["_id"], **storable(body)}
    transaction.system.delete(row["body"])
    transaction.system.add(
        store.database.prepare(BODIES, fields, body_id(row["endpoint"], row["deliveryId"]))
    )


def _remove_callbacks(transaction: Transaction, store: JobStore) -> None:
    """Jobs that were to mark deliveries as dead: those are by now."""
    for row in store.due_jobs(transaction, f"{PENDING}mutation"):
        if row["_id"].startswith(transaction.catalog.system.named(JOBS).tag):
            name, _ = store.call_of(row)
            if name == "_webhooks:ended":
                transaction.system.delete(row["_id"])
