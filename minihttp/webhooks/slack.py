# SPDX-License-Identifier: MIT
"""Slack: `v0=` and HMAC-SHA256 of `v0:timestamp:body`; answers the `url_verification` challenge.

An event is JSON, an interaction JSON in the field `payload` of a form; of a slash command the fields of the
form are the payload.

Source: docs.slack.dev, "Verifying requests from Slack" and "The Events API".
"""

from __future__ import annotations

from .delivery import Delivery
from .keys import Key
from .provider import ProviderModule
from .scheme import Scheme


def _answer_challenge(delivery: Delivery, key: Key) -> object:
    if delivery.value_at("type") != "url_verification":
        return None
    return {"challenge": delivery.value_at("challenge")}


def _acknowledge(delivery: Delivery) -> tuple[bytes, str] | None:
    """Nothing for slash commands and interactions, which come as forms: Slack would show what is answered."""
    return (b"", "") if delivery.is_form else None


SCHEME = Scheme(
    name="slack",
    signature_header="X-Slack-Signature",
    timestamp_header="X-Slack-Request-Timestamp",
    prefix="v0=",
    signed="v0:{timestamp}:{body}",
    id_paths=("event_id",),
    event_paths=("event.type", "type", "command"),
    form_field="payload",
    sends_forms=True,
    kept_headers=("x-slack-retry-num", "x-slack-retry-reason"),
)
MODULE = ProviderModule(SCHEME, handshake=_answer_challenge, acknowledge=_acknowledge)
verify, sign, provider = MODULE.verify, MODULE.sign, MODULE.provider
