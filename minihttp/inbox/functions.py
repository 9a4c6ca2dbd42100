# SPDX-License-Identifier: MIT
"""The inbox's own functions, registered as `_webhooks:…`: what its jobs run, what the command line calls.

As functions they are run by the jobs like any other, and open to whoever holds the admin key. Knows nothing
of requests: `receive.py` receives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError
from ..webhooks.delivery import Delivery
from .deliveries import Deliveries, seen
from .endpoint import EndpointOptions

if TYPE_CHECKING:
    from ..data.catalog import Document
    from ..data.database import Database, Transaction
    from ..functions.context import SystemActionCtx, SystemCtx
    from ..functions.runner import Runner

_FUNCTIONS = {
    "query": ("list", "page", "show", "find", "endpoints"),
    "mutation": ("run_mutation", "replay", "retry_dead", "prune"),
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

    def run_mutation(self, ctx: SystemCtx, row: Document) -> None:
        """A job: the handler, in the transaction that ends the delivery."""
        handler, args = self._call_of(row, ctx.transaction)
        self._runner.run_in(
            ctx.transaction, handler, args, call=ctx.call, kind="mutation", nested=False, checked=True
        )

    def run_action(self, ctx: SystemActionCtx, row: Document) -> None:
        """A job: the handler, outside of any transaction; it may run again if the process dies."""
        handler, args = self._call_of(row)
        self._runner.run(handler, args, call=ctx.call, kind="action", checked=True)

    def _call_of(self, row: Document, transaction: Transaction | None = None) -> tuple[Any, Document]:
        """The handler of a delivery, and its arguments."""
        endpoint = self._endpoints.get(row["endpoint"])
        if endpoint is None or endpoint.handler is None:
            raise ConfigurationError(f"there is no webhook handler at {row['endpoint']} any more")
        delivery = self._rows.take_fresh(row["_id"])
        if delivery is None:
            body = self._body(row, transaction) or b""
            delivery = Delivery(endpoint.provider.scheme, body, row["headers"], 0, row["timestamp"])
        event = {  # in the order of their names, as fields of a document are
            "body": delivery.body,
            "endpoint": row["endpoint"],
            "event_type": row["eventType"],
            "headers": dict(row["headers"]),
            "id": row["deliveryId"],
            "payload": delivery.payload,
            "provider": row["provider"],
            "received_at": row["_creationTime"],
            "timestamp": row["timestamp"],
        }
        return endpoint.handler, {"delivery": event}

    def _body(self, row: Document, transaction: Transaction | None) -> bytes | None:
        if transaction is not None:
            return self._rows.body(transaction, row)
        return self._database.read(lambda transaction: self._rows.body(transaction, row))

    # ------------------------------------------------------------ for the command line

    def list(self, ctx: SystemCtx, state: str | None = None, limit: float = 50) -> list[Document]:
        """The newest deliveries (of one state), or with state "refused" the newest refusals."""
        return [seen(row) for row in self._rows.newest(ctx.transaction, state, int(limit))]

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
        asked = {"endpoint": endpoint, "eventType": event_type}
        wanted = {name: value for name, value in asked.items() if value is not None}
        found = self._rows.page(ctx.transaction, state, wanted, int(limit), cursor)
        return {**found, "page": [seen(row) for row in found["page"]]}

    def find(self, ctx: SystemCtx, endpoint: str, delivery_id: str) -> Document | None:
        """The delivery with the provider's id, or None."""
        row = self._rows.find(ctx.transaction, endpoint, delivery_id)
        return None if row is None else seen(row)

    def endpoints(self, ctx: SystemCtx) -> Sequence[Document]:
        """Every endpoint: `path`, `provider`, `isReady` (its secret is set), `lastSuccess` (milliseconds, of
        the newest `_LOOKED_AT` that are done; else None), and `refused` in 24 hours, at most `_COUNTED`.
        """
        transaction = ctx.transaction
        last: dict[str, float] = {}
        for row in self._rows.newest(transaction, "done", _LOOKED_AT):
            last[row["endpoint"]] = max(row["completedTime"], last.get(row["endpoint"], 0.0))
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
        row = self._rows.get(ctx.transaction, id)
        return {**seen(row), "body": self._rows.body(ctx.transaction, row)}

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
            ctx.transaction, lambda row: row["completedTime"] <= before and row["endpoint"] in handled
        )
        return {"retried": sum(self._again(ctx.transaction, row) for row in rows), "before": before}

    def _again(self, transaction: Transaction, row: Document) -> bool:
        endpoint = self._endpoints.get(row["endpoint"])
        if endpoint is None or endpoint.handler is None or "deliveryId" not in row:
            return False
        self._rows.replay(transaction, row, endpoint.handler.kind)
        return True

    def prune(self, ctx: SystemCtx) -> int:
        """Remove some of the deliveries whose retention is over; returns how many."""
        return self._rows.prune(ctx.transaction)
