# SPDX-License-Identifier: MIT
"""GitHub's legacy `X-Hub-Signature` (HMAC-SHA1), for senders that have no other; opt-in by this name only.

Source: docs.github.com, "Validating webhook deliveries".
"""

from __future__ import annotations

from . import github
from .provider import ProviderModule

SCHEME = github.SCHEME._replace(
    name="github-sha1", signature_header="X-Hub-Signature", algorithm="sha1", prefix="sha1="
)
MODULE = ProviderModule(SCHEME)
verify, sign, provider = MODULE.verify, MODULE.sign, MODULE.provider
