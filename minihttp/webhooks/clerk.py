# SPDX-License-Identifier: MIT
"""Clerk: Svix under its own name; only the `svix-*` headers. Source: clerk.com/docs, "verifyWebhook()"."""

from __future__ import annotations

from . import svix
from .provider import Preset

SCHEME = svix.SCHEME._replace(name="clerk", families=())
PRESET = Preset(SCHEME)
verify, sign, provider = PRESET.verify, PRESET.sign, PRESET.provider
