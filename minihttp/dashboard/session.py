# SPDX-License-Identifier: MIT
"""Who may see the dashboard: the holder of the admin key, or of the one-time link that the banner shows.

A session is a signed cookie; nothing is stored for it, so it ends with its time or with the key. Each form
carries a token of the session. Nothing here knows requests.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections.abc import Callable

SESSION_SECONDS = 12 * 3600
_LINK_SECONDS = 600
_MAX_ATTEMPTS, _ATTEMPT_SECONDS = 10, 60.0
_MAX_PEERS = 1_000


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
        self._attempts: dict[str, list[float]] = {}  # when a peer has failed

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

    def opens(self, key: str, peer: str) -> bool | None:
        """Whether this is the admin key; None where the peer has guessed too often and must wait."""
        now = self._clock()
        with self._lock:
            recent = [at for at in self._attempts.get(peer, ()) if now - at < _ATTEMPT_SECONDS]
            if len(recent) >= _MAX_ATTEMPTS:
                return None
            if hmac.compare_digest(_sha256(key.encode("utf-8", "replace")), _sha256(self._admin_key)):
                self._attempts.pop(peer, None)
                return True
            if len(self._attempts) >= _MAX_PEERS:
                self._attempts.pop(next(iter(self._attempts)))
            self._attempts[peer] = [*recent, now]
            return False


def _sha256(text: bytes) -> bytes:
    """Texts are compared by their digests, so that not even their lengths show in the time it takes."""
    return hashlib.sha256(text).digest()
