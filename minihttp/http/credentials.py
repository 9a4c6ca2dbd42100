# SPDX-License-Identifier: MIT
"""Bearer tokens and API keys: taken from a request, made, and turned into the digest that is stored.

A secret is shown once and kept as its SHA-256 (at 128 random bits and more, no slow hash is needed); a
look-up by digest compares nothing byte by byte. Knows no database: who owns a digest is the app's business.
"""

from __future__ import annotations

import re

from .. import hashing
from ..errors import HTTPError, check_variable_name
from .hooks import Guard
from .request import Request

_bearer = re.compile(r"bearer +([A-Za-z0-9._~+/-]+=*) *", re.IGNORECASE).fullmatch  # RFC 6750 §2.1


def bearer_token(request: Request) -> str:
    """The token of `Authorization: Bearer …`.

    Raises:
        HTTPError: 401 with `WWW-Authenticate: Bearer` when it is missing or malformed.
    """
    match = _bearer(request.headers.get("Authorization", ""))
    if match is None:
        raise HTTPError(
            401,
            "Missing or invalid Authorization header",
            headers=[("WWW-Authenticate", "Bearer")],
            code="Unauthorized",
        )
    return match[1]


def api_key(request: Request, header: str = "X-API-Key") -> str:
    """The API key of a request; HTTPError 401 when there is none."""
    key = request.headers.get(header, "").strip()
    if not key:
        raise HTTPError(401, f"Missing API key: send it in the header {header}", code="Unauthorized")
    return key


def require_bearer(request: Request, secret: str | None = None) -> str:
    """The bearer token of a request, which must be `secret` where one is given.

    Raises:
        HTTPError: 401 for none, 403 for another.
    """
    token = bearer_token(request)
    _require_same(token, secret, "Invalid token")
    return token


def require_api_key(request: Request, secret: str | None = None, *, header: str = "X-API-Key") -> str:
    """The API key of a request, which must be `secret` where one is given.

    Args:
        secret: such as `ctx.secret("SHOP_API_KEY")`; it is compared in constant time.
        header: where the key is.

    Raises:
        HTTPError: 401 for none, 403 for another.
    """
    key = api_key(request, header)
    _require_same(key, secret, "Invalid API key")
    return key


def guard(secret_name: str, *, header: str = "X-API-Key") -> Guard:
    """A hook that lets only callers with one fixed key through: `HttpRouter(before=[guard("SHOP_API_KEY")])`.

    Args:
        secret_name: the environment variable that holds the key.
        header: where callers put it; "Authorization" takes it as a bearer token.
    """
    check_variable_name(secret_name, "credentials.guard")
    if header.lower() == "authorization":
        return Guard(lambda ctx, request: require_bearer(request, ctx.secret(secret_name)), header)
    return Guard(
        lambda ctx, request: require_api_key(request, ctx.secret(secret_name), header=header), header
    )


def _require_same(given: str, secret: str | None, message: str) -> None:
    """403 unless both are the same; digests are compared, so that time tells neither content nor length."""
    if secret is not None:
        sent = hashing.sha256(given.encode("latin-1", "replace")).digest()  # WSGI has bytes as latin-1
        wanted = hashing.sha256(secret.encode("utf-8", "surrogateescape")).digest()
        if not hashing.compare_digest(sent, wanted):
            raise HTTPError(403, message, code="Forbidden")


def new_token(prefix: str = "") -> tuple[str, str]:
    """A new random token (256 bits, URL-safe) after `prefix`, and its digest: show the one, store the
    other."""
    token = prefix + hashing.token_urlsafe(32)
    return token, digest(token)


def digest(token: str) -> str:
    """The SHA-256 of a token in hex: what is stored and looked up."""
    return hashing.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
