# SPDX-License-Identifier: MIT
"""Clerk: Svix under its own name; only the `svix-*` headers. Source: clerk.com/docs, "verifyWebhook()"."""

from __future__ import annotations

from . import svix
from .provider import ProviderModule

SCHEME = svix.SCHEME._replace(name="clerk", families=())
MODULE = ProviderModule(SCHEME)
verify, sign, provider = MODULE.verify, MODULE.sign, MODULE.provider
