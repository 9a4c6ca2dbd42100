# SPDX-License-Identifier: MIT
"""Sample events of our own making, in the shape and the spelling that the provider sends.

For `webhooks send` and for tests; every value in them is invented. Knows no secrets: the provider signs.
"""

from __future__ import annotations

import json
from typing import Any

from ..errors import ConfigurationError

_GITHUB_USER = {"name": "octavia", "email": "octavia@example.com", "username": "octavia"}
_GITHUB_COMMIT = {
    "id": "9f2c1e7b5a3d4e6f8091a2b3c4d5e6f708192a3b",
    "distinct": True,
    "message": "Sell tea as well",
    "timestamp": "2026-01-15T10:00:00+01:00",
    "url": "https://github.com/octavia/shop/commit/9f2c1e7b5a3d4e6f8091a2b3c4d5e6f708192a3b",
    "author": _GITHUB_USER,
    "committer": _GITHUB_USER,
    "added": ["tea.md"],
    "removed": [],
    "modified": ["README.md"],
}
_GITHUB_PUSH = {
    "ref": "refs/heads/main",
    "before": "0d1a26e67d8f5eaf1f6ba5c57fc3c7d91ac0fd1c",
    "after": _GITHUB_COMMIT["id"],
    "created": False,
    "deleted": False,
    "forced": False,
    "base_ref": None,
    "compare": "https://github.com/octavia/shop/compare/0d1a26e67d8f...9f2c1e7b5a3d",
    "commits": [_GITHUB_COMMIT],
    "head_commit": _GITHUB_COMMIT,
    "repository": {
        "id": 700000001,
        "name": "shop",
        "full_name": "octavia/shop",
        "private": False,
        "owner": {"name": "octavia", "login": "octavia", "id": 600000001, "type": "User"},
        "html_url": "https://github.com/octavia/shop",
        "default_branch": "main",
    },
    "pusher": {"name": "octavia", "email": "octavia@example.com"},
    "sender": {"login": "octavia", "id": 600000001, "type": "User"},
}
_STRIPE_CHECKOUT = {
    "id": "{id}",
    "object": "event",
    "api_version": "2025-09-30.clover",
    "created": "{timestamp}",
    "data": {
        "object": {
            "id": "cs_test_a1b2c3d4e5f6g7h8i9j0",
            "object": "checkout.session",
            "amount_subtotal": 1250,
            "amount_total": 1250,
            "currency": "eur",
            "customer": "cus_TeaDrinker0001",
            "customer_details": {"email": "octavia@example.com", "name": "Octavia Example"},
            "livemode": False,
            "metadata": {"order": "1001"},
            "mode": "payment",
            "payment_intent": "pi_3Tea00000000000000000001",
            "payment_status": "paid",
            "status": "complete",
        }
    },
    "livemode": False,
    "pending_webhooks": 1,
    "request": {"id": None, "idempotency_key": None},
    "type": "checkout.session.completed",
}
_CLERK_USER = {
    "data": {
        "id": "user_2tea0000000000000000000001",
        "object": "user",
        "first_name": "Octavia",
        "last_name": "Example",
        "username": None,
        "primary_email_address_id": "idn_2tea0000000000000000000001",
        "email_addresses": [
            {
                "id": "idn_2tea0000000000000000000001",
                "object": "email_address",
                "email_address": "octavia@example.com",
                "verification": {"status": "verified", "strategy": "email_code"},
            }
        ],
        "public_metadata": {},
        "created_at": "{timestamp}000",
        "updated_at": "{timestamp}000",
    },
    "object": "event",
    "timestamp": "{timestamp}000",
    "type": "user.created",
}
_COMPACT: dict[str, Any] = {"separators": (",", ":")}
_EVENTS: dict[tuple[str, str], tuple[Any, dict[str, Any]]] = {
    ("github", "push"): (_GITHUB_PUSH, _COMPACT),
    ("stripe", "checkout.session.completed"): (_STRIPE_CHECKOUT, {"indent": 2}),
    ("clerk", "user.created"): (_CLERK_USER, _COMPACT),
    ("svix", "user.created"): (_CLERK_USER, _COMPACT),
    ("standard-webhooks", "user.created"): (_CLERK_USER, _COMPACT),
    ("standard-webhooks-v1a", "user.created"): (_CLERK_USER, _COMPACT),
}


def sample(provider: str, event_type: str, *, id: str, timestamp: int) -> bytes:
    """The body of a sample event, as the provider would write it.

    Args:
        provider: such as `stripe`.
        event_type: such as `checkout.session.completed`.
        id: of the delivery, for providers that put it into the body.
        timestamp: Unix seconds, for the same.

    Raises:
        ConfigurationError: there is no such sample; the message lists those that exist.
    """
    if (provider, event_type) not in _EVENTS:
        known = ", ".join(f"{name} {event}" for name, event in _EVENTS)
        raise ConfigurationError(
            f"there is no sample {provider} {event_type}: send your own (--data), or one of {known}"
        )
    event, style = _EVENTS[provider, event_type]
    return json.dumps(_fill(event, id, timestamp), ensure_ascii=False, **style).encode()


def _fill(value: Any, id: str, timestamp: int) -> Any:
    """The same value with the texts `{id}`, `{timestamp}` and `{timestamp}000` replaced."""
    if isinstance(value, dict):
        return {name: _fill(inner, id, timestamp) for name, inner in value.items()}
    if isinstance(value, list):
        return [_fill(inner, id, timestamp) for inner in value]
    replaced = {"{id}": id, "{timestamp}": timestamp, "{timestamp}000": timestamp * 1_000}
    return replaced.get(value, value) if isinstance(value, str) else value
