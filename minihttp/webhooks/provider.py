# SPDX-License-Identifier: MIT
"""A provider as an endpoint uses it: which scheme, whose secrets, which delivery this is, what to keep of it.

Secrets are named by environment variable and resolved once, when the app is built. Knows no routes and no
storage.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from types import EllipsisType
from typing import Any

from ..errors import ConfigurationError, WebhookError
from .delivery import Delivery, Headers
from .keys import Key
from .scheme import Scheme
from .verifier import Verifier

Handshake = Callable[[Delivery, Key], Any]
"""The JSON with which a delivery is to be answered instead of handled, or None for a real event."""

_is_header_id = re.compile(r"[!-~]{1,256}").fullmatch


class Provider:
    """One configured provider; made by `stripe.provider(secret="STRIPE_WEBHOOK_SECRET")`.

    Attributes:
        name: of the provider.
        secret_names: the environment variables that hold its secrets, in order.
        wanted_headers: lower-case names of the header fields that `verify` reads, or that are worth keeping.
        kept_headers: those to keep with a stored delivery; never one that holds a credential, as a token is.
    """

    __slots__ = (
        "_handshake",
        "kept_headers",
        "name",
        "public_url",
        "secret_names",
        "tolerance_seconds",
        "verifier",
        "wanted_headers",
    )

    def __init__(
        self,
        verifier: Verifier,
        secret: str | Iterable[str],
        tolerance_seconds: float | EllipsisType | None = ...,
        public_url: str = "",
        handshake: Handshake | None = None,
    ) -> None:
        self.secret_names = (secret,) if isinstance(secret, str) else tuple(secret)
        if not self.secret_names or not all(isinstance(name, str) and name for name in self.secret_names):
            raise ConfigurationError(f"secret must name environment variables, not {self.secret_names!r}")
        self.verifier = verifier
        self.name = verifier.scheme.name
        self.tolerance_seconds = tolerance_seconds
        self.public_url = public_url
        self._handshake = handshake
        self.wanted_headers = verifier.wanted_headers()
        credentials = {self.scheme.signature_header.lower()} if self.scheme.algorithm == "token" else set()
        self.kept_headers = self.wanted_headers - credentials

    @property
    def scheme(self) -> Scheme:
        return self.verifier.scheme

    @property
    def signs_url(self) -> bool:
        """Whether `verify` needs the URL of the request."""
        return "{url}" in self.scheme.signed or self.scheme.contents is not None

    def resolve(self, environment: Mapping[str, str]) -> dict[str, str]:
        """The secrets that are set, by name and in order; a name that is not in the result is missing.

        Raises:
            ConfigurationError: for one that is set and cannot be a key; the message names the variable only.
        """
        found = {name: environment[name] for name in self.secret_names if environment.get(name)}
        for name, secret in found.items():
            try:
                self.verifier.keys(secret)
            except ConfigurationError as error:
                raise ConfigurationError(f"{name}: {error}") from None
        return found

    def verify(
        self,
        body: bytes,
        headers: Headers,
        secrets: Iterable[str],
        *,
        now: float | None = None,
        url: str = "",
    ) -> Delivery:
        """As the module's `verify`; a delivery without the id header that its provider always sends is
        refused too.

        Args:
            url: that of the request; only its query counts where `public_url` is set.
        """
        if self.public_url:
            url = self.public_url + "".join(url.partition("?")[1:])
        delivery = self.verifier.verify(
            body, headers, secrets, now=now, tolerance_seconds=self.tolerance_seconds, url=url
        )
        header = self.scheme.id_header
        if header and not delivery.id:
            raise WebhookError("missing_header", f"the header {header} is missing or empty")
        if header and not _is_header_id(delivery.id or ""):
            raise WebhookError("malformed_header", f"the header {header} is not 1-256 printable characters")
        return delivery

    def delivery_id(self, delivery: Delivery) -> str | None:
        """What makes a delivery the same one again; None where nothing does, and then it must not be
        deduplicated.

        The provider's id; without one, a hash of the time and the body where the time is signed. Never the
        body alone: two equal events at different times are two events.
        """
        if (id := delivery.id) or delivery.timestamp is None:
            return id
        return "sha256:" + hashlib.sha256(b"%d." % delivery.timestamp + delivery.body).hexdigest()

    def handshake(self, delivery: Delivery, secret: str) -> Any:
        """The JSON to answer a challenge or a ping with, instead of handling it; None for a real event."""
        return self._handshake(delivery, self.verifier.keys(secret)[0]) if self._handshake else None


class ProviderModule(Verifier):
    """All that a provider's module has: `verify`, `sign` and `provider` of one scheme.

    Args:
        scheme: how the provider signs.
        handshake: how it wants its challenges or pings answered.
    """

    __slots__ = ("handshake",)

    def __init__(self, scheme: Scheme, handshake: Handshake | None = None) -> None:
        super().__init__(scheme)
        self.handshake = handshake

    def provider(
        self,
        secret: str | Iterable[str],
        *,
        tolerance_seconds: float | EllipsisType | None = ...,
        public_url: str = "",
    ) -> Provider:
        """What `http.webhook` takes: this scheme, and the environment variables that hold its secrets.

        Args:
            secret: the name of an environment variable, or several for rotation.
            tolerance_seconds: as in `verify`.
            public_url: the URL that the provider was given, where it signs it and a proxy hides it.
        """
        return Provider(self, secret, tolerance_seconds, public_url, self.handshake)
