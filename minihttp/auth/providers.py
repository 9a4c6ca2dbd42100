# SPDX-License-Identifier: MIT
"""The providers: whose tokens an app believes, and where their keys are.

A provider declares one issuer and one algorithm. Mistakes in a provider are found when it is made, with the
one exception that Convex has: a broken data: URI is a warning, and its tokens are refused.
"""

from __future__ import annotations

import os
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import unquote_to_bytes

from ..errors import ConfigurationError, did_you_mean
from .fetch import is_allowed
from .identity import Identity
from .key_sources import FetchedKeys, FixedKeys, KeySource, SecretKeys, normal_issuer
from .token import decode_object

ALGORITHMS = ("RS256", "ES256", "EdDSA")


class IdentityProvider:
    """Tokens of one issuer; made by `oidc`, `jwt` and `shared_secret`.

    Attributes:
        algorithm: the only `alg` that a token may have.
        audiences: of which a token must name one; None where that does not matter.
    """

    def __init__(
        self, kind: str, issuer: str, audience: str | Sequence[str] | None, algorithm: str, keys: KeySource
    ) -> None:
        if not isinstance(issuer, str) or not issuer:
            raise ConfigurationError(f"the issuer of an auth provider is a text, not {issuer!r:.100}")
        audiences = audience if isinstance(audience, (list, tuple)) else (audience,)
        if audience is not None and not (audiences and all(isinstance(a, str) and a for a in audiences)):
            raise ConfigurationError(f"the audience of {issuer} is a text or several, not {audience!r:.100}")
        self.issuer = issuer
        self.algorithm = algorithm
        self.audiences = None if audience is None else tuple(audiences)
        self.keys = keys
        self._kind = kind

    def is_of(self, issuer: object) -> bool:
        """Whether a token's `iss` is this provider's: a trailing slash and "https://" do not count."""
        return normal_issuer(issuer) == normal_issuer(self.issuer)

    def takes(self, audience: object) -> bool:
        """Whether a token's `aud`, a text or a list of texts (RFC 7519 §4.1.3), is for this app."""
        if self.audiences is None:
            return True
        named = audience if isinstance(audience, list) else [audience]
        return any(one in named for one in self.audiences)

    def __str__(self) -> str:
        name = "domain" if self._kind == "OIDC" else "issuer"
        return f"{self._kind}({name}={self.issuer}, app_id={', '.join(self.audiences or ('none',))})"


class Resolver:
    """Whatever else a bearer token can be; made by `resolver`."""

    def __init__(self, resolve: Callable[[str], Identity | None]) -> None:
        if not callable(resolve):
            raise ConfigurationError(f"auth.resolver takes a function, not {resolve!r:.100}")
        self._resolve = resolve

    def resolve(self, token: str) -> Identity | None:
        identity = self._resolve(token)
        if identity is not None and not isinstance(identity, Identity):
            raise TypeError(f"{self} must return an auth.Identity or None, not {identity!r:.60}")
        return identity

    def __str__(self) -> str:
        return f"Resolver({getattr(self._resolve, '__qualname__', self._resolve)})"


def oidc(domain: str, *, audience: str | Sequence[str], algorithm: str = "RS256") -> IdentityProvider:
    """Tokens of an OpenID Connect provider, whose keys its discovery document names.

    Args:
        domain: the issuer, such as "https://clerk.example.com"; "https://" may be left out.
        audience: the app's id at the provider, which the token's `aud` must name; or several.
        algorithm: "RS256", or "EdDSA" or "ES256", which need the package cryptography.

    Raises:
        ConfigurationError: for what cannot be, such as a domain without https.
    """
    if audience is None:
        raise ConfigurationError(f"auth.oidc({domain!r}) needs an audience: others use the same issuer")
    issuer = domain if "://" in domain else f"https://{domain}"
    url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"  # OpenID Connect Discovery §4
    _check(algorithm, url)
    return IdentityProvider("OIDC", issuer, audience, algorithm, FetchedKeys(url, algorithm, issuer))


def jwt(
    *,
    issuer: str,
    jwks: str | Mapping[str, Any],
    algorithm: str = "RS256",
    audience: str | Sequence[str] | None = None,
) -> IdentityProvider:
    """Tokens of any issuer that signs JWTs.

    Args:
        issuer: what the token's `iss` must be.
        jwks: the issuer's JWK Set: its https URL, a dict, `auth.jwks_file("keys.json")`, or a data: URI.
        algorithm: as for `oidc`.
        audience: of which `aud` must name one; None takes any, and none.

    Raises:
        ConfigurationError: for what cannot be.
    """
    keys: KeySource
    _check(algorithm, jwks if isinstance(jwks, str) and not jwks.startswith("data:") else None)
    if isinstance(jwks, Mapping):
        keys = FixedKeys(lambda: jwks, algorithm)
        if keys.problem:
            raise ConfigurationError(f"auth.jwt(jwks=…) of {issuer}: {keys.problem}")
    elif jwks.startswith("data:"):
        keys = FixedKeys(lambda: decode_object(_data_uri(jwks)), algorithm)
    else:
        keys = FetchedKeys(jwks, algorithm)
    return IdentityProvider("CustomJWT", issuer, audience, algorithm, keys)


def shared_secret(*names: str, issuer: str, audience: str | Sequence[str] | None = None) -> IdentityProvider:
    """Tokens that the app signs itself, or another program with the same secret (HS256): see `auth.sign`.

    Args:
        names: the environment variable with the secret; several while one replaces another.
        issuer, audience: as for `jwt`.
    """
    if not names or not all(isinstance(name, str) and name for name in names):
        raise ConfigurationError("auth.shared_secret takes the name of an environment variable")
    return IdentityProvider("SharedSecret", issuer, audience, "HS256", SecretKeys(names))


def resolver(resolve: Callable[[str], Identity | None]) -> Resolver:
    """Any other bearer token: `resolve(text)` returns an `auth.Identity`, or None for one it does not know.

    It is asked for what no other provider of the app claims, outside of any transaction, and its answers are
    not remembered. An AuthError that it raises is the reason that the caller is given.
    """
    return Resolver(resolve)


def named_provider(issuer: str | None, audience: str | None, jwks: str | None) -> IdentityProvider:
    """The provider that the settings `auth_issuer`, `auth_audience` and `auth_jwks` name.

    Args:
        jwks: the https URL, the file or the data: URI of its keys; None for OpenID Connect discovery.

    Raises:
        ConfigurationError: as `oidc` and `jwt`, and for settings that do not make a provider.
    """
    if not issuer:
        raise ConfigurationError("auth_audience and auth_jwks are of the issuer that auth_issuer names")
    if jwks:
        is_url = jwks.startswith(("data:", "https:", "http:"))
        return jwt(issuer=issuer, jwks=jwks if is_url else jwks_file(jwks), audience=audience)
    if not audience:
        raise ConfigurationError(f"auth_issuer {issuer} needs auth_audience, or auth_jwks")
    return oidc(issuer, audience=audience)


def jwks_file(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The JWK Set of a file, read once; ConfigurationError for one that cannot be read.

    Args:
        path: of the file; a relative one begins at the working directory.
    """
    try:
        with open(path, "rb") as file:
            return decode_object(file.read())
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"auth.jwks_file({os.fspath(path)!r}): {error}") from None


def _check(algorithm: str, url: str | None) -> None:
    if algorithm == "HS256":
        raise ConfigurationError("HS256 has no public key: use auth.shared_secret")
    if algorithm not in ALGORITHMS:
        near = did_you_mean(str(algorithm), ALGORITHMS)
        raise ConfigurationError(f"algorithm is one of {', '.join(ALGORITHMS)}, not {algorithm!r}{near}")
    if algorithm != "RS256":
        from .crypto import check_installed

        check_installed(algorithm)
    if url is not None and not is_allowed(url):
        raise ConfigurationError(f"{url!r:.200} is not an https URL (http is for this machine itself)")


def _data_uri(uri: str) -> bytes:
    """The bytes of a data: URI (RFC 2397); ValueError for one without a comma, or of bad base64."""
    head, comma, data = uri.partition(",")
    if not comma:
        raise ValueError("a data: URI has a comma")
    return b64decode(data, validate=True) if head.endswith(";base64") else unquote_to_bytes(data)
