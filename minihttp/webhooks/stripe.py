# SPDX-License-Identifier: MIT
"""Stripe: `Stripe-Signature: t=…,v1=…`, HMAC-SHA256 of `t.body` under the whole secret text, `whsec_`
included.

Source: docs.stripe.com/webhooks, "Verify webhook signatures manually". Stricter than Stripe's libraries:
timestamps in the future count as well, `t` occurs once, and an element that is not `name=value` makes the
header malformed.
"""

from __future__ import annotations

from .provider import ProviderModule
from .scheme import Scheme

SCHEME = Scheme(
    name="stripe",
    signature_header="Stripe-Signature",
    separator=",",
    fields=("t", "v1"),
    signed="{timestamp}.{body}",
    id_paths=("id",),
    event_paths=("type",),
)
MODULE = ProviderModule(SCHEME)
verify, sign, provider = MODULE.verify, MODULE.sign, MODULE.provider
