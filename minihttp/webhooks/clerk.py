# SPDX-License-Identifier: MIT
"""Clerk: Svix under its own name; only the `svix-*` headers. Source: clerk.com/docs, "verifyWebhook()"."""

from __future__ import annotations

from . import svix
from .verifier import Verifier

SCHEME = svix.SCHEME._replace(name="clerk", families=())
VERIFIER = Verifier(SCHEME)
verify, sign, provider = VERIFIER.verify, VERIFIER.sign, VERIFIER.provider
