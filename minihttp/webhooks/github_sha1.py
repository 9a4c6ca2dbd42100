# SPDX-License-Identifier: MIT
"""GitHub's legacy `X-Hub-Signature` (HMAC-SHA1), for senders that have no other; opt-in by this name only.

Source: docs.github.com, "Validating webhook deliveries".
"""

from __future__ import annotations

from . import github
from .provider import Preset

SCHEME = github.SCHEME._replace(
    name="github-sha1", signature_header="X-Hub-Signature", algorithm="sha1", prefix="sha1="
)
PRESET = Preset(SCHEME)
verify, sign, provider = PRESET.verify, PRESET.sign, PRESET.provider
