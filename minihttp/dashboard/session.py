# SPDX-License-Identifier: MIT
"""Who may see the dashboard: the holder of the admin key, or of the one-time link that the banner shows.

A session is a signed cookie; nothing is stored for it, so it ends with its time or with the key. Each form
carries a token of the session. Nothing here knows requests.
"""

from __future__ import annotations

import hmac
import secrets
import threading
from collections.abc import Callable

SESSION_SECONDS = 12 * 3600
_LINK_SECONDS = 600


class Sessions:
    """Makes and checks sessions.

    Args:
        admin_key: opens a session; the keys of cookies are derived from it.
        clock: Unix seconds.
    """

    def __init__(self, admin_key: str, clock: Callable[[], float]) -> None:
        self._admin_key = admin_key.encode()
        self._clock = clock
        self._lock = threading.Lock()
        self._links: dict[str, float] = {}  # one-time codes, and until when they are good

    @property
    def cookie_name(self) -> str:
        """The name of the cookie: two apps of one host, on two ports, have the same jar."""
        return f"minihttp_{self._mac('name', '')[:8]}"

    def _mac(self, purpose: str, text: str) -> str:
        key = hmac.digest(self._admin_key, b"minihttp dashboard " + purpose.encode(), "sha256")
        return hmac.digest(key, text.encode(), "sha256").hex()[:43]

    def new(self) -> str:
        """The cookie of a new session."""
        claim = f"{int(self._clock()) + SESSION_SECONDS}.{secrets.token_hex(16)}"
        return f"{claim}.{self._mac('session', claim)}"

    def is_valid(self, cookie: str) -> bool:
        """Whether a cookie is that of a session that has not ended."""
        claim, _, mac = cookie.rpartition(".")
        until, _, _ = claim.partition(".")
        if not hmac.compare_digest(mac.encode("utf-8", "replace"), self._mac("session", claim).encode()):
            return False
        return int(until) > self._clock()

    def form_token(self, cookie: str) -> str:
        """The token that every form of this session carries."""
        return self._mac("form", cookie)

    def is_form_token(self, cookie: str, token: str) -> bool:
        """Whether a form was made for this session."""
        return hmac.compare_digest(token.encode("utf-8", "replace"), self.form_token(cookie).encode())

    def make_link(self) -> str:
        """A code that opens one session within ten minutes."""
        code = secrets.token_urlsafe(24)
        with self._lock:
            self._links[code] = self._clock() + _LINK_SECONDS
        return code

    def take_link(self, code: str) -> bool:
        """Use a code of `make_link` up; whether it was good."""
        with self._lock:
            return self._links.pop(code, 0.0) > self._clock()
