# SPDX-License-Identifier: MIT
"""The handler of a webhook route: verify → store, once per delivery id, with its job, in one commit → 200.

From the 200 on the sender has forgotten the delivery: retries, dead letters and replays are ours. Knows what
providers do only through `webhooks.configured.Provider`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from .. import hashing
from ..errors import HTTPError, StorageUnavailableError, WebhookError
from ..http.body import open_body
from ..http.deferred import Deferred
from ..http.response import Response
from .deliveries import FULL_JITTER, RETRY_AFTER_SECONDS, InboxFullError
from .endpoint import EndpointOptions

if TYPE_CHECKING:
    from ..data.catalog import Document
    from ..data.database import Database, Transaction
    from ..functions.registry import Function
    from ..http.request import Request
    from ..http.webhook_route import Webhook
    from ..webhooks.delivery import Delivery
    from .deliveries import Deliveries

log = logging.getLogger("minihttp.webhooks")

_MAX_REFUSED_VALUE_CHARACTERS = 2_048


class Endpoint(EndpointOptions):
    """One webhook endpoint of an app, called with a context and a request.

    Args:
        webhook: as it was registered.
        handler: the function that it names.
        secrets: by the names of the environment variables that hold them; empty while they are missing.
        clock: Unix seconds.
        public_url: makes of a request's URL, whose host a stranger may have chosen, the one that was given to
            the providers that sign it.
    """

    def __init__(
        self,
        webhook: Webhook,
        handler: Function | None,
        secrets: dict[str, str],
        database: Database,
        rows: Deliveries,
        clock: Callable[[], float],
        public_url: Callable[[str], str],
    ) -> None:
        super().__init__(webhook.path, webhook.provider, handler, **webhook.options)
        self.secrets = secrets
        self._keys, self._names = list(secrets.values()), list(secrets)
        self._signs_url = webhook.provider.signs_url
        self._database = database
        self._rows = rows
        self._clock = clock
        self._public_url = public_url
        self._refused = _Refused()

    def __call__(self, ctx: Any, request: Request) -> Response | Deferred:
        """Answer one delivery, or the GET or HEAD by which the provider tests the URL.

        Returns:
            What is answered once the delivery is on disk; no thread waits for that. It is 200 for a new one,
            a duplicate or a handshake; 400, or what the provider wants, with a fixed body when it is refused;
            503 while the secret is missing, or the deliveries that are kept reach `max_webhook_bytes`.

        Raises:
            HTTPError: 413 for a body over the endpoint's limit, before it is verified.
            StorageUnavailableError: when it could not be stored: the sender will try again.
        """
        if not self.secrets:
            raise HTTPError(
                503, "This endpoint is not configured yet", headers=[("Retry-After", RETRY_AFTER_SECONDS)]
            )
        if request.method in ("GET", "HEAD"):
            return self._probe(request)
        headers, now = self.select_headers(request), self._clock()
        is_signed = self.provider.has_signature(headers)
        sent = open_body(request.environ, self.max_body_bytes)
        # not read, where the head shows that it is refused
        body = sent.read() if is_signed or self.keep_refused_bodies else b""
        request_id = request.id
        url = request.url if self._signs_url else ""
        if url and not self.provider.public_url:  # of which only the query counts otherwise
            url = self._public_url(url)
        try:
            delivery = self.provider.verify(body, headers, self._keys, now=now, url=url)
        except WebhookError as error:
            error.status = self.refusal_status or error.status
            self._refuse(error, body, headers)
            raise
        answer = self.provider.handshake(delivery, self._keys[delivery.secret_index])
        if answer is not None:
            return Response.json(answer)
        usual, known_id = self.provider.acknowledgement(delivery), self.delivery_id(delivery)
        facts: Document = {"eventType": delivery.event_type, "requestId": request_id}
        facts["headers"] = self.storable_headers(headers)
        acknowledgement = self.acknowledge(delivery, usual)
        self._rows.stored_bytes.look(now * 1000)
        store = partial(self._database.submit, self._storing(delivery, known_id, facts, now))

        def respond(stored: Any, error: BaseException | None) -> Response:
            if error is not None:
                if isinstance(error, InboxFullError):
                    self._log_full(request.environ["minihttp.failures"])
                raise error
            return acknowledgement or Response.json(stored)

        return Deferred(store, respond)

    def _log_full(self, failures: Any) -> None:
        """Say so once a second at most, where the app counts the others (`tracebacks.RepeatFilter`)."""
        message = f"webhook {self.path}: its deliveries take max_webhook_bytes"
        failures.once(
            (InboxFullError, self.path),
            partial(log.error, f"{message}: a new one was refused"),
            partial(log.error, f"{message}: %d more were refused within %g s"),
        )

    def _probe(self, request: Request) -> Response:
        if self.provider.verify_token_name and not self.verify_token:
            raise HTTPError(503, "This endpoint is not configured yet")
        query = {name: value for name in request.query if (value := request.query.get(name)) is not None}
        answer = self.provider.probe(query, next(iter(self.secrets.values())), self.verify_token)
        if answer is None:
            raise HTTPError(403, "This is no challenge of the provider of this webhook")
        headers = {"X-Content-Type-Options": "nosniff"}
        return Response(answer, headers=headers) if isinstance(answer, str) else Response.json(answer)

    def _storing(
        self, delivery: Delivery, known_id: str | None, facts: Document, now: float
    ) -> Callable[[Transaction], Document]:
        delivery_id = known_id or f"none:{hashing.token_hex(16)}"
        body_hash = hashing.hashlib.sha256(delivery.body).hexdigest()
        row = {
            "endpoint": self.path,
            "deliveryId": delivery_id,
            "provider": self.provider.name,
            "timestamp": delivery.timestamp,
            "secret": self._names[delivery.secret_index],
            "bodyHash": body_hash,
            "bodyBytes": len(delivery.body),
            "retentionSeconds": self.retention_seconds,
            **facts,
        }
        order_key = self.ordering_key(delivery)
        if order_key is not None:
            row["orderKey"] = order_key
        if self.retry is not FULL_JITTER:
            row["retry"] = self.retry.document
        add = self._rows.insert(row, delivery, self.pool, now * 1000)

        def store(transaction: Transaction) -> Document:
            known = add(transaction)
            if known is None:
                return {"ok": True}
            self._rows.record_duplicate(transaction, known, body_hash, self.pool)
            return {"ok": True, "duplicate": True}

        return store

    def _refuse(self, error: WebhookError, body: bytes, headers: Mapping[str, str]) -> None:
        """Keep a refused delivery, unless so many came this minute that it would only push out its like."""
        now = self._clock()
        refused = self._refused
        if not refused.admits(now, self.refused_kept):
            return
        kept = self.storable_headers(headers).items()
        row = {
            "endpoint": self.path,
            "provider": self.provider.name,
            "state": "refused",
            "reason": error.reason,
            "error": str(error),
            "headers": {name: value[:_MAX_REFUSED_VALUE_CHARACTERS] for name, value in kept},
            "bodyHash": hashing.hashlib.sha256(body).hexdigest(),
            "bodyBytes": len(body),
        }

        def write(transaction: Transaction) -> None:
            if refused.count is None or self._database.shared:  # others may have written some
                refused.count = len(self._rows.refusals(transaction, self.path).take(self.refused_kept))
            is_full = refused.count >= self.refused_kept
            kept_body = body if self.keep_refused_bodies else None
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
