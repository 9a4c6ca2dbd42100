# SPDX-License-Identifier: MIT
"""One small JSON document from a provider that the app names: its keys, or where they are.

Only https (http on this machine itself), 5 seconds and 256 KiB at most, and no way to another host. The 5
seconds are for the whole, however slowly it drips: a socket's own timeout begins anew with every byte. The
address comes from the app's configuration or from the provider's own document, never from a token.
"""

from __future__ import annotations

import re
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..loopback import is_loopback
from .token import decode_object

if TYPE_CHECKING:
    from http.client import HTTPConnection

FETCH_SECONDS = 5.0
MAX_FETCH_BYTES = 256 * 1024

_max_age = re.compile(r"(?:^|[\s,])max-age=(\d{1,9})(?:$|[\s,])", re.IGNORECASE).search


def is_allowed(url: str) -> bool:
    """Whether a URL may be fetched: https, or http to this machine itself."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port  # `port` raises for one that is no number
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)))


def fetch_json(url: str) -> tuple[dict[str, Any], float]:
    """The JSON object at a URL, and the seconds of its `Cache-Control: max-age` (0 without one).

    Raises:
        OSError: it cannot be had, in time and whole, from this host.
        ValueError: it is no JSON object.
    """
    import urllib.error  # 20 ms and 5 MB, and only an app whose keys are fetched needs them
    import urllib.request
    from http.client import HTTPConnection, HTTPException, HTTPSConnection

    class SameHost(urllib.request.HTTPRedirectHandler):
        max_redirections = 3

        def redirect_request(self, request: Any, fp: Any, *rest: Any) -> Any:
            to = str(rest[-1])
            if urlsplit(to)[:2] != urlsplit(request.full_url)[:2]:
                fp.close()
                raise OSError(f"it redirects to another host: {to:.200}")
            return super().redirect_request(request, fp, *rest)

    class Watched(urllib.request.HTTPSHandler, urllib.request.HTTPHandler):
        def http_open(self, request: Any) -> Any:
            return self.do_open(lambda *args, **rest: limit.watch(HTTPConnection(*args, **rest)), request)

        def https_open(self, request: Any) -> Any:
            return self.do_open(lambda *args, **rest: limit.watch(HTTPSConnection(*args, **rest)), request)

    if not is_allowed(url):
        raise OSError(f"{url:.200} is not an https URL")
    limit = _TimeLimit()
    request = urllib.request.Request(url, headers={"Accept": "application/json"})  # noqa: S310 (see is_allowed)
    try:
        with urllib.request.build_opener(SameHost, Watched).open(request, timeout=FETCH_SECONDS) as response:
            body = b""
            while chunk := response.read1(MAX_FETCH_BYTES):
                body += chunk
                if len(body) > MAX_FETCH_BYTES:
                    raise OSError(f"it is larger than {MAX_FETCH_BYTES} bytes")
            limit.check()  # a connection that was cut may look like the end of a body
            if response.length:
                raise OSError(f"it ends {response.length} bytes too early")
            age = _max_age(response.headers.get("Cache-Control", ""))
    except urllib.error.HTTPError as error:
        error.close()
        raise OSError(f"HTTP status {error.code}") from None
    except HTTPException as error:
        limit.check()
        raise OSError(f"it is no valid HTTP: {error!r:.200}") from None
    except OSError:
        limit.check()
        raise
    finally:
        limit.end()
    return decode_object(body), float(age[1]) if age else 0.0


class _TimeLimit:
    """Cuts the connections of one fetch when its time is over."""

    def __init__(self) -> None:
        self._is_over = False
        self._sockets: list[socket.socket] = []
        self._timer = threading.Timer(FETCH_SECONDS, self._cut)
        self._timer.daemon = True
        self._timer.start()

    def watch(self, connection: HTTPConnection) -> HTTPConnection:
        """Have what this connection opens cut in time. TLS takes its own timeout as one for the handshake."""
        connect = connection.connect

        def connect_watched() -> None:
            connect()
            sock = connection.sock  # a second handle: who reads the body takes the first one away
            self._sockets.append(socket.fromfd(sock.fileno(), sock.family, sock.type))
            self.check()

        connection.connect = connect_watched  # type: ignore[method-assign]
        return connection

    def check(self) -> None:
        """Raise OSError when the time is over."""
        if self._is_over:
            raise OSError(f"it took longer than {FETCH_SECONDS:g} s") from None

    def end(self) -> None:
        self._timer.cancel()
        self._timer.join()
        for sock in self._sockets:
            sock.close()

    def _cut(self) -> None:
        self._is_over = True
        for sock in self._sockets:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
