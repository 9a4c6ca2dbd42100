# SPDX-License-Identifier: MIT
"""Shopify: HMAC-SHA256 of the body under the app's client secret, base64; no time is signed.

A rotated client secret takes up to an hour to be used, so keep both for that long.
Source: shopify.dev, "Deliver webhooks through HTTPS" and "Ignore duplicates".
"""

from __future__ import annotations

from .provider import ProviderModule
from .scheme import Scheme

SCHEME = Scheme(
    name="shopify",
    signature_header="X-Shopify-Hmac-SHA256",
    encoding="base64",
    refusal_status=401,  # its review of apps checks that
    id_header="X-Shopify-Webhook-Id",
    event_header="X-Shopify-Topic",
    kept_headers=(
        "x-shopify-shop-domain",
        "x-shopify-api-version",
        "x-shopify-event-id",
        "x-shopify-triggered-at",
    ),
)
MODULE = ProviderModule(SCHEME)
verify, sign, provider = MODULE.verify, MODULE.sign, MODULE.provider
