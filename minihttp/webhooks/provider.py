# SPDX-License-Identifier: MIT
"""All that the module of a provider has, of one scheme: `verify`, `sign` and `provider`."""

from __future__ import annotations

from collections.abc import Iterable
from types import EllipsisType
from typing import TYPE_CHECKING

from .verifier import Verifier

if TYPE_CHECKING:
    from .configured import Provider


class ProviderModule(Verifier):
    """A scheme as a module: `verify` and `sign` of `Verifier`, which says the arguments, and `provider`."""

    __slots__ = ()

    def provider(
        self,
        secret: str | Iterable[str],
        *,
        tolerance_seconds: float | EllipsisType | None = ...,
        public_url: str = "",
        verify_token: str = "",
    ) -> Provider:
        """What `http.webhook` takes: this scheme, and the environment variables that hold its secrets.

        Args:
            secret: the name of an environment variable, or several for rotation.
            tolerance_seconds: as in `verify`.
            public_url: the URL that the provider was given, where it signs it and a proxy hides it. A query
                of the request counts instead of its own, since parameters may be added to it.
            verify_token: the name of the environment variable with the token of Meta's handshake.
        """
        from .configured import Provider

        return Provider(self, secret, tolerance_seconds, public_url, verify_token)
