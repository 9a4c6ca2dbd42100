# SPDX-License-Identifier: MIT
"""Standard Webhooks, asymmetric: as `standard_webhooks`, but Ed25519 in a list of `v1a,…`.

The receiver holds the public key, `whpk_…`, which signs nothing; the sender's private one is `whsk_…`. A
check costs about two milliseconds, and `sign`, which does not take constant time, is for tests and test
events: see `ed25519`. Source: github.com/standard-webhooks, the specification, "Signature scheme".
"""

from __future__ import annotations

from . import standard_webhooks
from .provider import ProviderModule

SCHEME = standard_webhooks.SCHEME._replace(name="standard-webhooks-v1a", algorithm="ed25519", prefix="v1a,")
MODULE = ProviderModule(SCHEME)
verify, sign, provider = MODULE.verify, MODULE.sign, MODULE.provider
