# SPDX-License-Identifier: MIT
"""Linear: HMAC-SHA256 of the body, hex; the time is in the signed body, in milliseconds, and good for one
minute.

A retry, after a minute, an hour and six hours, is the same bytes with the same time: where something
remembers the ids, as the inbox does, a delivery may be as old as that.
Source: linear.app/developers/webhooks, "Securing webhooks".
"""

from __future__ import annotations

from .provider import ProviderModule
from .scheme import Scheme

SCHEME = Scheme(
    name="linear",
    signature_header="Linear-Signature",
    timestamp_path="webhookTimestamp",
    tolerance_seconds=60,
    retry_seconds=8 * 3600,
    id_header="Linear-Delivery",
    event_header="Linear-Event",
    event_paths=("type",),
)
MODULE = ProviderModule(SCHEME)
verify, sign, provider = MODULE.verify, MODULE.sign, MODULE.provider
