# SPDX-License-Identifier: MIT
"""Twilio: HMAC-SHA1 of the public URL and, of a form, its sorted fields; base64. No time is signed.

A form's fields are sorted by name, equal names by value, equal pairs once, and appended as name and value.
Any other body is signed through the URL's parameter `bodySHA256`. The URL counts with and without its port,
since Twilio signs either. Source: twilio.com/docs/usage/webhooks/webhooks-security, and the tests of
twilio-python's RequestValidator.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from hmac import compare_digest
from urllib.parse import parse_qs, parse_qsl, urlsplit

from .delivery import Delivery
from .provider import ProviderModule
from .scheme import Scheme

_MAX_FIELDS = 1_000
_PORTS = {"https": 443, "http": 80}


def _contents(body: bytes, url: str) -> Iterator[bytes]:
    """What Twilio may have signed; nothing where the body cannot be what it signed."""
    try:
        query = parse_qs(urlsplit(url).query, max_num_fields=_MAX_FIELDS)
        if "bodySHA256" in query:
            expected = query["bodySHA256"][-1].encode()
            tail = "" if compare_digest(hashlib.sha256(body).hexdigest().encode(), expected) else None
        else:
            pairs = set(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MAX_FIELDS))
            tail = "".join(name + value for name, value in sorted(pairs))
    except ValueError:
        return
    if tail is not None:
        for spelling in _with_and_without_port(url):
            yield (spelling + tail).encode("utf-8", "replace")


def _with_and_without_port(url: str) -> Iterator[str]:
    """The URL as given, then with the scheme's port added, or with the port taken away."""
    yield url
    parts = urlsplit(url)
    end = url.find(parts.netloc, len(parts.scheme) + 1) + len(parts.netloc)
    bare, colon, port = url[:end].rpartition(":")
    if colon and port.isdigit():
        yield bare + url[end:]
    elif parts.scheme in _PORTS:
        yield f"{url[:end]}:{_PORTS[parts.scheme]}{url[end:]}"


def _message_id(delivery: Delivery) -> str | None:
    """The message's own id; in the callbacks about it, which have the same, its status belongs to the id."""
    parts = delivery.value_at("MessageSid"), delivery.value_at("MessageStatus")
    texts = [part for part in parts if isinstance(part, str) and part.isprintable()]
    return ":".join(texts) if isinstance(parts[0], str) and parts[0] else None


SCHEME = Scheme(
    name="twilio",
    signature_header="X-Twilio-Signature",
    algorithm="sha1",
    encoding="base64",
    contents=_contents,
    id_header="I-Twilio-Idempotency-Token",
    id_in_body=_message_id,
    event_paths=("MessageStatus", "SmsStatus", "CallStatus"),
    sends_forms=True,
)
MODULE = ProviderModule(SCHEME, acknowledge=lambda delivery: (b"<Response/>", "text/xml"))
verify, sign, provider = MODULE.verify, MODULE.sign, MODULE.provider
