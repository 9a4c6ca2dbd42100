# SPDX-License-Identifier: MIT
"""Svix: `svix-id`, `svix-timestamp`, `svix-signature`, or the three `webhook-*` headers of a white-labelled
sender.

HMAC-SHA256 of `id.timestamp.body`, base64, in a space-separated list of `v1,…`. The first complete family of
headers decides; they are never mixed. Source:
docs.svix.com/receiving/verifying-payloads/how-manual. How to use it: docs/howto/clerk.md.
"""

from __future__ import annotations

from . import standard_webhooks
from .provider import ProviderModule

SCHEME = standard_webhooks.SCHEME._replace(
    name="svix",
    signature_header="svix-signature",
    timestamp_header="svix-timestamp",
    id_header="svix-id",
    families=(("webhook-signature", "webhook-timestamp", "webhook-id"),),
)
MODULE = ProviderModule(SCHEME)
verify, sign, provider = MODULE.verify, MODULE.sign, MODULE.provider
