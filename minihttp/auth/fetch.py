# SPDX-License-Identifier: MIT
"""One small JSON document from a provider that the app names: its keys, or where they are.

Only https (http on this machine itself), 5 seconds and 256 KiB at most, and no way to another host. The
address comes from the app's configuration or from the provider's own document, never from a token.
"""

from __future__ import annotations

import re
import time
from http.client import HTTPException
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from .token import decode_object

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
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host)))


def fetch_json(url: str) -> tuple[dict[str, Any], float]:
    """The JSON object at a URL, and the seconds of its `Cache-Control: max-age` (0 without one).

    Raises:
        OSError: it cannot be had, in time and whole, from this host.
        ValueError: it is no JSON object.
    """
    import urllib.error  # 20 ms, and only an app with such a provider needs them
    import urllib.request

    class SameHost(urllib.request.HTTPRedirectHandler):
        max_redirections = 3

        def redirect_request(self, request: Any, fp: Any, *rest: Any) -> Any:
            to = str(rest[-1])
            if urlsplit(to)[:2] != urlsplit(request.full_url)[:2]:
                fp.close()
                raise OSError(f"it redirects to another host: {to:.200}")
            return super().redirect_request(request, fp, *rest)

    if not is_allowed(url):
        raise OSError(f"{url:.200} is not an https URL")
    deadline = time.monotonic() + FETCH_SECONDS
    request = urllib.request.Request(url, headers={"Accept": "application/json"})  # noqa: S310 (see is_allowed)
    try:
        with urllib.request.build_opener(SameHost).open(request, timeout=FETCH_SECONDS) as response:
            body = b""
            while chunk := response.read1(MAX_FETCH_BYTES):
                body += chunk
                if len(body) > MAX_FETCH_BYTES:
                    raise OSError(f"it is larger than {MAX_FETCH_BYTES} bytes")
                if time.monotonic() > deadline:
                    raise OSError(f"it took longer than {FETCH_SECONDS:g} s")
            if response.length:
                raise OSError(f"it ends {response.length} bytes too early")
            age = _max_age(response.headers.get("Cache-Control", ""))
    except urllib.error.HTTPError as error:
        error.close()
        raise OSError(f"HTTP status {error.code}") from None
    except HTTPException as error:
        raise OSError(f"it is no valid HTTP: {error!r:.200}") from None
    return decode_object(body), float(age[1]) if age else 0.0


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
