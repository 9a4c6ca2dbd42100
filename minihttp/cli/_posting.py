# SPDX-License-Identifier: MIT
"""One POST to somewhere else: for deliveries that the command line sends, replays or forwards.

No redirect is followed: a sender of webhooks does not follow any either. The only requests that minihttp ever
makes go where a person at the command line said.
"""

from __future__ import annotations

from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import NamedTuple
from urllib.parse import urlsplit

from ..errors import ConfigurationError

_MAX_REPLY_BYTES = 64 * 1024


class Posted(NamedTuple):
    """What the other side answered."""

    status: int
    headers: dict[str, str]  # by lower-case name
    body: bytes

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300


def post(url: str, body: bytes, headers: Mapping[str, str], timeout_seconds: float = 30.0) -> Posted:
    """Send a body, byte for byte, with these headers.

    Raises:
        ConfigurationError: the URL is not one of HTTP.
        OSError: the other side cannot be reached, or does not speak HTTP.
    """
    try:
        parts = urlsplit(url)
        connect = {"http": HTTPConnection, "https": HTTPSConnection}[parts.scheme]
        connection = connect(parts.hostname or "", parts.port, timeout=timeout_seconds)
        if not (parts.hostname and url.isascii()):
            raise ValueError
    except (KeyError, ValueError, HTTPException):  # whichever finds the port, the brackets or a space wrong
        raise ConfigurationError(
            f"{url!r} is not a URL such as http://localhost:8080/webhooks/stripe"
        ) from None
    try:
        connection.request(
            "POST", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), body, dict(headers)
        )
        reply = connection.getresponse()
        fields = {name.lower(): value for name, value in reply.getheaders()}
        return Posted(reply.status, fields, reply.read(_MAX_REPLY_BYTES))
    except (OSError, HTTPException) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise OSError(f"{url} did not answer: {reason}") from error
    finally:
        connection.close()
