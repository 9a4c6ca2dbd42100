# SPDX-License-Identifier: MIT
"""The durable webhook inbox put together: the endpoints of one app, and the functions that run handlers.

A handler that is a mutation runs in the transaction that marks its delivery as done, so it takes effect
exactly once. One that is an action runs at least once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from ..errors import ConfigurationError, FunctionNotFoundError
from .deliveries import INBOX_TABLES, Deliveries
from .former import kept_indexes
from .functions import WebhookFunctions
from .receive import Endpoint

if TYPE_CHECKING:
    from ..data.database import Database, Transaction
    from ..functions.runner import Runner
    from ..http.webhook_route import Webhook
    from ..jobs.jobs import Jobs
    from .upgrade import FormerDeliveries

__all__ = ["INBOX_TABLES", "Inbox"]

log = logging.getLogger("minihttp.webhooks")


class Inbox:
    """The webhook endpoints of one app.

    Args:
        webhooks: as the router knows them.
        environment: where the secrets are, by the names that the providers give.
        clock: Unix seconds.
        public_url: as for `Endpoint`.
        behind: whether deliveries of an earlier version are brought into their new form in a thread, from
            `start` to `stop`.

    Attributes:
        endpoints: what answers each route, by path.

    Raises:
        ConfigurationError: for a handler, an option or a secret that cannot be, naming the route.
    """

    def __init__(
        self,
        database: Database,
        runner: Runner,
        jobs: Jobs,
        *,
        webhooks: Iterable[Webhook],
        environment: Mapping[str, str],
        clock: Callable[[], float],
        public_url: Callable[[str], str],
        behind: bool = False,
    ) -> None:
        webhooks = list(webhooks)
        self._former: FormerDeliveries | None = None
        rows, functions = Deliveries(jobs.store), WebhookFunctions
        if bool(webhooks) and database.read(_has_former):
            from .upgrade import FormerDeliveries, FormerFunctions

            rows = self._former = FormerDeliveries(jobs.store, jobs.owner)
            functions = FormerFunctions
        self._is_behind = behind and self._former is not None and self._former.is_indexed()

        def endpoint(webhook: Webhook) -> Endpoint:
            try:
                handler = None if webhook.handler is None else runner.registry.named(webhook.handler)
                if handler is not None and handler.kind == "query":
                    raise ConfigurationError(f"the handler must be a mutation or an action, not {handler}")
                secrets = webhook.provider.resolve(environment)
                made = Endpoint(webhook, handler, secrets, database, rows, clock, public_url)
                made.verify_token = environment.get(webhook.provider.verify_token_name, "").strip()
                return made
            except (ConfigurationError, FunctionNotFoundError, TypeError) as error:
                raise ConfigurationError(f"webhook {webhook.path} ({webhook.location}): {error}") from None

        self.endpoints = {webhook.path: endpoint(webhook) for webhook in webhooks}
        for path, made in self.endpoints.items():
            missing = "webhook %s: the environment variable %s is not set, so it answers 503"
            for name in made.provider.secret_names:
                if not made.secrets:
                    log.warning(missing, path, name)
                elif name not in made.secrets:  # one of several is enough
                    log.info("webhook %s: the environment variable %s is not set; another is", path, name)
            if made.provider.verify_token_name and not made.verify_token:
                log.warning(
                    f"{missing} to the provider's first request", path, made.provider.verify_token_name
                )
        if self.endpoints:
            functions(database, runner, rows, self.endpoints).register()
            jobs.store.add_table(rows)
        if self._former is not None:
            self._former.begin()
            if not self._is_behind:
                self._former.change_all()

    def start(self) -> None:
        """Go on with what `behind` has left."""
        if self._former is not None and self._is_behind:
            self._former.start()

    def stop(self) -> None:
        """End that where it is."""
        if self._former is not None:
            self._former.stop()


def _has_former(transaction: Transaction) -> bool:
    return bool(kept_indexes(transaction.engine))
