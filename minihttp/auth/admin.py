# SPDX-License-Identifier: MIT
"""The admin key: whether somebody holds it. Who guesses is slowed down, by address, and logged.

After ten wrong keys within a minute an address has to wait, whatever it sends then; of at most a thousand
addresses the last guesses are remembered. IPv6 counts by network (/64), since a host there has billions of
addresses.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from time import monotonic

from .. import hashing
from ..errors import MIN_SECRET_BYTES, ConfigurationError, RateLimitedError
from ..loopback import network_of

log = logging.getLogger("minihttp.auth")

_MAX_GUESSES, _GUESS_SECONDS = 10, 60.0
_MAX_PEERS = 1_000
_LOG_SECONDS = 1.0  # the least time between two lines about it


class AdminKey:
    """The key of one app.

    Args:
        key: itself; "" where there is none, and then nothing opens.
        clock: seconds that never go back.
    """

    def __init__(self, key: str, clock: Callable[[], float] = monotonic) -> None:
        self._key = key
        self._clock = clock
        self._lock = threading.Lock()
        self._guesses: OrderedDict[str, deque[float]] = OrderedDict()  # by peer, the last to guess last
        self._unlogged = 0
        self._next_line = 0.0

    def check(self) -> None:
        """Refuse a key that could be guessed, or that a header cannot carry.

        Raises:
            ConfigurationError: it is short, or holds a control character or one that is not ASCII.
        """
        key = self._key
        if key and len(key.encode("utf-8", "surrogateescape")) < MIN_SECRET_BYTES:
            raise ConfigurationError(
                f"the admin key (MINIHTTP_ADMIN_KEY) has fewer than {MIN_SECRET_BYTES} bytes: make one with"
                ' python -c "import secrets; print(secrets.token_urlsafe(32))"'
            )
        if not (key.isascii() and key.isprintable()):
            raise ConfigurationError("the admin key (MINIHTTP_ADMIN_KEY) must be printable ASCII characters")

    def acting(self, given: str) -> str | None:
        """What stands behind the key in `key` or `key:identity`; None where it is another key.

        The identity is base64, which has no colon, so the key may have one.
        """
        if self._is_key(given):
            return ""
        key, _, identity = given.rpartition(":")
        return identity if self._is_key(key) else None

    def open(self, given: str, peer: str) -> str | None:
        """As `acting`, for a peer that may be guessing.

        Raises:
            RateLimitedError: 429, it has guessed too often.
        """
        if not self._key:
            return None
        now, peer = self._clock(), network_of(peer)
        with self._lock:
            recent = self._guesses.get(peer)
            while recent and now - recent[0] >= _GUESS_SECONDS:
                recent.popleft()
            if recent and len(recent) >= _MAX_GUESSES:
                raise RateLimitedError("admin key", recent[0] + _GUESS_SECONDS - now)
            identity = self.acting(given)
            if identity is None:
                self._note(peer, now)
            return identity

    def _is_key(self, given: str) -> bool:
        sent = given.encode("utf-8", "replace")
        return self._key != "" and hashing.compare_digest(sent, self._key.encode())

    def _note(self, peer: str, now: float) -> None:
        self._guesses.setdefault(peer, deque()).append(now)
        self._guesses.move_to_end(peer)
        if len(self._guesses) > _MAX_PEERS:
            self._guesses.popitem(last=False)
        self._unlogged += 1
        if now >= self._next_line:
            log.warning("wrong admin keys refused: %d, the last from %s", self._unlogged, peer or "?")
            self._unlogged, self._next_line = 0, now + _LOG_SECONDS
