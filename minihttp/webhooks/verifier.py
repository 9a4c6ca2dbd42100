# SPDX-License-Identifier: MIT
"""Verifies and signs by a scheme.

A check goes: configuration → headers present once → their grammar → the timestamp's syntax → MAC → freshness.
The MAC comes before freshness, so that `too_old` and `too_new` are facts that the sender vouches for. The
expected MAC is compared in its encoded form, in constant time and with every secret: a second spelling of it
is no match. Knows no provider, no HTTP server and no storage.
"""

from __future__ import annotations

import os
import re
import time
from base64 import b64encode
from collections.abc import Callable, Iterable
from hmac import compare_digest
from types import EllipsisType
from typing import TYPE_CHECKING

from ..errors import ConfigurationError, WebhookError
from .delivery import Delivery, Headers, read_headers
from .hmac_scheme import HMACScheme
from .keys import Key, Secrets, prepare

if TYPE_CHECKING:
    from .provider import Provider

_is_timestamp = re.compile(r"[1-9][0-9]{0,11}").fullmatch  # one spelling only; more digits are no date
_is_id = re.compile(r"[!-\-/-~]{1,256}").fullmatch  # no dot: `id.timestamp.body` must have one reading

_ENCODE: dict[str, Callable[[bytes], bytes]] = {"hex": lambda mac: mac.hex().encode(), "base64": b64encode}
_GRAMMAR = {
    ("hex", "sha1"): "[0-9a-f]{40}",
    ("hex", "sha256"): "[0-9a-f]{64}",
    ("hex", "sha512"): "[0-9a-f]{128}",
    ("base64", "sha1"): "[A-Za-z0-9+/]{27}=",
    ("base64", "sha256"): "[A-Za-z0-9+/]{43}=",
    ("base64", "sha512"): "[A-Za-z0-9+/]{86}==",
}


class Verifier:
    """`verify`, `sign` and `provider` for one scheme; a provider's module gives these three names."""

    __slots__ = ("_before", "_encode", "_families", "_is_signature", "_once", "_prefix", "scheme")

    def __init__(self, scheme: HMACScheme) -> None:
        self.scheme = scheme
        self._before = scheme.signed.removesuffix("{body}")
        self._prefix = scheme.prefix.encode()
        self._encode = _ENCODE[scheme.encoding]
        grammar = _GRAMMAR.get((scheme.encoding, scheme.algorithm), "[ -~]+")
        self._is_signature = re.compile(re.escape(scheme.prefix) + grammar).fullmatch
        own = (
            scheme.signature_header,
            scheme.timestamp_header,
            scheme.id_header if "{id}" in scheme.signed else "",
        )
        self._families = [
            tuple(name.lower() for name in family if name) for family in (own, *scheme.families)
        ]
        self._once = frozenset(name for family in self._families for name in family) | {
            scheme.id_header.lower(),
            scheme.event_header.lower(),
            "content-type",
        }

    def keys(self, secrets: Secrets) -> tuple[Key, ...]:
        """The prepared keys of one secret or several; ConfigurationError for one that cannot be a key."""
        many = secrets if isinstance(secrets, (str, bytes)) else tuple(secrets)
        return prepare(many, self.scheme.algorithm, self.scheme.key_encoding)

    def kept_headers(self) -> frozenset[str]:
        """Lower-case names of the fields worth keeping with a delivery; a token is a credential: not kept."""
        secret = self.scheme.signature_header.lower() if self.scheme.algorithm == "token" else ""
        return (self._once | {"user-agent", *self.scheme.kept_headers}) - {secret, ""}

    def verify(
        self,
        body: bytes,
        headers: Headers,
        secrets: Secrets,
        *,
        now: float | None = None,
        tolerance_seconds: float | EllipsisType | None = ...,
        url: str = "",
    ) -> Delivery:
        """Check that a delivery is signed with one of the secrets, and not too long ago.

        Args:
            body: the raw bytes as received; decoded, re-encoded or trimmed they do not match.
            headers: `request.headers`, a mapping, or (name, value) pairs; text or bytes, in any case.
            secrets: one secret or several (rotation); any match accepts.
            now: Unix seconds; the system's clock where absent.
            tolerance_seconds: how far the timestamp may be off, both ways and inclusive, in whole seconds;
                None turns the check off, absent is the provider's own (mostly 300). Of no effect where no
                time is signed.
            url: the public URL of the request, for the providers that sign it.

        Raises:
            WebhookError: for anything that is wrong with the delivery; its `reason` says what.
            ConfigurationError: for a secret or a tolerance that cannot be one.
        """
        scheme = self.scheme
        keys = self.keys(secrets)
        tolerance = scheme.tolerance_seconds if tolerance_seconds is ... else tolerance_seconds
        if tolerance is not None and not tolerance >= 0:
            raise ConfigurationError(f"tolerance_seconds must be None or at least 0, not {tolerance!r}")
        fields = read_headers(headers, self._once)
        given, timestamp, id = self._read(fields)
        index = self._match(keys, given, self._messages(body, id, timestamp, url))
        if index is None:
            raise self._mismatch(given)
        delivery = Delivery(scheme, body, fields, index, id, int(timestamp) if timestamp else None)
        if scheme.timestamp_path:
            delivery.timestamp = _body_timestamp(delivery)
        if tolerance is not None and delivery.timestamp is not None:
            _check_fresh(delivery.timestamp, time.time() if now is None else now, tolerance)
        return delivery

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
        stamp = str(int(time.time()) if timestamp is None else timestamp)
        before, message = next(iter(self._messages(body, id, stamp, url)))
        mac = self._expected(self.keys(secret)[0], before, message).decode("latin-1")
        if scheme.fields:
            mac = scheme.separator.join(map("=".join, zip(scheme.fields, (stamp, mac), strict=True)))
        pairs = (
            (scheme.id_header, id),
            (scheme.timestamp_header, stamp),
            (scheme.event_header, event_type),
            (scheme.signature_header, mac),
        )
        return {name: value for name, value in pairs if name and value}

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
            public_url: the URL that the provider was given, for providers that sign it; absent is the
                request's own.
        """
        from .provider import Provider

        return Provider(self, secret, tolerance_seconds, public_url)

    def _read(self, fields: dict[str, str]) -> tuple[list[bytes], str | None, str | None]:
        """The signatures as given, the timestamp and the signed id, each of good grammar."""
        for names in self._families:
            values = [fields.get(name) for name in names]
            if all(values):
                break
        else:
            names = self._families[0]
            missing = [name for name in names if not fields.get(name)]
            raise WebhookError("missing_header", f"the header {missing[0]} is missing or empty")
        signature, timestamp, id, *_ = (*values, None, None)
        assert signature is not None
        scheme = self.scheme
        if id is not None and not _is_id(id):
            raise WebhookError(
                "malformed_header", f"{id[:40]!r} is not an id of 1-256 printable characters, no dot"
            )
        if scheme.fields:
            timestamp, given = _split_fields(signature, scheme.separator, scheme.fields)
        elif scheme.separator:
            given = [part for part in signature.split(scheme.separator) if part.startswith(scheme.prefix)]
        else:
            given = [signature]
        if timestamp is not None and not _is_timestamp(timestamp):
            raise WebhookError("invalid_timestamp", f"{timestamp[:40]!r} is not a time in Unix seconds")
        if not given:
            raise WebhookError(
                "no_signature", f"{scheme.signature_header} has no signature of a known version"
            )
        return [text.encode("latin-1", "replace") for text in given], timestamp, id

    def _messages(
        self, body: bytes, id: str | None, timestamp: str | None, url: str
    ) -> Iterable[tuple[bytes, bytes]]:
        """What may have been signed, each in two pieces so that a large body is not copied."""
        if self.scheme.contents:
            return [(b"", content) for content in self.scheme.contents(body, url)]
        return (
            (
                self._before.format(id=id, timestamp=timestamp, url=url).encode() if self._before else b"",
                body,
            ),
        )

    def _expected(self, key: Key, before: bytes, body: bytes) -> bytes:
        if self.scheme.algorithm == "token":
            return key.raw
        return self._prefix + self._encode(key.digest(before, body))

    def _match(
        self, keys: tuple[Key, ...], given: list[bytes], messages: Iterable[tuple[bytes, bytes]]
    ) -> int | None:
        """The index of the first key that made one of the signatures; it compares all, whichever it is."""
        matched = None
        for before, body in messages:
            for index, key in enumerate(keys):
                expected = self._expected(key, before, body)
                for signature in given:
                    if compare_digest(expected, signature) and matched is None:
                        matched = index
        return matched

    def _mismatch(self, given: list[bytes]) -> WebhookError:
        """A signature that stands alone has a grammar; in a list, whatever does not match is only that."""
        scheme = self.scheme
        if scheme.separator or self._is_signature(given[0].decode("latin-1")):
            return WebhookError(
                "mismatch", "no secret gives the signature: another secret, or the body was changed"
            )
        return WebhookError(
            "malformed_header", f"{scheme.signature_header} is not a signature of this provider's form"
        )


def _split_fields(text: str, separator: str, names: tuple[str, str]) -> tuple[str, list[str]]:
    """Read `t=1,v1=ab,v0=cd`: exactly one timestamp, any number of signatures; further names are ignored."""
    found: dict[str, list[str]] = {name: [] for name in names}
    for element in text.split(separator):
        name, _, value = element.lstrip(" ").partition("=")
        if not name or _ != "=" or "=" in value:
            raise WebhookError("malformed_header", f"{element[:40]!r} is not of the form name=value")
        if name in found:
            found[name].append(value)
    timestamps, signatures = found.values()
    if len(timestamps) != 1:
        raise WebhookError(
            "malformed_header", f"{len(timestamps)} timestamps {names[0]!r} in the header, not one"
        )
    return timestamps[0], signatures


def _body_timestamp(delivery: Delivery) -> int:
    value = delivery.value_at(delivery.scheme.timestamp_path)
    if type(value) is not int or not 0 < value < 10**15:
        raise WebhookError("invalid_timestamp", f"{delivery.scheme.timestamp_path} in the body is not a time")
    return value // 1_000


def _check_fresh(timestamp: int, now: float, tolerance_seconds: float) -> None:
    age_seconds = int(now // 1) - timestamp
    if age_seconds > tolerance_seconds:
        raise WebhookError("too_old", f"signed {age_seconds} s ago, more than {tolerance_seconds} s")
    if -age_seconds > tolerance_seconds:
        raise WebhookError(
            "too_new", f"signed {-age_seconds} s in the future, more than {tolerance_seconds} s"
        )
