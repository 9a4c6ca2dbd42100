# SPDX-License-Identifier: MIT
"""Typeform: `sha256=` and HMAC-SHA256 of the body, base64; no time is signed.

Source: typeform.com/developers/webhooks/secure-your-webhooks.
"""

from __future__ import annotations

from .hmac_scheme import HMACScheme
from .provider import Preset

SCHEME = HMACScheme(
    name="typeform",
    signature_header="Typeform-Signature",
    encoding="base64",
    prefix="sha256=",
    id_paths=("event_id",),
    event_paths=("event_type",),
)
PRESET = Preset(SCHEME)
verify, sign, provider = PRESET.verify, PRESET.sign, PRESET.provider
