# SPDX-License-Identifier: MIT
"""Paddle Billing: `Paddle-Signature: ts=…;h1=…`, HMAC-SHA256 of `ts:body`; five seconds of tolerance, as in
its SDKs.

Source: developer.paddle.com/webhooks/signature-verification.
"""

from __future__ import annotations

from .provider import ProviderModule
from .scheme import Scheme

SCHEME = Scheme(
    name="paddle",
    signature_header="Paddle-Signature",
    separator=";",
    fields=("ts", "h1"),
    signed="{timestamp}:{body}",
    tolerance_seconds=5,
    id_paths=("event_id",),
    event_paths=("event_type",),
)
MODULE = ProviderModule(SCHEME)
verify, sign, provider = MODULE.verify, MODULE.sign, MODULE.provider
