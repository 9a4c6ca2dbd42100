# SPDX-License-Identifier: MIT
"""Where a provider's keys come from: its JWKS over HTTPS, the app itself, or a secret of the environment.

Keys that are fetched are kept, and fetched again by one thread for all requests that wait for them. A
provider that is down keeps its last keys for a day: its tokens stay good, and the log and `/_/ready` say so.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from ..errors import AuthError, ConfigurationError, HTTPError
from .fetch import FETCH_SECONDS, fetch_json
from .keys import Verify, key_set, secret_key

log = logging.getLogger("minihttp")

_FRESH_SECONDS = (300.0, 86_400.0)  # the least and the most that a provider's Cache-Control may ask for
_STALE_SECONDS = 86_400.0
_UNKNOWN_KID_SECONDS = 60.0  # a stranger can name any kid, so this bounds what strangers make us fetch
_RETRY_SECONDS = 10.0
_MIN_SECRET_BYTES = 32  # RFC 7518 §3.2: as long as the hash


class KeySource(Protocol):
    """Finds the keys that may have signed a token."""

    problem: str  # one sentence for the log and /_/ready; "" where all is well

    def candidates(self, header: Mapping[str, Any], now: float) -> list[Verify]:
        """The keys that a token's header allows, at least one."""


class FixedKeys:
    """A JWK Set that the app has: a dict, a file or a data: URI.

    Args:
        load: returns the JWK Set, or raises ValueError: then no token of this provider is valid.
    """

    def __init__(self, load: Callable[[], object], algorithm: str) -> None:
        self.problem = ""
        self._keys: dict[str, Verify] = {}
        try:
            self._keys = key_set(load(), algorithm)
            if not self._keys:
                raise ValueError(f"it has no key for {algorithm}")
        except ValueError as error:
            self.problem = f"Invalid JWKS response body: it is not valid JSON of a JWK Set ({error})"

    def candidates(self, header: Mapping[str, Any], now: float) -> list[Verify]:
        kid = _kid(header)
        if self.problem:
            raise AuthError("InvalidAuthHeader", self.problem)
        return _named(kid, self._keys)


class SecretKeys:
    """Secrets for HS256, by the names of their environment variables: the first signs, all are valid."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self.problem = ""
        self._keys: list[Verify] = []

    def load(self, environment: Mapping[str, str]) -> None:
        """Look the secrets up; ConfigurationError for one that can be guessed."""
        secrets = [environment.get(name, "").encode("utf-8", "surrogateescape") for name in self.names]
        for name, secret in zip(self.names, secrets, strict=True):
            if secret and len(secret) < _MIN_SECRET_BYTES:
                raise ConfigurationError(
                    f"{name} has {len(secret)} bytes; a secret for HS256 has {_MIN_SECRET_BYTES} or more"
                    " (RFC 7518 §3.2): python -c 'import secrets; print(secrets.token_urlsafe(32))'"
                )
        self._keys = [secret_key(secret) for secret in secrets if secret]
        self.problem = "" if self._keys else f"the environment variable {self.names[0]} is not set"

    def candidates(self, header: Mapping[str, Any], now: float) -> list[Verify]:
        if not self._keys:
            log.error("%s", self.problem)
            raise HTTPError(503, "Tokens of this issuer cannot be checked yet", code="AuthNotConfigured")
        return self._keys


class FetchedKeys:
    """The JWKS of a provider, fetched when a token needs it.

    Args:
        url: of the JWKS, or of the provider's discovery document.
        issuer: whose discovery document it is (OpenID Connect Discovery §4.3); None for a JWKS itself.
    """

    def __init__(self, url: str, algorithm: str, issuer: str | None = None) -> None:
        self.problem = ""
        self._url = url
        self._algorithm = algorithm
        self._issuer = issuer
        self._lock = threading.Lock()
        self._keys: dict[str, Verify] | None = None
        self._fresh_until = 0.0
        self._fetch: threading.Event | None = None  # set when the fetch that is under way ends
        self._next_try = self._next_unknown = float("-inf")

    def candidates(self, header: Mapping[str, Any], now: float) -> list[Verify]:
        kid = _kid(header)
        return _named(kid, self._keys_with(kid, now))

    def _keys_with(self, kid: str, now: float) -> dict[str, Verify]:
        """The keys; fetched first where they are too old or lack `kid`, unless it is too early for that.

        Requests that come while a fetch is under way wait for it, unless the last one failed and the keys
        that are left will do: a provider in trouble holds up nobody whom it need not.
        """
        with self._lock:
            is_fresh = now < self._fresh_until
            if self._keys is not None and is_fresh and kid in self._keys:
                return self._keys
            done = self._fetch
            if done is None and now >= (self._next_unknown if is_fresh else self._next_try):
                if is_fresh:
                    self._next_unknown = now + _UNKNOWN_KID_SECONDS
                done = threading.Event()
                threading.Thread(target=self._run, args=(done, now), daemon=True).start()
                self._fetch = done
            is_kept = now < self._fresh_until + _STALE_SECONDS
            if self.problem and is_kept and self._keys is not None and kid in self._keys:
                return self._keys
        if done is not None:
            done.wait(FETCH_SECONDS)
        if self._keys is None or now >= self._fresh_until + _STALE_SECONDS:
            headers = [("Retry-After", f"{_RETRY_SECONDS:.0f}")]
            message = "The keys of this token's issuer cannot be had at the moment"
            raise HTTPError(503, message, headers=headers, code="AuthProviderDiscoveryFailed")
        return self._keys

    def _run(self, done: threading.Event, now: float) -> None:
        keys, error = None, None
        try:
            keys, max_age = self._load()
        except Exception as raised:  # a thread has nobody to raise to
            error = raised
        with self._lock:
            if keys is not None:
                self.problem = ""
                self._keys = keys
                self._fresh_until = now + min(max(max_age, _FRESH_SECONDS[0]), _FRESH_SECONDS[1])
            else:
                kept = " (its last keys are still used)" if self._keys else ""
                self.problem = f"its keys cannot be fetched{kept}"
                self._next_try = now + _RETRY_SECONDS
            self._fetch = None
        if error is not None:
            log.warning("auth: %s: %s: %s", self._url, self.problem, error)
        done.set()

    def _load(self) -> tuple[dict[str, Verify], float]:
        url = self._url
        if self._issuer is not None:
            document, _ = fetch_json(url)
            if normal_issuer(document.get("issuer")) != normal_issuer(self._issuer):
                raise ValueError(f"its issuer is {document.get('issuer')!r:.100}, not {self._issuer!r}")
            url = str(document.get("jwks_uri"))
        document, max_age = fetch_json(url)
        return key_set(document, self._algorithm), max_age


def normal_issuer(issuer: object) -> str | None:
    """An issuer without what does not count when two are compared: "https://" and one trailing slash."""
    return issuer.removeprefix("https://").removesuffix("/") if isinstance(issuer, str) else None


def _kid(header: Mapping[str, Any]) -> str:
    kid = header.get("kid")
    if not isinstance(kid, str):
        raise AuthError("InvalidAuthHeader", "The token's header is missing a 'kid'")
    return kid


def _named(kid: str, keys: Mapping[str, Verify]) -> list[Verify]:
    if kid not in keys:
        message = f"Could not decode token: its issuer has no key of kid {kid!r:.100}"
        raise AuthError("InvalidAuthHeader", message)
    return [keys[kid]]
