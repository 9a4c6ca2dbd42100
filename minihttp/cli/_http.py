# SPDX-License-Identifier: MIT
"""One POST to somewhere else: for deliveries that the command line sends, replays or forwards.

No redirect is followed: a sender of webhooks does not follow any either. The only requests that minihttp ever
makes go where a person at the command line said.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import IO, TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from ..app.backends import without_password
from ..errors import MinihttpError
from ..jobs.retry import RetryLater, RetryPolicy
from ._settings import MisuseError

if TYPE_CHECKING:
    from ..data.migration import Tick

_MAX_RESPONSE_BYTES = 64 * 1024  # of a receiver: more is not looked at
_MAX_SILENCE_SECONDS = 60.0
_BLOCK_BYTES = 256 * 1024
_TRIES, _PAUSE_SECONDS = 4, 1.0  # where a line breaks
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
    with _answered(url, timeout_seconds, "POST", body, headers) as response:
        fields = {name.lower(): value for name, value in response.getheaders()}
        return Posted(response.status, fields, response.read(max_response_bytes))


class _BrokenLineError(OSError):
    """The other side cannot be reached, or has ended early."""


@contextmanager
def _answered(
    url: str, timeout_seconds: float, method: str, body: bytes | None, headers: Mapping[str, str]
) -> Iterator[HTTPResponse]:
    """The response to a request, for as long as it is read; raises as `post`."""
    try:
        parts = urlsplit(url)
        connect = {"http": HTTPConnection, "https": HTTPSConnection}[parts.scheme]
        connection = connect(parts.hostname or "", parts.port, timeout=timeout_seconds)
        if not (parts.hostname and url.isascii()):
            raise ValueError
    except (KeyError, ValueError, HTTPException):  # whichever finds the port, the brackets or a space wrong
        raise MisuseError(f"{url!r} is not a URL such as http://localhost:8080/webhooks/stripe") from None
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(method, target, body, dict(headers))
        yield connection.getresponse()
    except (OSError, HTTPException) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise _BrokenLineError(f"{without_password(url)} did not answer: {reason}") from error
    finally:
        connection.close()


def upload(url: str, part: bytes, content_type: str) -> bytes:
    """Send one part of something, several times where the line breaks; returns what was answered.

    Raises:
        MinihttpError: the other side cannot be reached, or refuses it.
    """
    failures = 0
    while True:
        try:
            posted = post(url, part, {"Content-Type": content_type}, _MAX_SILENCE_SECONDS)
            break
        except OSError as error:
            failures = _once_more(failures, error)
    if not posted.ok:
        raise MinihttpError(f"{without_password(url)} answered {posted.status}: {posted.body[:200]!r}")
    return posted.body


def download(url: str, out: IO[bytes], progress: Tick) -> None:
    """Write what is at a URL into a file; where the line breaks it goes on from there (RFC 9110 §14.2).

    Raises:
        MinihttpError: the other side cannot be reached, or refuses it.
        OSError: the file cannot be written.
    """
    done = failures = 0
    while True:
        try:
            for block, total in _blocks(url, done):
                out.write(block)
                done, failures = done + len(block), 0
                progress("bytes received", done, total)
            return
        except _BrokenLineError as error:
            failures = _once_more(failures, error)


def _once_more(failures: int, error: Exception) -> int:
    """Wait a moment, unless that was the last try."""
    if failures >= _TRIES - 1:
        raise MinihttpError(str(error)) from error
    time.sleep(_PAUSE_SECONDS)
    return failures + 1


def _blocks(url: str, start: int) -> Iterator[tuple[bytes, int]]:
    """The blocks of what is at a URL, from a byte on, each with how many bytes there are in all."""
    headers = {"Range": f"bytes={start}-"} if start else {}
    with _answered(url, _MAX_SILENCE_SECONDS, "GET", None, headers) as response:
        if response.status != (206 if start else 200):
            raise MinihttpError(f"{without_password(url)} answered {response.status}")
        total = start + int(response.getheader("Content-Length") or 0)
        while block := response.read(_BLOCK_BYTES):
            yield block, total
        if response.length:
            raise OSError("it did not send all of it")
