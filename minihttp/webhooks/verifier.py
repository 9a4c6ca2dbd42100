# SPDX-License-Identifier: MIT
"""Verifies and signs by a scheme.

A check goes: configuration → headers present once → their grammar → the timestamp's syntax → MAC → freshness.
The MAC comes before freshness, so that `too_old` and `too_new` are facts that the sender vouches for (but
after it for Ed25519, whose check anybody could have a core busy with). The expected MAC is compared in its
encoded form, in constant time and with every secret: a second spelling of it is no match. Knows no provider,
no HTTP server and no storage.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import lru_cache
from math import floor
from time import time
from types import EllipsisType
from typing import Any

from ..errors import ConfigurationError, WebhookError
from .delivery import Delivery, Headers
from .headers import HeaderParser
from .keys import Key, Secrets, prepare
from .scheme import Scheme

Handshake = Callable[[Delivery, Key], Any]
"""The JSON with which a delivery is to be answered instead of handled, or None for a real event."""
Acknowledgement = Callable[[Delivery], "tuple[bytes, str] | None"]
"""Body and media type of the 200 for a stored delivery; None for the usual `{"ok":true}`."""
Probe = Callable[[Mapping[str, str], Key, str], Any]
"""(query, key, verify token) -> what answers a GET by which a provider tests a URL: text or JSON, or None."""


class Verifier:
    """`verify` and `sign` for one scheme.

    Args:
        scheme: how the provider signs.
        handshake: how it wants its challenges or pings answered.
        acknowledge: what it wants to be answered for a delivery, where that is not `{"ok":true}`.
        probe: how it wants a GET answered by which it tests a URL.
        wants_verify_token: whether such a GET brings a token that its user has chosen.
    """

    __slots__ = (
        "_contents", "_is_costly", "_prepare", "_refusal_status", "_timestamp_path", "_tolerance_seconds",
        "acknowledge", "handshake", "parser", "probe", "scheme", "wants_verify_token",
    )  # fmt: skip

    def __init__(
        self,
        scheme: Scheme,
        handshake: Handshake | None = None,
        *,
        acknowledge: Acknowledgement | None = None,
        probe: Probe | None = None,
        wants_verify_token: bool = False,
    ) -> None:
        self.scheme = scheme
        self.handshake, self.acknowledge, self.probe = handshake, acknowledge, probe
        self.wants_verify_token = wants_verify_token
        self.parser = HeaderParser(scheme)
        # A field of a named tuple takes five times as long
        self._contents, self._timestamp_path = scheme.contents, scheme.timestamp_path
        self._tolerance_seconds, self._refusal_status = scheme.tolerance_seconds, scheme.refusal_status
        self._is_costly = scheme.algorithm == "ed25519"  # one check costs what a hundred of a MAC do
        self._prepare = lru_cache(maxsize=512)(lambda secrets: tuple(enumerate(prepare(secrets, scheme))))

    def keys(self, secrets: Secrets) -> tuple[Key, ...]:
        """The prepared keys of one secret or several; ConfigurationError for one that cannot be a key."""
        prepared = self._prepare(secrets if isinstance(secrets, (str, bytes)) else tuple(secrets))
        return tuple(key for _, key in prepared)

    def verify(
        self,
        body: bytes,
        headers: Headers,
        secrets: Secrets,
        *,
        now: float | None = None,
        tolerance_seconds: float | EllipsisType | None = ...,
        url: str = "",
        retry_seconds: float = 0,
    ) -> Delivery:
        """Check that a delivery is signed with one of the secrets, and not too long ago.

        Args:
            body: the raw bytes as received, `request.bytes()`; decoded, re-encoded or trimmed they do not
                match.
            headers: `request.headers`, a mapping, or (name, value) pairs; text or bytes, in any case.
            secrets: one secret or several (rotation); any match accepts.
            now: Unix seconds; the system's clock where absent.
            tolerance_seconds: how far the timestamp may be off, both ways and inclusive, in whole seconds.
                None turns the check off; absent is the provider's own, mostly 300.
            url: the public URL of the request, for the providers that sign it.
            retry_seconds: how much older than that a delivery may be, where something remembers the ids of
                deliveries: for providers that sign a retry with the time of the first attempt.

        Raises:
            WebhookError: for anything that is wrong with the delivery; its `reason` says what, and its
                `status` is what the provider wants to be answered.
            ConfigurationError: for a secret or a tolerance that cannot be one.
            TypeError: for a body that is not bytes.
        """
        if body.__class__ is not bytes:
            body = _raw(body)
        if secrets.__class__ is not str and not isinstance(secrets, (str, bytes)):
            secrets = tuple(secrets)
        keys = self._prepare(secrets)
        if tolerance_seconds is ...:
            tolerance_seconds = self._tolerance_seconds
        elif tolerance_seconds is not None and not tolerance_seconds >= 0:
            raise ConfigurationError(
                f"tolerance_seconds must be None or at least 0, not {tolerance_seconds!r}"
            )
        try:
            headers, given, before, timestamp = self.parser.read(headers, url)
            if self._is_costly and timestamp is not None and tolerance_seconds is not None:
                _check_age(timestamp, now, tolerance_seconds, retry_seconds)
            index = None
            contents = self._contents
            for message in (body,) if contents is None else contents(body, url):
                for position, key in keys:
                    if key.accepts(before, message, given) and index is None:
                        index = position
            if index is not None:
                delivery = Delivery(self.scheme, body, headers, index, timestamp)
                if self._timestamp_path:
                    timestamp = delivery.timestamp = _body_timestamp(delivery, self._timestamp_path)
                if timestamp is not None and tolerance_seconds is not None:
                    _check_age(timestamp, now, tolerance_seconds, retry_seconds)
                return delivery
        except WebhookError as error:
            error.status = self._refusal_status
            raise
        raise self.parser.mismatch(given[0])  # not caught above: what strangers send costs the least

    def sign(
        self,
        body: bytes,
        secret: str | bytes,
        *,
        id: str | None = None,
        timestamp: int | None = None,
        event_type: str = "",
        url: str = "",
    ) -> dict[str, str]:
        """Headers as the provider would send them with this body: the inverse of `verify`.

        The arguments are not checked, so that a test can sign what `verify` must refuse.

        Args:
            body: the raw bytes.
            secret: as given to `verify`.
            id: of the delivery; random where absent and the provider has a header for it.
            timestamp: Unix seconds; the system's clock where absent.
            event_type: for providers that name it in a header.
            url: the public URL, for the providers that sign it.
        """
        scheme = self.scheme
        id = id or os.urandom(16).hex()
        body = _raw(body)
        stamp = str(int(time()) if timestamp is None else timestamp)
        message = next(iter(scheme.contents(body, url)), None) if scheme.contents else body
        if message is None:
            raise ValueError(f"{scheme.name} signs no such body")
        before = self.parser.before(id, stamp, url)
        signature = self.keys(secret)[0].sign(before, message).decode("latin-1")
        if scheme.fields:
            fields = zip(scheme.fields, (stamp, signature), strict=True)
            signature = scheme.separator.join(map("=".join, fields))
        pairs = (
            (scheme.id_header, id),
            (scheme.timestamp_header, stamp),
            (scheme.event_header, event_type),
            (scheme.signature_header, signature),
        )
        return {name: value for name, value in pairs if name and value}


def _raw(body: object) -> bytes:
    """The bytes of a body; anything that is decoded or parsed is the caller's mistake."""
    if isinstance(body, (bytes, bytearray, memoryview)):
        return bytes(body)
    raise TypeError(
        f"the body must be the raw bytes of the request, request.bytes(), not {type(body).__name__}:"
        " what was decoded or parsed is not what was signed"
    )


def _body_timestamp(delivery: Delivery, path: str) -> int:
    value = delivery.value_at(path)
    if type(value) is not int or not 0 < value < 10**15:
        raise WebhookError("invalid_timestamp", f"{path} in the body is not a time")
    return value // 1_000


def _check_age(timestamp: int, now: float | None, tolerance_seconds: float, retry_seconds: float) -> None:
    age_seconds = floor(time() if now is None else now) - timestamp
    if not -tolerance_seconds <= age_seconds <= tolerance_seconds + retry_seconds:
        if age_seconds > 0:
            raise WebhookError("too_old", f"signed {age_seconds} s ago, more than {tolerance_seconds} s")
        raise WebhookError(
            "too_new", f"signed {-age_seconds} s in the future, more than {tolerance_seconds} s"
        )
