# SPDX-License-Identifier: MIT
"""GitHub's legacy `X-Hub-Signature` (HMAC-SHA1), for senders that have no other; opt-in by this name only.

Source: docs.github.com, "Validating webhook deliveries".
"""

from __future__ import annotations

from . import github
from .verifier import Verifier

SCHEME = github.SCHEME._replace(
    name="github-sha1", signature_header="X-Hub-Signature", algorithm="sha1", prefix="sha1="
)
VERIFIER = Verifier(SCHEME)
verify, sign, provider = VERIFIER.verify, VERIFIER.sign, VERIFIER.provider
