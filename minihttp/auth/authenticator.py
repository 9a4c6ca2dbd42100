# SPDX-License-Identifier: MIT
"""The authenticator of an app: the text of a bearer token becomes an identity, or a reason why not.

The order is: spelling, issuer and audience, algorithm, key, signature, times. A token that was found good is
remembered by its SHA-256 until it expires.
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from math import ceil

from .. import hashing
from ..errors import AuthError, ConfigurationError
from .identity import Identity
from .key_sources import SecretKeys
from .providers import IdentityProvider, Resolver
from .token import Token, parse, time_claim

TOLERANCE_SECONDS = 5.0  # of other machines' clocks, as in Convex
_REMEMBERED = 1_000


class Authenticator:
    """Checks the tokens of one app.

    Args:
        providers: what `App(auth=[…])` was given.
        environment: where shared secrets are looked up, once.
        clock: Unix seconds.

    Raises:
        ConfigurationError: for something that is no provider, or a secret that can be guessed.
    """

    def __init__(
        self,
        providers: Iterable[IdentityProvider | Resolver],
        *,
        environment: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.providers = list(providers)
        self._clock = clock
        self._lock = threading.Lock()
        self._remembered: OrderedDict[bytes, tuple[Identity, float]] = OrderedDict()
        for provider in self.providers:
            if not isinstance(provider, (IdentityProvider, Resolver)):
                raise ConfigurationError(
                    f"App(auth=…) takes providers such as auth.oidc(…), not {provider!r:.100}"
                )
        self._issuers = [provider for provider in self.providers if isinstance(provider, IdentityProvider)]
        for provider in self._issuers:
            if isinstance(provider.keys, SecretKeys):
                provider.keys.load(environment)

    def identify(self, token: str) -> Identity:
        """Who a bearer token speaks of. It may fetch keys: never call it while a transaction is open.

        Raises:
            AuthError: 401 for a token that is not valid, with the reason.
            HTTPError: 503 when it cannot be checked now, as its issuer's keys or secret are not to be had.
        """
        if not self.providers:
            raise self._unknown()
        digest = hashing.sha256(token.encode("utf-8", "surrogatepass")).digest()
        now = self._clock()
        with self._lock:
            identity, expires = self._remembered.get(digest, (None, 0.0))
            if identity is not None and now < expires:
                self._remembered.move_to_end(digest)
                return identity
        refused: AuthError | None = None
        try:
            parsed = parse(token)
            provider = self._provider(parsed)
        except AuthError as error:
            refused = error
        if refused is not None:
            return self._resolve(token, refused)
        expires = _verify(parsed, provider, now)
        identity = Identity(parsed.claims["iss"], parsed.claims["sub"], parsed.claims)
        with self._lock:
            self._remembered[digest] = identity, expires
            if len(self._remembered) > _REMEMBERED:
                self._remembered.popitem(last=False)
        return identity

    def _resolve(self, token: str, refused: AuthError) -> Identity:
        """Who a token speaks of that is of no other provider; `refused` says why where no resolver knows."""
        for resolver in self.providers:
            if isinstance(resolver, Resolver) and (identity := resolver.resolve(token)) is not None:
                return identity
        raise refused

    def problems(self) -> list[str]:
        """What is wrong with the providers at present, one sentence each: for the log and `/_/ready`."""
        return [f"{issuer}: {problem}" for issuer in self._issuers if (problem := issuer.keys.problem)]

    def secret_names(self) -> list[str]:
        """The environment variables that the providers need."""
        sources = [provider.keys for provider in self._issuers]
        return [name for keys in sources if isinstance(keys, SecretKeys) for name in keys.names]

    def _provider(self, token: Token) -> IdentityProvider:
        """The provider of a token's issuer and audience; of several, the one of its algorithm."""
        issuer, subject = token.claims.get("iss"), token.claims.get("sub")
        if not isinstance(issuer, str):
            raise AuthError("InvalidAuthHeader", "The token is missing its issuer, the claim 'iss'")
        known = [provider for provider in self._issuers if provider.is_of(issuer)]
        fitting = [provider for provider in known if provider.takes(token.claims.get("aud"))]
        if not fitting:
            raise self._unknown()
        if not isinstance(subject, str) or not subject:
            raise AuthError("InvalidAuthHeader", "The token is missing its subject, the claim 'sub'")
        algorithm = token.header.get("alg")
        return next((provider for provider in fitting if provider.algorithm == algorithm), fitting[0])

    def _unknown(self) -> AuthError:
        configured = ", ".join(map(str, self.providers)) or "none"
        return AuthError(
            "NoAuthProvider",
            "No auth provider found matching the given token: its issuer and audience must be those of a"
            f" configured provider [{configured}]",
        )


def _verify(token: Token, provider: IdentityProvider, now: float) -> float:
    """When a token expires, if it is the provider's and its time is now; AuthError if it is not."""
    algorithm = token.header.get("alg")
    if algorithm != provider.algorithm:
        raise AuthError(
            "InvalidAuthHeader",
            f"The token's alg is {algorithm!r:.40}, and {provider} signs with {provider.algorithm}",
        )
    keys = provider.keys.candidates(token.header, now)
    if not any(verify(token.signing_input, token.signature) for verify in keys):
        raise AuthError("InvalidAuthHeader", "Could not decode token: its signature is not its issuer's")
    expires = time_claim(token.claims, "exp")
    if expires is None:
        raise AuthError("InvalidAuthHeader", "The token is missing when it expires, the claim 'exp'")
    if now >= expires:
        raise AuthError("InvalidAuthHeader", f"Token expired {ceil(now - expires)} seconds ago")
    for name in ("nbf", "iat"):
        early = (time_claim(token.claims, name) or 0.0) - now
        if early > TOLERANCE_SECONDS:
            raise AuthError("InvalidAuthHeader", f"Token will be valid in {ceil(early)} seconds ('{name}')")
    return expires
