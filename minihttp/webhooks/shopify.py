# SPDX-License-Identifier: MIT
"""Shopify: HMAC-SHA256 of the body under the app's client secret, base64; no time is signed.

A rotated client secret takes up to an hour to be used, so keep both for that long.
Source: shopify.dev, "Deliver webhooks through HTTPS" and "Ignore duplicates".
"""

from __future__ import annotations

from .hmac_scheme import HMACScheme
from .provider import Preset

SCHEME = HMACScheme(
    name="shopify",
    signature_header="X-Shopify-Hmac-SHA256",
    encoding="base64",
    id_header="X-Shopify-Webhook-Id",
    event_header="X-Shopify-Topic",
    kept_headers=(
        "x-shopify-shop-domain",
        "x-shopify-api-version",
        "x-shopify-event-id",
        "x-shopify-triggered-at",
    ),
)
PRESET = Preset(SCHEME)
verify, sign, provider = PRESET.verify, PRESET.sign, PRESET.provider
