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
from binascii import b2a_base64, hexlify
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from hmac import compare_digest
from math import floor
from types import EllipsisType
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError, WebhookError
from .delivery import Delivery, Headers, read_headers, spellings
from .hmac_scheme import HMACScheme
from .keys import Key, Secrets, Token, prepare

if TYPE_CHECKING:
    from .provider import Provider

_is_id = re.compile(r"[!-\-/-~]{1,256}").fullmatch  # no dot: `id.timestamp.body` must have one reading
_is_timestamp = re.compile(r"[1-9][0-9]{0,11}").fullmatch  # one spelling only; more digits are no date
_ENCODE: dict[str, Callable[[bytes], bytes]] = {
    "hex": hexlify,
    "base64": partial(b2a_base64, newline=False),
    "plain": bytes,
}
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

    __slots__ = ("_before", "_encode", "_is_signature", "_names", "_once", "_prefix", "_prepare", "scheme")

    def __init__(self, scheme: HMACScheme) -> None:
        self.scheme = scheme
        before = scheme.signed.removesuffix("{body}")
        for position, name in enumerate(("{id}", "{timestamp}", "{url}")):  # faster than by name
            before = before.replace(name, f"{{{position}}}")
        self._before = before
        self._prefix = scheme.prefix.encode()
        self._encode = _ENCODE[scheme.encoding]
        prepared = partial(prepare, algorithm=scheme.algorithm, encoding=scheme.key_encoding)
        self._prepare = lru_cache(maxsize=512)(prepared)
        grammar = _GRAMMAR.get((scheme.encoding, scheme.algorithm), "[!-~][ -~]*")
        self._is_signature = re.compile(re.escape(scheme.prefix) + grammar).fullmatch
        signed_id = scheme.id_header if "{id}" in scheme.signed else ""
        names = (scheme.signature_header, scheme.timestamp_header, signed_id)
        self._names = tuple(name.lower() for name in names if name)
        more = {name for family in scheme.families for name in family}
        more |= {scheme.id_header.lower(), scheme.event_header.lower(), "content-type"}
        self._once = frozenset(more.union(self._names)) - {""}

    def keys(self, secrets: Secrets) -> tuple[Key | Token, ...]:
        """The prepared keys of one secret or several; ConfigurationError for one that cannot be a key."""
        many = secrets if isinstance(secrets, (str, bytes)) else tuple(secrets)
        return self._prepare(many)

    def wanted_headers(self) -> frozenset[str]:
        """Lower-case names of the fields that are read here or worth keeping with a delivery."""
        return self._once | {"user-agent", *self.scheme.kept_headers}

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
            tolerance_seconds: how far the timestamp may be off, both ways and inclusive, in whole seconds.
                None turns the check off; absent is the provider's own, mostly 300.
            url: the public URL of the request, for the providers that sign it.

        Raises:
            WebhookError: for anything that is wrong with the delivery; its `reason` says what.
            ConfigurationError: for a secret or a tolerance that cannot be one.
        """
        scheme = self.scheme
        keys = self.keys(secrets)
        if tolerance_seconds is ...:
            tolerance_seconds = scheme.tolerance_seconds
        elif tolerance_seconds is not None and not tolerance_seconds >= 0:
            raise ConfigurationError(
                f"tolerance_seconds must be None or at least 0, not {tolerance_seconds!r}"
            )
        headers, values = self._values(headers)
        given, before, timestamp = self._read(url, *values)
        index = None
        for message in scheme.contents(body, url) if scheme.contents else (body,):
            for position, key in enumerate(keys):
                expected = self._prefix + self._encode(key.digest(before, message))
                for signature in given:
                    same = compare_digest(expected, signature.encode("latin-1", "backslashreplace"))
                    if same and index is None:
                        index = position
        if index is None:
            raise self._mismatch(given[0])
        delivery = Delivery(scheme, body, headers, index, timestamp)
        if scheme.timestamp_path:
            timestamp = delivery.timestamp = _body_timestamp(delivery)
        if timestamp is not None and tolerance_seconds is not None:
            age_seconds = floor(time.time() if now is None else now) - timestamp
            if abs(age_seconds) > tolerance_seconds:
                raise _stale(age_seconds, tolerance_seconds)
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
        message = next(iter(scheme.contents(body, url))) if scheme.contents else body
        before = self._before.format(id, stamp, url).encode("utf-8", "replace")
        digest = self.keys(secret)[0].digest(before, message)
        mac = (self._prefix + self._encode(digest)).decode("latin-1")
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
            public_url: the URL that the provider was given, where it signs it and a proxy hides it.
        """
        from .provider import Provider

        return Provider(self, secret, tolerance_seconds, public_url)

    def _values(self, headers: Any) -> tuple[Headers, list[str]]:
        """The values of the headers that `_names` names, and the headers to keep.

        The rare shapes are read whole: pairs, bytes, and another family of headers.
        """
        try:
            get = headers.get
            values = [get(name) for name in spellings(tuple(headers), self._names, self._once)]
            if "".join(values) and all(values):  # TypeError for anything but text
                return headers, values
        except (AttributeError, TypeError):
            pass
        fields = read_headers(headers, self._once)
        for family in (self._names, *self.scheme.families):
            values = [fields.get(name, "") for name in family]
            if all(values):  # families are never mixed
                fields.update(zip(self._names, values, strict=True))
                return fields, values
        missing = [name for name in self._names if not fields.get(name)]
        raise WebhookError("missing_header", f"the header {missing[0]} is missing or empty")

    def _read(
        self, url: str, signature: str, timestamp: str | None = None, id: str | None = None
    ) -> tuple[list[str], bytes, int | None]:
        """The signatures as given, what is signed before the body, and the timestamp; all of good grammar."""
        scheme = self.scheme
        given = [signature]
        if scheme.fields:
            timestamp, given = _split_fields(signature, scheme.separator, scheme.fields)
        elif scheme.separator:
            given = [part for part in signature.split(scheme.separator) if part.startswith(scheme.prefix)]
        elif not self._before:
            return given, b"", None
        if id and not _is_id(id):
            raise WebhookError("malformed_header", f"the id {id[:40]!r} is not ASCII text without a dot")
        if timestamp is not None and not _is_timestamp(timestamp):
            raise WebhookError("invalid_timestamp", f"{timestamp[:40]!r} is not a time in Unix seconds")
        if not given:
            raise WebhookError("no_signature", f"{self._names[0]} has no signature of a known version")
        before = self._before.format(id, timestamp, url).encode("utf-8", "replace")
        return given, before, int(timestamp) if timestamp else None

    def _mismatch(self, signature: str) -> WebhookError:
        """A signature that stands alone has a grammar; in a list, what does not match is only that."""
        if self.scheme.separator or self._is_signature(signature):
            return WebhookError(
                "mismatch", "no secret gives this signature: another secret, or a changed body"
            )
        return WebhookError("malformed_header", f"{self._names[0]} has not the form of a signature")


def _split_fields(text: str, separator: str, names: tuple[str, str]) -> tuple[str, list[str]]:
    """Read `t=1,v1=ab,v0=cd`: exactly one timestamp, any number of signatures; other names are ignored."""
    timestamp_name, signature_name = names
    timestamps, signatures = [], []
    for element in text.split(separator):
        parts = element.lstrip(" ").split("=")
        if len(parts) != 2 or not parts[0]:
            raise WebhookError("malformed_header", f"{element[:40]!r} is not of the form name=value")
        if parts[0] == signature_name:
            signatures.append(parts[1])
        elif parts[0] == timestamp_name:
            timestamps.append(parts[1])
    if len(timestamps) != 1:
        raise WebhookError(
            "malformed_header", f"there are {len(timestamps)} timestamps {names[0]!r}, not one"
        )
    return timestamps[0], signatures


def _body_timestamp(delivery: Delivery) -> int:
    value = delivery.value_at(delivery.scheme.timestamp_path)
    if type(value) is not int or not 0 < value < 10**15:
        raise WebhookError("invalid_timestamp", f"{delivery.scheme.timestamp_path} in the body is not a time")
    return value // 1_000


def _stale(age_seconds: int, tolerance_seconds: float) -> WebhookError:
    if age_seconds > 0:
        return WebhookError("too_old", f"signed {age_seconds} s ago, more than {tolerance_seconds} s")
    return WebhookError("too_new", f"signed {-age_seconds} s in the future, more than {tolerance_seconds} s")
