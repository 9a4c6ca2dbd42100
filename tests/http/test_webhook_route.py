# SPDX-License-Identifier: MIT
"""A route that is a webhook: what its provider and its handler must be, and what it is until an app opens."""

from __future__ import annotations

from typing import Any

import pytest

from minihttp import HttpRouter, webhooks
from minihttp.errors import RouteError
from minihttp.webhooks import clerk, stripe
from tests.http.handlers import fits, look, on_event


@pytest.mark.parametrize(
    ("provider", "message"),
    [
        (clerk, 'clerk is a module, not a configured provider: write clerk.provider(secret="CLERK_WEBHOOK_'),
        (webhooks.github, 'write github.provider(secret="GITHUB_WEBHOOK_SECRET")'),
        ("stripe", "takes a provider such as stripe.provider"),
        (None, "takes a provider such as stripe.provider"),
    ],
)
def test_what_is_no_provider_is_refused(provider: Any, message: str) -> None:
    with pytest.raises(RouteError) as caught:
        HttpRouter().webhook("/hook", provider, on_event)
    assert message in str(caught.value)
    assert "/hook" in str(caught.value)


@pytest.mark.parametrize("handler", [fits, look, 5])
def test_what_cannot_handle_deliveries_is_refused(handler: Any) -> None:
    provider = stripe.provider(secret="STRIPE_WEBHOOK_SECRET")
    with pytest.raises(RouteError, match=r"decorate it with @internal_mutation\(args="):
        HttpRouter().webhook("/hook", provider, handler)


def test_a_webhook_is_a_post_route_to_the_inbox() -> None:
    http = HttpRouter()
    provider = stripe.provider(secret="STRIPE_WEBHOOK_SECRET")
    http.webhook("/hook", provider, "m:on_event", attempts=3)
    route, endpoint = http.find("/hook", "POST"), http.webhooks[0]
    assert route is not None and route.handler is endpoint
    assert (endpoint.path, endpoint.provider, endpoint.handler) == ("/hook", provider, "m:on_event")
    assert endpoint.options == {"attempts": 3} and endpoint.location.startswith(f"{__file__}:")
    with pytest.raises(RouteError, match="already in use"):
        http.webhook("/hook", provider, None)
    assert len(http.webhooks) == 1
