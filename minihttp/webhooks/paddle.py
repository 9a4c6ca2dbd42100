# SPDX-License-Identifier: MIT
"""Paddle Billing: `Paddle-Signature: ts=…;h1=…`, HMAC-SHA256 of `ts:body`; five seconds of tolerance, as in
its SDKs.

Source: developer.paddle.com/webhooks/signature-verification.
"""

from __future__ import annotations

from .hmac_scheme import HMACScheme
from .provider import Preset

SCHEME = HMACScheme(
    name="paddle",
    signature_header="Paddle-Signature",
    separator=";",
    fields=("ts", "h1"),
    signed="{timestamp}:{body}",
    tolerance_seconds=5,
    id_paths=("event_id",),
    event_paths=("event_type",),
)
PRESET = Preset(SCHEME)
verify, sign, provider = PRESET.verify, PRESET.sign, PRESET.provider
