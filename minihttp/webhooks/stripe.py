# SPDX-License-Identifier: MIT
"""Stripe: `Stripe-Signature: t=…,v1=…`, HMAC-SHA256 of `t.body` under the whole secret text, `whsec_`
included.

Source: docs.stripe.com/webhooks, "Verify webhook signatures manually". Stricter than Stripe's libraries:
timestamps in the future count as well, `t` occurs once, and an element that is not `name=value` makes the
header malformed.
"""

from __future__ import annotations

from .hmac_scheme import HMACScheme
from .verifier import Verifier

SCHEME = HMACScheme(
    name="stripe",
    signature_header="Stripe-Signature",
    separator=",",
    fields=("t", "v1"),
    signed="{timestamp}.{body}",
    id_paths=("id",),
    event_paths=("type",),
)
VERIFIER = Verifier(SCHEME)
verify, sign, provider = VERIFIER.verify, VERIFIER.sign, VERIFIER.provider
