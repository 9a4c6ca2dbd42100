# SPDX-License-Identifier: MIT
"""Stripe: `Stripe-Signature: t=…,v1=…`, HMAC-SHA256 of `t.body` under the whole secret text, `whsec_`
included.

Source: docs.stripe.com/webhooks, "Verify webhook signatures manually". Stricter than Stripe's libraries:
timestamps in the future count as well, `t` occurs once, and an element that is not `name=value` makes the
header malformed.
"""

from __future__ import annotations

from .hmac_scheme import HMACScheme
from .provider import Preset

SCHEME = HMACScheme(
    name="stripe",
    signature_header="Stripe-Signature",
    separator=",",
    fields=("t", "v1"),
    signed="{timestamp}.{body}",
    id_paths=("id",),
    event_paths=("type",),
)
PRESET = Preset(SCHEME)
verify, sign, provider = PRESET.verify, PRESET.sign, PRESET.provider
