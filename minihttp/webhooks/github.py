# SPDX-License-Identifier: MIT
"""GitHub: HMAC-SHA256 of the body; no time is signed, so only the delivery id stops a replay, and that is not
signed.

Source: docs.github.com, "Validating webhook deliveries" and "Webhook events and payloads". SHA-1 is never a
fallback: see `github_sha1`.
"""

from __future__ import annotations

from .delivery import Delivery
from .keys import Key
from .provider import ProviderModule
from .scheme import Scheme


def _answer_ping(delivery: Delivery, key: Key) -> object:
    return {"ok": True} if delivery.event_type == "ping" else None


SCHEME = Scheme(
    name="github",
    signature_header="X-Hub-Signature-256",
    prefix="sha256=",
    id_header="X-GitHub-Delivery",
    event_header="X-GitHub-Event",
    form_field="payload",
    kept_headers=(
        "x-github-hook-id",
        "x-github-hook-installation-target-id",
        "x-github-hook-installation-target-type",
    ),
)
MODULE = ProviderModule(SCHEME, handshake=_answer_ping)
verify, sign, provider = MODULE.verify, MODULE.sign, MODULE.provider
