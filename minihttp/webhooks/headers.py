# SPDX-License-Identifier: MIT
"""From header fields to what a check needs: signatures as given, what is signed before the body, the time.

Nearly every delivery has the usual form: each header once, one timestamp, one signature. One regular
expression, made from the scheme, recognises that form whole and takes it apart. Everything else is read field
by field, which finds the rarer forms that are right and the reason for those that are not; where both apply,
they agree. Knows no secrets and no bodies.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from operator import itemgetter
from typing import Any

from ..errors import WebhookError
from .delivery import Headers, find_once, read_headers
from .scheme import Scheme

Read = tuple[Headers, Sequence[bytes], bytes, int | None]
"""The headers to keep, the signatures as given, what is signed before the body, the timestamp in seconds."""

_MAX_ELEMENTS = 100  # of a list of signatures; while keys change, there are two
_KINDS = ("signature", "timestamp", "id")  # as a scheme's `families` has them
_GRAMMAR = {
    "id": r"[!-\-/-~]{1,256}",  # no dot: `id.timestamp.body` must have one reading
    "timestamp": "[1-9][0-9]{0,11}",  # one spelling only; more digits are no date
}
_is_id, _is_timestamp = (re.compile(_GRAMMAR[kind]).fullmatch for kind in ("id", "timestamp"))
_MAC_GRAMMAR = {
    ("hex", "sha1"): "[0-9a-f]{40}",
    ("hex", "sha256"): "[0-9a-f]{64}",
    ("hex", "sha512"): "[0-9a-f]{128}",
    ("base64", "sha1"): "[A-Za-z0-9+/]{27}=",
    ("base64", "sha256"): "[A-Za-z0-9+/]{43}=",
    ("base64", "sha512"): "[A-Za-z0-9+/]{86}==",
}


class HeaderParser:
    """Reads the headers of one scheme.

    Attributes:
        once: lower-case names of the fields that are read, and so must not occur twice.
    """

    __slots__ = (
        "_alone",
        "_before",
        "_find",
        "_find_in_environ",
        "_headers",
        "_is_signature",
        "_scheme",
        "_single",
        "_timestamp_at",
        "_usual",
        "once",
    )

    def __init__(self, scheme: Scheme) -> None:
        self._scheme = scheme
        before = scheme.signed.removesuffix("{body}")
        kinds = re.findall(r"{(\w+)}", before)  # what is signed beside the body, in this order
        headers = (scheme.signature_header, scheme.timestamp_header, scheme.id_header)
        needed = {"signature", *kinds}
        self._headers = {
            k: name.lower() for k, name in zip(_KINDS, headers, strict=True) if name and k in needed
        }
        read = {scheme.id_header.lower(), scheme.event_header.lower(), "content-type"}
        self.once = frozenset(read.union(self._headers.values(), *scheme.families)) - {""}
        mac = re.escape(scheme.prefix) + _MAC_GRAMMAR.get((scheme.encoding, scheme.algorithm), "[!-~][ -~]*")
        self._is_signature = re.compile(mac.encode()).fullmatch
        names = [self._headers[kind] for kind in (*kinds, "signature") if kind in self._headers]
        self._single = len(names) == 1
        self._find = lru_cache(maxsize=64)(partial(find_once, wanted=tuple(names), once=self.once))
        # PEP 3333
        self._find_in_environ = itemgetter(*("HTTP_" + name.upper().replace("-", "_") for name in names))
        self._alone = not before and not scheme.separator
        self._usual = re.compile(_usual(scheme, kinds, mac).encode()).fullmatch
        self._before = re.sub(r"{\w+}", "%b", before.replace("%", "%%")).encode() + b"%.0b"
        self._timestamp_at = kinds.index("timestamp") if "timestamp" in kinds else None

    def read(self, headers: Any, url: str) -> Read:
        """Read the headers of a delivery.

        Args:
            headers: `request.headers`, a mapping, or (name, value) pairs; text or bytes, in any case.
            url: of the request, where it is signed.

        Raises:
            WebhookError: a header is missing, occurs twice, or is not as the scheme's sender writes it.
        """
        try:
            if type(headers) is dict:
                values = self._find(tuple(headers))(headers)
            else:
                values = self._find_in_environ(headers.environ)
            text = (values if self._single else "\n".join(values)).encode("latin-1")
        except (AttributeError, KeyError, TypeError, UnicodeError):  # another shape, or one is not there
            return self._read_all(headers, url)
        if self._alone and text:
            return headers, (text,), b"", None
        usual = self._usual(text)
        if not usual:
            return self._read_all(headers, url)
        found = usual.groups()
        at = self._timestamp_at
        return headers, found[-1:], self._before % found, None if at is None else int(found[at])

    def has_all(self, headers: Mapping[str, str]) -> bool:
        """Whether the headers that are verified with are there, of one family or another."""
        families = (self._headers.values(), *self._scheme.families)
        return any(all(headers.get(name) for name in family) for family in families)

    def before(self, id: str, timestamp: str, url: str) -> bytes:
        """What is signed before the body."""
        template = self._scheme.signed.removesuffix("{body}")
        return template.format(id=id, timestamp=timestamp, url=url).encode("utf-8", "replace")

    def mismatch(self, signature: bytes) -> WebhookError:
        """A signature that stands alone has a grammar; in a list, what does not match is only that."""
        if self._scheme.separator or self._is_signature(signature):
            return WebhookError(
                "mismatch", "no secret gives this signature: another secret, or a changed body"
            )
        name = self._headers["signature"]
        return WebhookError("malformed_header", f"{name} has not the form of a signature")

    def _read_all(self, headers: Headers, url: str) -> Read:
        """Field by field: any shape of headers, any family of names, any number of signatures."""
        fields = read_headers(headers, self.once)
        values = self._values(fields)
        timestamp, given = values.get("timestamp", ""), [values["signature"]]
        if self._scheme.fields:
            timestamp, given = _split_fields(given[0], self._scheme.separator, self._scheme.fields)
        elif self._scheme.separator:
            parts = _split(given[0], self._scheme.separator)
            given = [part for part in parts if part.startswith(self._scheme.prefix)]
        id = values.get("id", "")
        if "id" in values and not _is_id(id):
            raise WebhookError("malformed_header", f"the id {id[:40]!r} is not ASCII text without a dot")
        timed = self._timestamp_at is not None
        if timed and not _is_timestamp(timestamp):
            raise WebhookError("invalid_timestamp", f"{timestamp[:40]!r} is not a time in Unix seconds")
        if not given:
            name = self._headers["signature"]
            raise WebhookError("no_signature", f"{name} has no signature of a known version")
        signatures = [text.encode("latin-1", "backslashreplace") for text in given]
        return fields, signatures, self.before(id, timestamp, url), int(timestamp) if timed else None

    def _values(self, fields: dict[str, str]) -> dict[str, str]:
        """The values of the headers that are read, by kind; of another family, also under the usual names."""
        for family in (self._headers.values(), *self._scheme.families):
            values = [fields.get(name, "") for name in family]
            if all(values):  # families are never mixed
                fields.update(zip(self._headers.values(), values, strict=True))
                return dict(zip(self._headers, values, strict=True))
        missing = [name for name in self._headers.values() if not fields.get(name)]
        raise WebhookError("missing_header", f"the header {missing[0]} is missing or empty")


def _usual(scheme: Scheme, kinds: list[str], mac: str) -> str:
    """The expression for the usual form: each of the `kinds` as a group, then the signature.

    No group holds a newline, so the values come apart where they were joined. A URL is in no header: where it
    is signed, no form is usual.
    """
    if "url" in kinds:
        return "(?!)"
    if scheme.fields:
        timestamp, signature = map(re.escape, scheme.fields)
        return f"{timestamp}=({_GRAMMAR['timestamp']}){re.escape(scheme.separator)}{signature}=({mac})"
    element = f"{re.escape(scheme.prefix)}[^{re.escape(scheme.separator)}\n]*" if scheme.separator else ".+"
    return "\n".join(f"({_GRAMMAR.get(kind, element)})" for kind in (*kinds, "signature"))


def _split(text: str, separator: str) -> list[str]:
    if text.count(separator) > _MAX_ELEMENTS:
        raise WebhookError("malformed_header", f"the signature has more than {_MAX_ELEMENTS} elements")
    return text.split(separator)


def _split_fields(text: str, separator: str, names: tuple[str, str]) -> tuple[str, list[str]]:
    """Read `t=1,v1=ab,v0=cd`: exactly one timestamp, any number of signatures; other names are ignored."""
    timestamp_name, signature_name = names
    timestamps, signatures = [], []
    for element in _split(text, separator):
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
