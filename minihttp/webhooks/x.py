# SPDX-License-Identifier: MIT
"""X, formerly Twitter: `sha256=` and HMAC-SHA256 of the body under the consumer secret, base64.

A URL is tested by GET with a `crc_token`, whose own HMAC is to be answered, and again every day. Source:
docs.x.com/x-api/webhooks, "Challenge-Response Checks".
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from .keys import Key
from .provider import ProviderModule
from .scheme import Scheme

# No more than this: whoever asks gets a signature, and must not get one of a body.
_is_token = re.compile(r"[A-Za-z0-9_-]{1,200}").fullmatch


def _answer_crc(query: Mapping[str, str], key: Key, verify_token: str) -> dict[str, str] | None:
    token = query.get("crc_token", "")
    return {"response_token": key.sign(b"", token.encode()).decode()} if _is_token(token) else None


SCHEME = Scheme(
    name="x",
    signature_header="x-twitter-webhooks-signature",
    encoding="base64",
    prefix="sha256=",
)
MODULE = ProviderModule(SCHEME, probe=_answer_crc)
verify, sign, provider = MODULE.verify, MODULE.sign, MODULE.provider
