# SPDX-License-Identifier: MIT
"""The inbox's own functions, registered as `_webhooks:…`: what its jobs run, what the command line calls.

As functions they are run by the jobs like any other, and open to whoever holds the admin key. Knows nothing
of requests: `receive.py` receives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError
from ..webhooks.delivery import Delivery
from .deliveries import Deliveries
from .endpoint import EndpointOptions

if TYPE_CHECKING:
    from ..data.catalog import Document
    from ..data.database import Database, Transaction
    from ..functions.context import SystemActionCtx, SystemCtx
    from ..functions.runner import Runner

_FUNCTIONS = {
    "query": ("list", "page", "show", "find", "endpoints"),
    "mutation": ("run_mutation", "ended", "replay", "retry_dead", "prune"),
    "action": ("run_action",),
}


_DAY_MS = 86_400_000.0
_LOOKED_AT = 200
_COUNTED = 101


class WebhookFunctions:
    """Each public method is a function of the app, of the kind that `_FUNCTIONS` says."""

    def __init__(
        self, database: Database, runner: Runner, rows: Deliveries, endpoints: Mapping[str, EndpointOptions]
    ) -> None:
        self._database = database
        self._runner = runner
        self._rows = rows
        self._endpoints = endpoints

    def register(self) -> None:
        """Put them into the app's registry."""
        self._runner.registry.add_methods("_webhooks", self, _FUNCTIONS)

    # ------------------------------------------------------------ handling

    def run_mutation(self, ctx: SystemCtx, endpoint: str, delivery_id: str) -> None:
        """A job: the handler and the delivery's end in the job's own transaction."""
        transaction = ctx.transaction
        row, handler, args = self._call_of(transaction, endpoint, delivery_id)
        if row is not None:
            self._runner.run_in(transaction, handler, args, call=ctx.call, checked=True)
            self._rows.finish(transaction, row, "done")

    def run_action(self, ctx: SystemActionCtx, endpoint: str, delivery_id: str) -> None:
        """A job. A delivery that is finished already, by an attempt that died just after, is left alone."""
        row, handler, args = self._database.read(
            lambda transaction: self._call_of(transaction, endpoint, delivery_id)
        )
        if row is None:
            return
        self._runner.run(handler, args, call=ctx.call, checked=True)

        def finish(transaction: Transaction) -> None:
            now = self._rows.find(transaction, endpoint, delivery_id)
            if now is not None and now["state"] == "pending" and now.get("jobId") == row.get("jobId"):
                self._rows.finish(transaction, now, "done")

        self._database.write(finish)

    def ended(self, ctx: SystemCtx, endpoint: str, delivery_id: str, job_id: str, result: Document) -> None:
        """A job has ended: one that failed for good, or was cancelled, leaves its delivery dead."""
        transaction = ctx.transaction
        row = self._rows.find(transaction, endpoint, delivery_id)
        if row is not None and row["state"] == "pending" and row["jobId"] == job_id:
            self._rows.finish(transaction, row, "dead", error=result.get("error", "cancelled"))

    def _call_of(
        self, transaction: Transaction, path: str, delivery_id: str
    ) -> tuple[Document | None, Any, Document]:
        """The row of a pending delivery, its handler and the arguments; no row where it is finished."""
        row = self._rows.find(transaction, path, delivery_id)
        endpoint = self._endpoints.get(path)
        if row is None or row["state"] != "pending":
            return None, None, {}
        if endpoint is None or endpoint.handler is None:
            raise ConfigurationError(f"there is no webhook handler at {path} any more")
        body = self._rows.body(transaction, row) or b""
        delivery = Delivery(endpoint.provider.scheme, body, row["headers"], 0, row["timestamp"])
        event = {
            "id": row["deliveryId"],
            "provider": row["provider"],
            "endpoint": path,
            "event_type": row["eventType"],
            "timestamp": row["timestamp"],
            "received_at": row["_creationTime"],
            "headers": row["headers"],
            "body": body,
            "payload": delivery.payload,
        }
        return row, endpoint.handler, {"delivery": event}

    # ------------------------------------------------------------ for the command line

    def list(self, ctx: SystemCtx, state: str | None = None, limit: float = 50) -> list[Document]:
        """The newest deliveries (of one state), or with state "refused" the newest refusals."""
        transaction = ctx.transaction
        rows = islice(self._rows.newest(transaction, state), int(limit))
        return [self._with_job(transaction, row) for row in rows]

    def page(
        self,
        ctx: SystemCtx,
        state: str | None = None,
        endpoint: str | None = None,
        event_type: str | None = None,
        limit: float = 50,
        cursor: str | None = None,
    ) -> Document:
        """A page of what `list` lists: `page`, `isDone` and `continueCursor`."""
        transaction = ctx.transaction
        asked = {"endpoint": endpoint, "eventType": event_type}
        wanted = {name: value for name, value in asked.items() if value is not None}
        found = self._rows.page(transaction, state, wanted, int(limit), cursor)
        return {**found, "page": [self._with_job(transaction, row) for row in found["page"]]}

    def find(self, ctx: SystemCtx, endpoint: str, delivery_id: str) -> Document | None:
        """The delivery with the provider's id, or None."""
        return self._rows.find(ctx.transaction, endpoint, delivery_id)

    def endpoints(self, ctx: SystemCtx) -> Sequence[Document]:
        """Every endpoint: `path`, `provider`, `isReady` (its secret is set), `lastSuccess` (milliseconds, of
        the newest `_LOOKED_AT` that are done; else None), and `refused` in 24 hours, at most `_COUNTED`.
        """
        transaction = ctx.transaction
        done = list(islice(self._rows.newest(transaction, "done"), _LOOKED_AT))
        last: dict[str, float] = {}
        for row in done:
            last[row["endpoint"]] = max(row["completedAt"], last.get(row["endpoint"], 0.0))
        since_ms = self._rows.now_ms() - _DAY_MS
        return [
            {
                "path": path,
                "provider": endpoint.provider.name,
                "isReady": bool(getattr(endpoint, "secrets", None)),
                "lastSuccess": last.get(path),
                "refused": self._rows.refused_since(transaction, path, since_ms, _COUNTED),
            }
            for path, endpoint in self._endpoints.items()
        ]

    def show(self, ctx: SystemCtx, id: str) -> Document:
        """A delivery or a refusal with its body, if that was kept."""
        transaction = ctx.transaction
        row = self._rows.get(transaction, id)
        return {**self._with_job(transaction, row), "body": self._rows.body(transaction, row)}

    def _with_job(self, transaction: Transaction, row: Document) -> Document:
        job = transaction.system.get(row["jobId"]) if "jobId" in row else None
        if job is None:
            return row
        error = job.get("lastError") if row["state"] == "pending" else row["error"]
        more = {"failures": job["failures"]} if "failures" in job else {}
        return {**row, **more, "attempts": job["attempts"], "error": error}

    def replay(self, ctx: SystemCtx, id: str) -> bool:
        """Run the handler again; false for a refusal, or where the route or its handler are gone."""
        row = self._rows.get(ctx.transaction, id)
        return self._again(ctx.transaction, row)

    def retry_dead(self, ctx: SystemCtx, before: float | None = None) -> dict[str, float]:
        """Run the handlers of some dead deliveries again.

        Returns how many were `retried`, 0 when there are no more, and the `before` of the next call: what
        fails again meanwhile is dead since later.
        """
        before = self._rows.now_ms() if before is None else before
        handled = {path for path, endpoint in self._endpoints.items() if endpoint.handler}
        rows = self._rows.dead(
            ctx.transaction, lambda row: row["completedAt"] <= before and row["endpoint"] in handled
        )
        return {"retried": sum(self._again(ctx.transaction, row) for row in rows), "before": before}

    def _again(self, transaction: Transaction, row: Document) -> bool:
        endpoint = self._endpoints.get(row["endpoint"])
        run = endpoint.job_for(row["deliveryId"]) if endpoint and "deliveryId" in row else None
        if run is not None:
            self._rows.replay(transaction, row, run)
        return run is not None

    def prune(self, ctx: SystemCtx) -> int:
        """Remove some of the deliveries whose retention is over; returns how many."""
        rows = self._rows.expired(ctx.transaction)
        for row in rows:
            ctx.transaction.system.delete(row["_id"])
        return sum("deliveryId" in row for row in rows)
