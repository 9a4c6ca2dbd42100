# SPDX-License-Identifier: MIT
"""Typeform: `sha256=` and HMAC-SHA256 of the body, base64; no time is signed.

Source: typeform.com/developers/webhooks/secure-your-webhooks.
"""

from __future__ import annotations

from .provider import ProviderModule
from .scheme import Scheme

SCHEME = Scheme(
    name="typeform",
    signature_header="Typeform-Signature",
    encoding="base64",
    prefix="sha256=",
    id_paths=("event_id",),
    event_paths=("event_type",),
)
MODULE = ProviderModule(SCHEME)
verify, sign, provider = MODULE.verify, MODULE.sign, MODULE.provider
