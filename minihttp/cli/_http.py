# SPDX-License-Identifier: MIT
"""One POST to somewhere else: for deliveries that the command line sends, replays or forwards.

No redirect is followed: a sender of webhooks does not follow any either. The only requests that minihttp ever
makes go where a person at the command line said.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import IO, TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from ..app.backends import without_password
from ..jobs.retry import RetryLater, RetryPolicy
from ._settings import MisuseError

if TYPE_CHECKING:
    from ._progress import Progress

_MAX_RESPONSE_BYTES = 64 * 1024  # of a receiver: more is not looked at
_MAX_SILENCE_SECONDS = 60.0
_BLOCK_BYTES = 256 * 1024
_MAX_RETRY_AFTER_SECONDS = 86_400


class Posted(NamedTuple):
    """What the other side answered."""

    status: int
    headers: dict[str, str]  # by lower-case name
    body: bytes

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def retry_after_seconds(self) -> int | None:
        """What a busy receiver asks for (RFC 9110 §10.2.3), a day at most; a date is not read."""
        text = self.headers.get("retry-after", "")[:12]
        return min(int(text), _MAX_RETRY_AFTER_SECONDS) if text.isascii() and text.isdigit() else None


class ReceiverBusy(RetryLater):
    """The receiver said when: not before then, nor sooner than a delivery is tried again anyhow.

    Otherwise one that says "in 1 s" each time it is asked would use up all attempts within seconds.
    """

    def __init__(self, message: str, after_seconds: float) -> None:
        super().__init__(after_seconds)
        self.args = (f"{message}, Retry-After: {after_seconds}",)

    def delay_seconds(self, attempts: int, policy: RetryPolicy) -> float:
        return max(super().delay_seconds(attempts, policy), policy.delay_seconds(attempts))


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    timeout_seconds: float = 30.0,
    max_response_bytes: int | None = _MAX_RESPONSE_BYTES,
) -> Posted:
    """Send a body, byte for byte, with these headers; of the response read so much, or with None all.

    Raises:
        MisuseError: the URL is not one of HTTP.
        OSError: the other side cannot be reached, or does not speak HTTP.
    """
    try:
        parts = urlsplit(url)
        connect = {"http": HTTPConnection, "https": HTTPSConnection}[parts.scheme]
        connection = connect(parts.hostname or "", parts.port, timeout=timeout_seconds)
        if not (parts.hostname and url.isascii()):
            raise ValueError
    except (KeyError, ValueError, HTTPException):  # whichever finds the port, the brackets or a space wrong
        raise MisuseError(f"{url!r} is not a URL such as http://localhost:8080/webhooks/stripe") from None
    try:
        connection.request(
            "POST", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), body, dict(headers)
        )
        response = connection.getresponse()
        fields = {name.lower(): value for name, value in response.getheaders()}
        return Posted(response.status, fields, response.read(max_response_bytes))
    except (OSError, HTTPException) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise OSError(f"{without_password(url)} did not answer: {reason}") from error
    finally:
        connection.close()


def transfer(method: str, url: str, body: IO[bytes] | None, out: IO[bytes], progress: Progress) -> int:
    """Send a file, or nothing, and write the response into another; returns its status.

    Raises:
        OSError: the other side cannot be reached, or the response ends early.
    """
    parts = urlsplit(url)
    connect = {"http": HTTPConnection, "https": HTTPSConnection}[parts.scheme]
    connection = connect(parts.hostname or "", parts.port, timeout=_MAX_SILENCE_SECONDS)
    headers, sent = {}, None
    if body is not None:
        total = os.fstat(body.fileno()).st_size
        headers = {"Content-Type": "application/zip", "Content-Length": str(total)}
        sent = _blocks(body, "bytes sent", total, progress)
    try:
        connection.request(method, parts.path + (f"?{parts.query}" if parts.query else ""), sent, headers)
        response = connection.getresponse()
        total = int(response.getheader("Content-Length") or 0)
        for block in _blocks(response, "bytes received", total, progress):
            out.write(block)
        if response.length:
            raise OSError(f"{url} did not send all of it")
        return int(response.status)
    except HTTPException as error:
        raise OSError(f"{url} did not answer: {type(error).__name__} {error}") from error
    finally:
        connection.close()


def _blocks(file: Any, what: str, total: int, progress: Progress) -> Iterator[bytes]:
    done = 0
    while block := file.read(_BLOCK_BYTES):
        yield block
        done += len(block)
        progress(what, done, total)
