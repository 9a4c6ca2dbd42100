# SPDX-License-Identifier: MIT
"""From header fields to what a check needs: signatures as given, what is signed before the body, the time.

All is read field by field, which finds the rarer forms that are right and the reason for those that are not.
Nearly every delivery has the usual form, for which `usual.py` is a short cut. Knows no secrets and no bodies.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import WebhookError
from .delivery import Headers, read_headers
from .scheme import Scheme

Read = tuple[Headers, Sequence[bytes], bytes, int | None]
"""The headers to keep, the signatures as given, what is signed before the body, the timestamp in seconds."""

_MAX_ELEMENTS = 100  # of a list of signatures; while keys change, there are two
_KINDS = ("signature", "timestamp", "id")  # as a scheme's `families` has them
_MAX_ID_CHARACTERS = 256
_MAX_TIMESTAMP_DIGITS = 12  # more are no date
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
        headers: the lower-case names of those that are verified with, by kind.
        once: lower-case names of the fields that are read, and so must not occur twice.
        read: as `read_all`, by the short cut where there is one.
    """

    __slots__ = (
        "_is_list",
        "_is_signature",
        "_is_timed",
        "_refusal_status",
        "_scheme",
        "headers",
        "once",
        "read",
    )

    def __init__(self, scheme: Scheme) -> None:
        self._scheme, self._refusal_status = scheme, scheme.refusal_status
        before = scheme.signed.removesuffix("{body}")
        kinds = re.findall(r"{(\w+)}", before)  # what is signed beside the body, in this order
        headers = (scheme.signature_header, scheme.timestamp_header, scheme.id_header)
        needed = {"signature", *kinds}
        self.headers = {
            k: name.lower() for k, name in zip(_KINDS, headers, strict=True) if name and k in needed
        }
        read = {scheme.id_header.lower(), scheme.event_header.lower(), "content-type"}
        self.once = frozenset(read.union(self.headers.values(), *scheme.families)) - {""}
        mac = re.escape(scheme.prefix) + _MAC_GRAMMAR.get((scheme.encoding, scheme.algorithm), "[!-~][ -~]*")
        self._is_signature = re.compile(mac.encode()).fullmatch
        self._is_timed, self._is_list = "timestamp" in kinds, bool(scheme.separator)
        self.read: Callable[[Any, str], Read] = self.read_all
        try:  # a copy of the router alone goes without
            from .usual import usual_reader
        except ImportError:
            return
        names = [self.headers[kind] for kind in (*kinds, "signature") if kind in self.headers]
        self.read = usual_reader(self, scheme, kinds, names)

    def before(self, id: str, timestamp: str, url: str) -> bytes:
        """What is signed before the body."""
        template = self._scheme.signed.removesuffix("{body}")
        return template.format(id=id, timestamp=timestamp, url=url).encode("utf-8", "replace")

    def mismatch(self, signature: bytes) -> WebhookError:
        """A signature that stands alone has a grammar; in a list, what does not match is only that."""
        if self._is_list or self._is_signature(signature):
            said = "mismatch", "no secret gives this signature: another secret, or a changed body"
        else:
            said = "malformed_header", f"{self.headers['signature']} has not the form of a signature"
        error = WebhookError(*said)
        error.status = self._refusal_status
        return error

    def read_all(self, headers: Headers, url: str) -> Read:
        """Read the headers of a delivery: of any shape, any family of names, any number of signatures.

        Args:
            headers: `request.headers`, a mapping, or (name, value) pairs; text or bytes, in any case.
            url: of the request, where it is signed.

        Raises:
            WebhookError: a header is missing, occurs twice, or is not as the scheme's sender writes it.
        """
        fields = read_headers(headers, self.once)
        values = self._values(fields)
        timestamp, given = values.get("timestamp", ""), [values["signature"]]
        if self._scheme.fields:
            timestamp, given = _split_fields(given[0], self._scheme.separator, self._scheme.fields)
        elif self._scheme.separator:
            parts = _split(given[0], self._scheme.separator)
            given = [part for part in parts if part.startswith(self._scheme.prefix)]
        id = values.get("id", "")
        if "id" in values and not is_id(id):
            raise WebhookError("malformed_header", f"the id {id[:40]!r} is not ASCII text without a dot")
        if self._is_timed and not is_timestamp(timestamp):
            raise WebhookError("invalid_timestamp", f"{timestamp[:40]!r} is not a time in Unix seconds")
        if not given:
            name = self.headers["signature"]
            raise WebhookError("no_signature", f"{name} has no signature of a known version")
        signatures = [text.encode("latin-1", "backslashreplace") for text in given]
        return fields, signatures, self.before(id, timestamp, url), int(timestamp) if self._is_timed else None

    def _values(self, fields: dict[str, str]) -> dict[str, str]:
        """The values of the headers that are read, by kind; of another family, also under the usual names."""
        for family in (self.headers.values(), *self._scheme.families):
            values = [fields.get(name, "") for name in family]
            if all(values):  # families are never mixed
                fields.update(zip(self.headers.values(), values, strict=True))
                return dict(zip(self.headers, values, strict=True))
        missing = [name for name in self.headers.values() if not fields.get(name)]
        raise WebhookError("missing_header", f"the header {missing[0]} is missing or empty")


def is_id(text: str) -> bool:
    """ASCII without spaces, and without a dot: `id.timestamp.body` must have one reading."""
    is_plain = text.isascii() and text.isprintable() and " " not in text and "." not in text
    return is_plain and 0 < len(text) <= _MAX_ID_CHARACTERS


def is_timestamp(text: str) -> bool:
    """Unix seconds in their one spelling."""
    return text.isascii() and text.isdigit() and text[0] != "0" and len(text) <= _MAX_TIMESTAMP_DIGITS


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
