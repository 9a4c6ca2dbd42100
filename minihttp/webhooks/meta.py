# SPDX-License-Identifier: MIT
"""Meta (WhatsApp, Messenger, Instagram): `sha256=` and HMAC-SHA256 of the body under the app secret, hex.

A URL is tested by GET with `hub.verify_token`, which its user has chosen, and `hub.challenge`, which is to be
echoed. Source: developers.facebook.com/docs/graph-api/webhooks/getting-started.
"""

from __future__ import annotations

from collections.abc import Mapping
from hmac import compare_digest

from .keys import Key
from .provider import ProviderModule
from .scheme import Scheme


def _echo_challenge(query: Mapping[str, str], key: Key, verify_token: str) -> str | None:
    given = query.get("hub.verify_token", "").encode("utf-8", "replace")
    if query.get("hub.mode") != "subscribe" or not compare_digest(given, verify_token.encode()):
        return None
    return query.get("hub.challenge")


SCHEME = Scheme(
    name="meta",
    signature_header="X-Hub-Signature-256",
    prefix="sha256=",
    event_paths=("object",),
)
MODULE = ProviderModule(SCHEME, probe=_echo_challenge, wants_verify_token=True)
verify, sign, provider = MODULE.verify, MODULE.sign, MODULE.provider
