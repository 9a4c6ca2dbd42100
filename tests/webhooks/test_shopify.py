# SPDX-License-Identifier: MIT
"""Shopify: the contract."""

from __future__ import annotations

from minihttp.webhooks import shopify
from tests.contracts.webhooks import WebhookContract


class TestShopify(WebhookContract):
    """The published vector is the row shopify/convoy-vector."""

    module = shopify
    refusal_status = 401  # its automated review of apps
