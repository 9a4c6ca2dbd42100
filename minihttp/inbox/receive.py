# SPDX-License-Identifier: MIT
"""The durable webhook inbox: verify → store, once per delivery id, with its job, in one commit → 200.

From the 200 on the sender has forgotten the delivery: retries, dead letters and replays are ours. A handler
that is a mutation runs in the transaction that marks its delivery as done, so it takes effect exactly once.
One that is an action runs at least once. Knows what providers do only through `webhooks.provider.Provider`.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ..errors import (
    ConfigurationError,
    FunctionNotFoundError,
    HTTPError,
    StorageUnavailableError,
    WebhookError,
)
from ..http.body import open_body
from ..http.response import Response
from .deliveries import INBOX_TABLES, Deliveries
from .endpoint import Endpoint
from .functions import WebhookFunctions

if TYPE_CHECKING:
    from ..data.catalog import Document
    from ..data.database import Database, Transaction
    from ..functions.runner import Runner
    from ..http.request import Request
    from ..jobs.jobs import Jobs
    from ..webhooks.delivery import Delivery

__all__ = ["INBOX_TABLES", "Inbox"]

log = logging.getLogger("minihttp.webhooks")

_MAX_REFUSED_VALUE_CHARACTERS = 2_048
_RETRY_AFTER_SECONDS = "60"


class Inbox:
    """Receives deliveries for the endpoints of one app, and runs their handlers as jobs.

    Args:
        endpoints: the router's, each with `path, provider, handler, options, location`.
        environment: where the secrets are, by the names that the providers give.
        clock: Unix seconds.

    Raises:
        ConfigurationError: for a handler, an option or a secret that cannot be, naming the route.
    """

    def __init__(
        self,
        database: Database,
        runner: Runner,
        jobs: Jobs,
        *,
        endpoints: Iterable[Any] = (),
        environment: Mapping[str, str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._registry = runner.registry
        self._clock = clock
        self._rows = Deliveries(jobs.store)
        self._refused: dict[str, _Refused] = {}
        self.endpoints = {declared.path: self._endpoint(declared, environment) for declared in endpoints}
        if self.endpoints:
            WebhookFunctions(database, runner, self._rows, self.endpoints).register()
            jobs.expired.append(self._rows.expired)

    def _endpoint(self, declared: Any, environment: Mapping[str, str]) -> Endpoint:
        try:
            handler = declared.handler if declared.handler is None else self._registry.named(declared.handler)
            if handler is not None and handler.kind == "query":
                raise ConfigurationError(f"the handler must be a mutation or an action, not {handler}")
            endpoint = Endpoint(declared.path, declared.provider, handler, **declared.options)
            endpoint.secrets = declared.provider.resolve(environment)
        except (ConfigurationError, FunctionNotFoundError, TypeError) as error:
            raise ConfigurationError(f"webhook {declared.path} ({declared.location}): {error}") from None
        for name in declared.provider.secret_names:
            if name not in endpoint.secrets:
                log.warning("webhook %s: the environment variable %s is not set", declared.path, name)
        return endpoint

    # ------------------------------------------------------------ receiving

    def receive(self, declared: Any, request: Request) -> Response:
        """Answer one delivery.

        Returns:
            200 when it is on disk, a duplicate or a handshake; 400 with a fixed body when it is refused; 503
            while the secret is missing.

        Raises:
            HTTPError: 413 for a body over the endpoint's limit, before it is verified.
            StorageUnavailableError: when it could not be stored: the sender will try again.
        """
        endpoint = self.endpoints[declared.path]
        if not endpoint.secrets:
            raise HTTPError(
                503, "This endpoint is not configured yet", headers=[("Retry-After", _RETRY_AFTER_SECONDS)]
            )
        body = open_body(request.environ, endpoint.max_body_bytes).read()
        provider = endpoint.provider
        url = request.url if provider.signs_url else ""
        keys = list(endpoint.secrets.values())
        headers = endpoint.select_headers(request.headers)
        try:
            delivery = provider.verify(body, headers, keys, now=self._clock(), url=url)
        except WebhookError as error:
            self._refuse(endpoint, error, body, headers)
            raise
        answer = provider.handshake(delivery, keys[delivery.secret_index])
        if answer is None:
            answer = self._database.write(self._storing(endpoint, delivery), any_thread=True)
        return Response.json(answer)

    def _storing(self, endpoint: Endpoint, delivery: Delivery) -> Callable[[Transaction], Document]:
        body_hash = hashlib.sha256(delivery.body).hexdigest()
        known_id = endpoint.provider.delivery_id(delivery)
        delivery_id = known_id or f"none:{secrets.token_hex(16)}"
        names = list(endpoint.secrets)
        row = {
            "endpoint": endpoint.path,
            "deliveryId": delivery_id,
            "provider": endpoint.provider.name,
            "eventType": delivery.event_type,
            "timestamp": delivery.timestamp,
            "headers": endpoint.storable_headers(delivery.headers),
            "secret": names[delivery.secret_index],
            "bodyHash": body_hash,
            "bodyBytes": len(delivery.body),
            "retentionSeconds": endpoint.retention_seconds,
        }
        lane = endpoint.ordering_key(delivery)
        if lane is not None:
            row["lane"] = lane
        run = endpoint.job_for(delivery_id)
        add = self._rows.insert(row, delivery.body, run)

        def store(transaction: Transaction) -> Document:
            old = self._rows.find(transaction, endpoint.path, delivery_id) if known_id else None
            if old is not None:
                self._rows.record_duplicate(transaction, old, body_hash, run)
                return {"ok": True, "duplicate": True}
            add(transaction)
            return {"ok": True}

        return store

    def _refuse(
        self, endpoint: Endpoint, error: WebhookError, body: bytes, headers: Mapping[str, str]
    ) -> None:
        """Keep a refused delivery, unless so many came this minute that it would only push out its like."""
        now = self._clock()
        refused = self._refused.setdefault(endpoint.path, _Refused())
        if not refused.admits(now, endpoint.refused_kept):
            return
        kept = endpoint.storable_headers(headers).items()
        row = {
            "endpoint": endpoint.path,
            "provider": endpoint.provider.name,
            "state": "refused",
            "reason": error.reason,
            "error": str(error),
            "headers": {name: value[:_MAX_REFUSED_VALUE_CHARACTERS] for name, value in kept},
            "bodyHash": hashlib.sha256(body).hexdigest(),
            "bodyBytes": len(body),
        }

        def write(transaction: Transaction) -> None:
            if refused.count is None:
                refused.count = len(
                    self._rows.refusals(transaction, endpoint.path).take(endpoint.refused_kept)
                )
            is_full = refused.count >= endpoint.refused_kept
            kept_body = body if endpoint.keep_refused_bodies else None
            self._rows.refuse(transaction, row, kept_body, is_full=is_full)
            if not is_full:
                transaction.after_commit(refused.grow)

        try:
            self._database.write(write)
        except StorageUnavailableError as problem:
            log.error("a refused webhook could not be kept: %s", problem)


class _Refused:
    """How many refusals an endpoint has in the database, and how many it wrote this minute."""

    def __init__(self) -> None:
        self.count: int | None = None
        self._minute = 0.0
        self._written = 0

    def admits(self, now: float, limit: int) -> bool:
        if now // 60 != self._minute:
            self._minute, self._written = now // 60, 0
        self._written += 1
        return self._written <= limit

    def grow(self) -> None:
        self.count = (self.count or 0) + 1
