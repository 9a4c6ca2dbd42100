# SPDX-License-Identifier: MIT
"""Standard Webhooks: `webhook-id`, `webhook-timestamp`, `webhook-signature`, as OpenAI, Polar, GitLab's
signing token.

HMAC-SHA256 of `id.timestamp.body`, base64, in a space-separated list of `v1,…`; other versions are ignored.
Ids hold no dot, so that the signed text has one reading. Source: github.com/standard-webhooks,
"Standard Webhooks", the specification.
"""

from __future__ import annotations

from .provider import ProviderModule
from .scheme import Scheme

SCHEME = Scheme(
    name="standard-webhooks",
    signature_header="webhook-signature",
    timestamp_header="webhook-timestamp",
    id_header="webhook-id",
    encoding="base64",
    separator=" ",
    prefix="v1,",
    signed="{id}.{timestamp}.{body}",
    key_encoding="base64",
    event_paths=("type",),
)
MODULE = ProviderModule(SCHEME)
verify, sign, provider = MODULE.verify, MODULE.sign, MODULE.provider
