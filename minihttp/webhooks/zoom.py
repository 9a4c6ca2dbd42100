# SPDX-License-Identifier: MIT
"""Zoom: `v0=` and HMAC-SHA256 of `v0:timestamp:body`; answers the `endpoint.url_validation` challenge.

Source: developers.zoom.us/docs/api/webhooks, "Verify with Zoom's header" and "Validate your webhook
endpoint".
"""

from __future__ import annotations

from .delivery import Delivery
from .keys import Key
from .provider import ProviderModule
from .scheme import Scheme


def _answer_challenge(delivery: Delivery, key: Key) -> object:
    token = delivery.value_at("payload.plainToken")
    if delivery.event_type != "endpoint.url_validation" or not isinstance(token, str):
        return None
    encrypted = key.sign(b"", token.encode("utf-8", "replace")).decode().removeprefix(SCHEME.prefix)
    return {"plainToken": token, "encryptedToken": encrypted}


SCHEME = Scheme(
    name="zoom",
    signature_header="x-zm-signature",
    timestamp_header="x-zm-request-timestamp",
    prefix="v0=",
    signed="v0:{timestamp}:{body}",
    event_paths=("event",),
)
MODULE = ProviderModule(SCHEME, handshake=_answer_challenge)
verify, sign, provider = MODULE.verify, MODULE.sign, MODULE.provider
