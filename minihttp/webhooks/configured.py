# SPDX-License-Identifier: MIT
"""A provider as an endpoint uses it: whose secrets, which delivery this is, what to keep of it.

Secrets are named by environment variable and resolved once, when the app is built. `verify` and `sign` of a
provider's module need nothing of this. Knows no routes and no storage.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from types import EllipsisType
from typing import Any

from .. import hashing
from ..errors import MIN_SECRET_BYTES, ConfigurationError, WebhookError, check_variable_name
from .delivery import Delivery, Headers
from .keys import key_of
from .scheme import Scheme
from .verifier import Verifier

_is_header_id = re.compile(r"[!-~]{1,256}").fullmatch


def resolve_secrets(
    verifier: Verifier, names: Iterable[str], environment: Mapping[str, str]
) -> dict[str, str]:
    """The secrets that are set, by name and in order; a name that is not in the result is missing.

    Raises:
        ConfigurationError: for one that is set and cannot be a key; the message names the variable only.
    """
    found = {name: environment[name] for name in names if environment.get(name)}
    for name, secret in found.items():
        try:
            verifier.keys(secret)
        except ConfigurationError as error:
            raise ConfigurationError(f"{name}: {error}") from None
    return found


class Provider:
    """One configured provider; made by `stripe.provider(secret="STRIPE_WEBHOOK_SECRET")`.

    Attributes:
        name: of the provider.
        secret_names: the environment variables that hold its secrets, in order.
        wanted_headers: lower-case names of the header fields that `verify` reads, or that are worth keeping.
        kept_headers: those to keep with a stored delivery; never one that holds a credential, as a token is.
    """

    __slots__ = (
        "kept_headers",
        "name",
        "public_url",
        "secret_names",
        "tolerance_seconds",
        "verifier",
        "verify_token_name",
        "wanted_headers",
    )

    def __init__(
        self,
        verifier: Verifier,
        secret: str | Iterable[str],
        tolerance_seconds: float | EllipsisType | None = ...,
        public_url: str = "",
        verify_token: str = "",
    ) -> None:
        self.verifier = verifier
        self.name = verifier.scheme.name
        where = f"{self.name}.provider(secret=…)"
        names = [secret] if isinstance(secret, str) or not isinstance(secret, Iterable) else list(secret)
        self.secret_names = tuple(check_variable_name(name, where) for name in names or [""])
        if bool(verify_token) != verifier.wants_verify_token:
            needs = "needs" if verifier.wants_verify_token else "has no"
            raise ConfigurationError(f"{self.name} {needs} verify_token: the name of a variable")
        if verify_token:
            check_variable_name(verify_token, f"{self.name}.provider(verify_token=…)")
        self.tolerance_seconds = tolerance_seconds
        # Of Twilio's connection overrides, which it does not sign
        self.public_url = public_url.partition("#")[0]
        self.verify_token_name = verify_token
        scheme, once = verifier.scheme, verifier.parser.once
        self.wanted_headers = once.union(("user-agent",), scheme.other_id_headers, scheme.kept_headers)
        credentials = {self.scheme.signature_header.lower()} if self.scheme.algorithm == "token" else set()
        self.kept_headers = self.wanted_headers - credentials

    @property
    def scheme(self) -> Scheme:
        return self.verifier.scheme

    @property
    def signs_url(self) -> bool:
        """Whether `verify` needs the URL of the request."""
        return "{url}" in self.scheme.signed or self.scheme.contents is not None

    def has_signature(self, headers: Mapping[str, str]) -> bool:
        """Whether a delivery has the headers that `verify` needs; without them its body need not be read."""
        families = (self.verifier.parser.headers.values(), *self.scheme.families)
        return any(all(headers.get(name) for name in family) for family in families)

    def resolve(self, environment: Mapping[str, str]) -> dict[str, str]:
        """As `resolve_secrets` of its own names."""
        return resolve_secrets(self.verifier, self.secret_names, environment)

    def check_url(self, origin: str) -> None:
        """Refuse to check signatures of URLs where nothing but the `Host` of a request says what was signed.

        Args:
            origin: of the app, or "".

        Raises:
            ConfigurationError: neither it nor `public_url` is set.
        """
        if self.signs_url and not (self.public_url or origin):
            raise ConfigurationError(
                f"{self.name} signs the URL that it was given: write {self.name}.provider(public_url=…) or"
                " App(origin=…), since the Host of a request is a stranger's word"
            )

    def guessable_secrets(self, environment: Mapping[str, str]) -> Iterator[str]:
        """A sentence for each secret that is short enough to be guessed; it names the variable only."""
        for name, secret in self.resolve(environment).items():
            size = len(key_of(secret, self.scheme))
            if size < MIN_SECRET_BYTES:
                least = f"and {MIN_SECRET_BYTES} are the least"
                yield f"{name}: a webhook secret has a key of {size} bytes, {least}"

    def verify(
        self,
        body: bytes,
        headers: Headers,
        secrets: Iterable[str],
        *,
        now: float | None = None,
        url: str = "",
    ) -> Delivery:
        """As the module's `verify`, for a receiver that remembers the ids of deliveries: where the provider
        signs its retries with the time of the first attempt, they are taken for as long as it sends them.

        Args:
            url: that of the request, as it was sent; only its query counts where `public_url` is set.
        """
        delivery = self.verifier.verify(
            body,
            headers,
            secrets,
            now=now,
            tolerance_seconds=self.tolerance_seconds,
            url=self._signed_url(url),
            retry_seconds=self.scheme.retry_seconds if self.tolerance_seconds is ... else 0,
        )
        if self.scheme.id_header and delivery.id and not _is_header_id(delivery.id):
            error = WebhookError(
                "malformed_header", f"the id of the {self.name} delivery is not 1-256 printable characters"
            )
            error.status = self.scheme.refusal_status
            raise error
        return delivery

    def _signed_url(self, url: str) -> str:
        """The public URL with the query of the request: parameters may be added to the one that was given."""
        if not self.public_url:
            return url
        base, *own_query = self.public_url.partition("?")
        query = url.partition("?")[1:]
        return base + "".join(query if query[0] else own_query)

    def delivery_id(self, delivery: Delivery) -> str | None:
        """What makes a delivery the same one again; None where nothing does, and then it must not be
        deduplicated.

        The provider's id. Without one, a hash of the body and of its time where that is signed, or of its
        event type where this provider has ids and only this delivery lacks one. Never the body alone: two
        equal events at different times are two events.
        """
        if delivery.id:
            return delivery.id
        if delivery.timestamp is not None:
            before = b"%d." % delivery.timestamp
        elif self.scheme.id_header:
            before = f"{delivery.event_type}.".encode("utf-8", "backslashreplace")
        else:
            return None
        return "sha256:" + hashing.hashlib.sha256(before + delivery.body).hexdigest()

    def handshake(self, delivery: Delivery, secret: str) -> Any:
        """The JSON to answer a challenge or a ping with, instead of handling it; None for a real event."""
        handshake = self.verifier.handshake
        return handshake(delivery, self.verifier.keys(secret)[0]) if handshake else None

    def acknowledgement(self, delivery: Delivery) -> tuple[bytes, str] | None:
        """Body and media type of the 200 that the provider wants for a delivery; None for `{"ok":true}`."""
        return self.verifier.acknowledge(delivery) if self.verifier.acknowledge else None

    @property
    def answers_get(self) -> bool:
        """Whether the provider tests a URL by GET or HEAD before it uses it."""
        return self.verifier.probe is not None

    def probe(self, query: Mapping[str, str], secret: str, verify_token: str) -> Any:
        """The text or JSON that answers such a GET; None where the request is none, or its token is wrong."""
        probe = self.verifier.probe
        return probe(query, self.verifier.keys(secret)[0], verify_token) if probe else None
