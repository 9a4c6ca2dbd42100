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
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, partial
from math import floor
from types import EllipsisType
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError, WebhookError
from .delivery import Delivery, Headers, find_once, read_headers
from .hmac_scheme import HMACScheme
from .keys import Key, Secrets, prepare

if TYPE_CHECKING:
    from .provider import Provider

_is_id = re.compile(r"[!-\-/-~]{1,256}").fullmatch  # no dot: `id.timestamp.body` must have one reading
_TIMESTAMP = "[1-9][0-9]{0,11}"  # one spelling only; more digits are no date
_is_timestamp = re.compile(_TIMESTAMP).fullmatch
IsMatch = Callable[[str], re.Match[str] | None]
Splitter = Callable[[str, str], tuple[str, Sequence[str]]]
"""(signature header, timestamp header) -> the timestamp and the signatures, as given."""
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

    __slots__ = (
        "_before",
        "_find",
        "_is_signature",
        "_names",
        "_once",
        "_plain",
        "_prepare",
        "_signs_id",
        "_split",
        "_timed",
        "scheme",
    )

    def __init__(self, scheme: HMACScheme) -> None:
        self.scheme = scheme
        before = scheme.signed.removesuffix("{body}")
        for position, name in enumerate(("{id}", "{timestamp}", "{url}")):  # faster than by name
            before = before.replace(name, f"{{{position}}}")
        self._before = before.format
        self._prepare = lru_cache(maxsize=512)(partial(prepare, scheme=scheme))
        grammar = _GRAMMAR.get((scheme.encoding, scheme.algorithm), "[!-~][ -~]*")
        self._is_signature = re.compile(re.escape(scheme.prefix) + grammar).fullmatch
        self._split = _splitter(scheme, grammar)
        self._plain = not before and self._split is None
        signature = scheme.signature_header
        self._signs_id = "{id}" in scheme.signed
        self._timed = bool(scheme.timestamp_header or scheme.fields)
        id = scheme.id_header if self._signs_id else signature
        self._names = tuple(map(str.lower, (signature, scheme.timestamp_header or signature, id)))
        more = {name for family in scheme.families for name in family}
        more |= {scheme.id_header.lower(), scheme.event_header.lower(), "content-type"}
        self._once = frozenset(more.union(self._names)) - {""}
        self._find = lru_cache(maxsize=64)(partial(find_once, wanted=self._names, once=self._once))

    def keys(self, secrets: Secrets) -> tuple[Key, ...]:
        """The prepared keys of one secret or several; ConfigurationError for one that cannot be a key."""
        return self._prepare(secrets if isinstance(secrets, (str, bytes)) else tuple(secrets))

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
        signature, timestamp_text, id = values
        given, before, timestamp = self._read(signature, timestamp_text, id, url)
        index = None
        for message in scheme.contents(body, url) if scheme.contents else (body,):
            for position, key in enumerate(keys):
                if key.accepts(before, message, given) and index is None:
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
        before = self._before(id, stamp, url).encode("utf-8", "replace")
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

    def _values(self, headers: Any) -> tuple[Headers, Sequence[str]]:
        """The headers to keep, and the values of `_names`: signature, timestamp and id.

        The rare shapes are read whole: pairs, bytes, and another family of headers.
        """
        try:
            if isinstance(headers, dict):
                values = self._find(tuple(headers))(headers)
            else:
                values = headers.several(self._names)
            if "".join(values) and all(values):  # TypeError for anything but text
                return headers, values
        except (AttributeError, KeyError, TypeError):
            pass
        fields = read_headers(headers, self._once)
        for family in (self._names, *self.scheme.families):
            values = tuple(fields.get(name, "") for name in family)
            if all(values):  # families are never mixed
                fields.update(zip(self._names, values, strict=True))
                return fields, values
        missing = [name for name in self._names if not fields.get(name)]
        raise WebhookError("missing_header", f"the header {missing[0]} is missing or empty")

    def _read(
        self, signature: str, timestamp: str, id: str, url: str
    ) -> tuple[Sequence[str], bytes, int | None]:
        """The signatures as given, what is signed before the body, and the timestamp; all of good grammar."""
        given: Sequence[str] = (signature,)
        if self._plain:
            return given, b"", None
        if self._split:
            timestamp, given = self._split(signature, timestamp)
        if self._signs_id and not _is_id(id):
            raise WebhookError("malformed_header", f"the id {id[:40]!r} is not ASCII text without a dot")
        if self._timed and not _is_timestamp(timestamp):
            raise WebhookError("invalid_timestamp", f"{timestamp[:40]!r} is not a time in Unix seconds")
        if not given:
            raise WebhookError("no_signature", f"{self._names[0]} has no signature of a known version")
        before = self._before(id, timestamp, url).encode("utf-8", "replace")
        return given, before, int(timestamp) if self._timed else None

    def _mismatch(self, signature: str) -> WebhookError:
        """A signature that stands alone has a grammar; in a list, what does not match is only that."""
        if self.scheme.separator or self._is_signature(signature):
            return WebhookError(
                "mismatch", "no secret gives this signature: another secret, or a changed body"
            )
        return WebhookError("malformed_header", f"{self._names[0]} has not the form of a signature")


def _splitter(scheme: HMACScheme, grammar: str) -> Splitter | None:
    """How to read a header of several elements; None where the signature stands alone."""
    if scheme.fields:
        timestamp, signature = map(re.escape, scheme.fields)
        usual = f"{timestamp}=({_TIMESTAMP}){re.escape(scheme.separator)}{signature}=({grammar})"
        return partial(_split_fields, scheme.separator, scheme.fields, re.compile(usual).fullmatch)
    return partial(_split_list, scheme.separator, scheme.prefix) if scheme.separator else None


def _split_list(separator: str, prefix: str, text: str, timestamp: str) -> tuple[str, Sequence[str]]:
    """Read `v1,ab v2,cd`: the elements that begin with the prefix, in any number."""
    if separator not in text and text.startswith(prefix):
        return timestamp, (text,)
    return timestamp, [part for part in text.split(separator) if part.startswith(prefix)]


def _split_fields(
    separator: str, names: tuple[str, str], is_usual: IsMatch, text: str, _: str
) -> tuple[str, Sequence[str]]:
    """Read `t=1,v1=ab,v0=cd`: exactly one timestamp, any number of signatures; other names are ignored.

    Most headers are of the usual form, one timestamp and one signature, which is recognised at once.
    """
    if usual := is_usual(text):
        timestamp, signature = usual.groups()
        return timestamp, (signature,)
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
