# SPDX-License-Identifier: MIT
"""A route that is a webhook: what it was registered with, until an app puts its inbox in the place of it.

The router alone goes without: it only asks a handler whether it `wants_body`, which a webhook alone says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import copy
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import RouteError
from .headers import RequestHeaders
from .hooks import put_hooks_around

if TYPE_CHECKING:
    from .route import Handler, Route


class Webhook(NamedTuple):
    """A webhook endpoint as it was registered; an app puts what receives its deliveries in the place of it.

    Attributes:
        handler: what runs for each delivery; None only keeps them.
        options: for the inbox.
        location: where it was registered.
    """

    path: str
    provider: Any
    handler: Any
    options: dict[str, Any]
    location: str

    @property
    def label(self) -> str:
        """What lists of routes show as the handler."""
        return f"webhook: {getattr(self.handler, 'name', None) or self.handler or 'kept only'}"

    def wants_body(self, environ: Mapping[str, str]) -> bool:
        """Whether the head has what a delivery is verified with; without it, its body is not read."""
        return bool(self.provider.has_signature(RequestHeaders(environ)))


def webhook_of(path: str, provider: Any, handler: Any, options: dict[str, Any], location: str) -> Webhook:
    """What `HttpRouter.webhook` registers.

    Raises:
        RouteError: for a provider or a handler that is none.
    """
    check_provider(provider, path)
    check_webhook_handler(handler, path)
    return Webhook(path, provider, handler, options, location)


def with_endpoints(router: Iterable[Route], endpoints: Mapping[str, Handler]) -> dict[Route, Route]:
    """A copy of each webhook route that has what receives its deliveries, by path, as its handler."""
    copies = {route: copy(route) for route in router if isinstance(route.handler, Webhook)}
    for route in copies.values():
        route.handler = endpoints[route.handler.path]
        put_hooks_around(route)
    return copies


def check_provider(provider: Any, path: str) -> None:
    """Refuse what is no provider of webhooks.

    Raises:
        RouteError: saying what to write.
    """
    if hasattr(provider, "secret_names") and hasattr(provider, "verify"):
        return
    if hasattr(provider, "provider"):
        name = getattr(provider, "__name__", "").rpartition(".")[2] or "stripe"
        written = f'{name}.provider(secret="{name.upper()}_WEBHOOK_SECRET")'
        raise RouteError(f"webhook {path}: {name} is a module, not a configured provider: write {written}")
    raise RouteError(
        f'webhook {path} takes a provider such as stripe.provider(secret="STRIPE_WEBHOOK_SECRET"),'
        f" not a {type(provider).__name__}"
    )


def check_webhook_handler(handler: Any, path: str) -> None:
    """Refuse what cannot handle deliveries: a function that is no mutation and no action.

    Raises:
        RouteError: saying what to write.
    """
    kind = getattr(handler, "kind", None)
    if handler is None or isinstance(handler, str) or kind in ("mutation", "action"):
        return
    written = '@internal_mutation(args={"delivery": v.any()}) (or @internal_action)'
    shown = getattr(handler, "__name__", None) or (repr(handler) if kind else f"a {type(handler).__name__}")
    raise RouteError(f"webhook {path}: {shown} cannot handle deliveries: decorate it with {written}")
