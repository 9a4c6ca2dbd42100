# SPDX-License-Identifier: MIT
"""Deliveries as they were stored before a delivery was its own job, and how they take the form of today.

Then a delivery had a job in `_scheduled_functions`, a body under an id of its own, and an index by endpoint
and id, which is kept for as long as there are such rows. They are changed a few in a transaction, behind the
requests where the app serves. Until then each is changed when it is needed: by its job, by the same delivery
sent again, by a replay. Whoever only looks sees it in the new form.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..data import ids
from ..data.catalog import make_document
from ..errors import StorageUnavailableError
from ..jobs.store import DONE, JOBS, PENDING, JobStore, pending
from ..values import index_key
from .deliveries import (
    BEHIND,
    BODIES,
    DELIVERIES,
    FULL_JITTER,
    LANES,
    Deliveries,
    body_id,
    in_queues,
    lane_id,
    seen,
    storable,
)
from .former import BY_KEY, FORMER_QUEUES, IN_LANES
from .functions import WebhookFunctions

if TYPE_CHECKING:
    from ..data.catalog import Document
    from ..data.database import Transaction
    from ..functions.context import SystemActionCtx, SystemCtx
    from ..webhooks.delivery import Delivery

log = logging.getLogger("minihttp.webhooks")

_AT_ONCE = 25  # rows that one transaction changes: requests wait for it
_SAID_EVERY = 10_000  # rows
_PAUSE_SECONDS = 0.001  # between two batches, so that requests get the interpreter and the one write lock
_RETRY_SECONDS = 10.0  # after an engine's fault
_CLOSING_SECONDS = 5.0
_GONE = ("jobId", "queue", "until", "run", "error", "completedAt", "lane", "body", "state")
_OF_JOBS = ("attempts", "lastError", "crashes", "owner", "retry")
_STATE_OF_JOBS: tuple[str, ...] = ("queue", "dueTime", "state", "lane", "claimedDue")


class FormerDeliveries(Deliveries):
    """Deliveries, while some may have the old form.

    Args:
        owner: the name by which this process claims jobs.
    """

    def __init__(self, store: JobStore, owner: str) -> None:
        super().__init__(store)
        self._owner = owner
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._count = 0

    def is_indexed(self) -> bool:
        """Whether each row of the old form can be found by its endpoint and id."""
        return self._store.database.read(_index) is not None

    # ------------------------------------------------------------ changing

    def begin(self) -> None:
        """Change those that a worker would meet and not know: the pending ones of lanes."""

        def some(transaction: Transaction) -> int:
            rows = in_queues(transaction, *IN_LANES).take(_AT_ONCE)
            return self._change_all(transaction, rows)

        while self._store.database.write(some):
            pass

    def start(self) -> None:
        """Change all others in a thread, if there is none yet."""
        if self._thread is not None:
            return
        self._thread = threading.Thread(target=self._go_on, name="minihttp-webhook-rows", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Have the thread end where it is: the next start goes on."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(_CLOSING_SECONDS)

    def _go_on(self) -> None:
        while not self._stopped.is_set():
            try:
                self.change_all()
                return
            except StorageUnavailableError as error:
                if not self._stopped.is_set():
                    log.warning("webhook deliveries keep their old form for now: %s", error)
                self._stopped.wait(_RETRY_SECONDS)

    def change_all(self) -> None:
        """Change every row; a process that dies meanwhile leaves the rest for the next start."""
        log.warning("webhook deliveries of an earlier version are brought into a new form")
        position: str | None = ids.table_tag(DELIVERIES)
        while position is not None and not self._stopped.wait(_PAUSE_SECONDS):
            position = self._change_page(position)
        if position is None:
            self._store.database.write(self._remove_callbacks)
            log.warning("webhook deliveries: all %d are in the new form", self._count)

    def _change_page(self, position: str) -> str | None:
        """Returns where the next page begins; None after the last."""

        def page(transaction: Transaction) -> tuple[list[Document], str | None]:
            end = ids.table_tag(DELIVERIES) + ids.ABOVE
            rows = transaction.engine.scan(position, end, reverse=False, limit=_AT_ONCE)
            old = [row for row in (make_document(*found) for found in rows) if _is_former(row)]
            return old, f"{rows[-1][0]}0" if len(rows) == _AT_ONCE else None

        old, following = self._store.database.read(page)
        if old:
            count = self._store.database.write(lambda t: self._change_all(t, page(t)[0]))
            self._count += count
            if self._count % _SAID_EVERY < count:
                log.warning("webhook deliveries: %d are in the new form", self._count)
        return following

    def _change_all(self, transaction: Transaction, rows: list[Document]) -> int:
        for row in rows:
            self._change(transaction, row)
        return len(rows)

    def bring(
        self, transaction: Transaction, endpoint: str, delivery_id: str, running: str | None = None
    ) -> None:
        """Change a delivery now, if it has the old form.

        Args:
            running: the id of its old job, where that is what runs now and only brings it.
        """
        row = self._former(transaction, endpoint, delivery_id)
        if row is not None:
            self._change(transaction, row, running)

    def _former(self, transaction: Transaction, endpoint: str, delivery_id: str) -> Document | None:
        index = _index(transaction)
        if index is None:
            return None
        key = index_key((endpoint, delivery_id))
        rows = transaction.engine.scan_index(
            index.number, (key, ""), (key, ids.ABOVE), reverse=False, limit=1
        )
        row = make_document(*rows[0][1:]) if rows else None
        return row if row is not None and _is_former(row) else None

    def _change(self, transaction: Transaction, row: Document, running: str | None = None) -> None:
        system = transaction.system
        job = _job_of(transaction, row)
        new = self._in_new_form(row, job, running)
        has_lane = "lane" in row and row["state"] == "pending"
        if has_lane:
            lane = self._store.database.prepare(LANES, {"orderKey": row["lane"]}, lane_id(row["lane"]))
            system.add_new(lane)
        system.replace(row["_id"], new)
        if job is not None and job["state"]["kind"] not in DONE and job["_id"] != running:
            system.delete(job["_id"])
        self._move_body(transaction, row)
        if has_lane and new["queue"] in DONE:
            self.ended(transaction, self._store, new, new["state"])

    def _in_new_form(self, row: Document, job: Document | None, running: str | None = None) -> Document:
        new = {name: value for name, value in row.items() if name[0] != "_" and name not in _GONE}
        new |= {"attempts": 0, **self._as_job(row, job, running)}
        if "lane" in row:
            new["orderKey"] = row["lane"]
        if new.get("retry") == FULL_JITTER.document:
            del new["retry"]
        return new

    def _as_job(self, row: Document, job: Document | None, running: str | None) -> Document:
        """The fields by which the row is a job."""
        now_ms = self.now_ms()
        facts: Document = {name: job[name] for name in _OF_JOBS if job and name in job}
        if row["state"] == "waiting":
            run = row["run"]
            state = {"state": {"kind": "pending"}, "lane": run["kind"], "retry": run["retry"]}
            return {**state, "queue": BEHIND + row["lane"], "dueTime": row["until"]}
        if row["state"] == "pending" and job is not None and job["state"]["kind"] not in DONE:
            is_claimed = job["state"]["kind"] == "inProgress"
            if job["_id"] == running or (is_claimed and job["owner"] == self._owner):  # which only brings it
                pool = "action" if job["name"].endswith("action") else "mutation"
                facts.pop("owner", None)
                return {**facts, **pending(pool, now_ms), "attempts": job["attempts"] - is_claimed}
            return facts | {name: job[name] for name in _STATE_OF_JOBS if name in job}
        ended = {"completedTime": row.get("completedAt", now_ms)}
        until = row["until"] if row["state"] != "pending" else now_ms + row["retentionSeconds"] * 1000
        failed = row["state"] == "dead" or (row["state"] == "pending" and _has_failed(job))
        kind = "failed" if failed else "success"
        error = row.get("error") or (job or {"state": {}})["state"].get("error", "cancelled")
        state = {"kind": kind, **({"error": error} if failed else {})}
        return {**facts, **ended, "state": state, "queue": kind, "dueTime": until}

    def _move_body(self, transaction: Transaction, row: Document) -> None:
        known = transaction.system.get(row["body"])
        assert known is not None
        kept = known["body"]
        body = kept.encode() if isinstance(kept, str) else bytes(kept)
        fields = {"delivery": row["_id"], **storable(body)}
        transaction.system.delete(row["body"])
        transaction.system.add(
            self._store.database.prepare(BODIES, fields, body_id(row["endpoint"], row["deliveryId"]))
        )

    def _remove_callbacks(self, transaction: Transaction) -> None:
        """Jobs that were to mark deliveries as dead: those are by now."""
        for row in self._store.due_jobs(transaction, f"{PENDING}mutation"):
            if row["_id"].startswith(transaction.catalog.system.named(JOBS).tag):
                name, _ = self._store.call_of(row)
                if name == "_webhooks:ended":
                    transaction.system.delete(row["_id"])

    # ------------------------------------------------------------ what a delivery does meanwhile

    def insert(
        self, row: Document, delivery: Delivery, pool: str | None, now_ms: float
    ) -> Callable[[Transaction], Document | None]:
        add = super().insert(row, delivery, pool, now_ms)

        def add_unless_old(transaction: Transaction) -> Document | None:
            self.bring(transaction, row["endpoint"], row["deliveryId"])
            return add(transaction)

        return add_unless_old

    def replay(self, transaction: Transaction, row: Document, pool: str) -> None:
        self.bring(transaction, row["endpoint"], row["deliveryId"])
        super().replay(transaction, transaction.system.get(row["_id"]) or row, pool)

    def ended(self, transaction: Transaction, store: JobStore, row: Document, outcome: Document) -> None:
        if "orderKey" in row:
            old = self._queue(transaction, f"waiting:{row['orderKey']}").first()
            self._change_all(transaction, [] if old is None else [old])
        super().ended(transaction, store, row, outcome)

    def dead(
        self, transaction: Transaction, wanted: Callable[[Document], bool] | None = None
    ) -> list[Document]:
        found = super().dead(transaction, wanted)
        while not found and transaction.writable:
            if not self._change_all(transaction, self._queue(transaction, "dead").take(_AT_ONCE)):
                break
            found = super().dead(transaction, wanted)
        return found

    # ------------------------------------------------------------ looking

    def get(self, transaction: Transaction, id: str) -> Document:
        return self._view(transaction, super().get(transaction, id))

    def body(self, transaction: Transaction, row: Document) -> bytes | None:
        return super().body(transaction, transaction.system.get(row["_id"]) or row)

    def newest(self, transaction: Transaction, state: str | None, limit: int) -> list[Document]:
        return self._views(transaction, super().newest(transaction, state, limit), state)

    def page(
        self,
        transaction: Transaction,
        state: str | None,
        wanted: Mapping[str, str],
        limit: int,
        cursor: str | None,
    ) -> dict[str, Any]:
        found = super().page(transaction, state, wanted, limit, cursor)
        return {**found, "page": self._views(transaction, found["page"], state)}

    def find(self, transaction: Transaction, endpoint: str, delivery_id: str) -> Document | None:
        row = self._former(transaction, endpoint, delivery_id)
        return (
            super().find(transaction, endpoint, delivery_id) if row is None else self._view(transaction, row)
        )

    def shown(self, row: Document) -> Document:
        return super().shown(self._view(None, row))

    def _views(self, transaction: Transaction, rows: list[Document], state: str | None) -> list[Document]:
        """The rows of a state: the job of an old one may have ended, and nothing has said so yet."""
        views = [self._view(transaction, row) for row in rows]
        return [row for row in views if state in (None, "refused", seen(row)["state"])]

    def _view(self, transaction: Transaction | None, row: Document) -> Document:
        """A row in the new form, whatever form it has."""
        if not _is_former(row):
            return row
        job = None if transaction is None else _job_of(transaction, row)
        new = self._in_new_form(row, job)
        return {**new, "_id": row["_id"], "_creationTime": row["_creationTime"]}

    @staticmethod
    def _queries(transaction: Transaction, state: str | None) -> list[Any]:
        queries = Deliveries._queries(transaction, state)
        former = FORMER_QUEUES.get(state or "", [])[:1]
        return queries + [in_queues(transaction, low, high) for low, high in former]


class FormerFunctions(WebhookFunctions):
    """The inbox's functions, as the jobs of old deliveries call them too: these only bring the delivery,
    whose row is a job of its own from then on."""

    _rows: FormerDeliveries

    def register(self) -> None:
        super().register()
        self._runner.registry.add_methods("_webhooks", self, {"mutation": ("ended",)})

    def run_mutation(
        self, ctx: SystemCtx, row: Document | None = None, endpoint: str = "", delivery_id: str = ""
    ) -> None:
        if row is not None:
            return super().run_mutation(ctx, row)
        return self._rows.bring(ctx.transaction, endpoint, delivery_id, ctx.call.job_id)

    def run_action(
        self, ctx: SystemActionCtx, row: Document | None = None, endpoint: str = "", delivery_id: str = ""
    ) -> None:
        if row is not None:
            return super().run_action(ctx, row)
        job = ctx.call.job_id
        return self._database.write(lambda t: self._rows.bring(t, endpoint, delivery_id, job))

    def ended(self, ctx: SystemCtx, endpoint: str, delivery_id: str, **facts: Any) -> None:
        """The job of an old delivery has failed."""
        self._rows.bring(ctx.transaction, endpoint, delivery_id)


def _is_former(row: Document) -> bool:
    return "deliveryId" in row and isinstance(row["state"], str)


def _index(transaction: Transaction) -> Any:
    stored = transaction.catalog.system.named(DELIVERIES).stored
    return next((index for index in stored if index.name == BY_KEY), None)


def _job_of(transaction: Transaction, row: Document) -> Document | None:
    return transaction.system.get(row["jobId"]) if "jobId" in row else None


def _has_failed(job: Document | None) -> bool:
    """Whether the job of a delivery that is pending has ended without success: nothing has said so yet."""
    return job is None or job["state"]["kind"] != "success"
