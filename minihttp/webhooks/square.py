# SPDX-License-Identifier: MIT
"""Square: HMAC-SHA256 of the notification URL and the body, base64; no time is signed.

The URL is the one of the subscription, to the letter: give it as `public_url` behind a proxy.
Source: developer.squareup.com/docs/webhooks/step3validate.
"""

from __future__ import annotations

from .provider import ProviderModule
from .scheme import Scheme

SCHEME = Scheme(
    name="square",
    signature_header="x-square-hmacsha256-signature",
    encoding="base64",
    signed="{url}{body}",
    id_paths=("event_id",),
    event_paths=("type",),
    kept_headers=("square-initial-delivery-timestamp", "square-retry-number", "square-retry-reason"),
)
MODULE = ProviderModule(SCHEME)
verify, sign, provider = MODULE.verify, MODULE.sign, MODULE.provider
