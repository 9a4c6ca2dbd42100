# SPDX-License-Identifier: MIT
"""What a change has to say on the page that follows it: what was done, the result of a function, a new key.

It is kept in memory between the POST and the page that its 303 leads to, for the session that made it.
"""

from __future__ import annotations

import secrets
import threading

from .html import Safe

_KEPT = 50


class Notes:
    """The last notes, for any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._notes: dict[str, tuple[str, Safe, bool]] = {}  # the oldest first

    def keep(self, session: str, markup: Safe, *, is_once: bool = True) -> str:
        """Keep markup for a session; returns what it is asked for by.

        Args:
            is_once: whether it is shown once; otherwise also when its page is loaded again.
        """
        id = secrets.token_urlsafe(9)
        with self._lock:
            if len(self._notes) >= _KEPT:
                del self._notes[next(iter(self._notes))]
            self._notes[id] = session, markup, is_once
        return id

    def take(self, session: str, id: str) -> Safe | None:
        """The markup of a note of this session; None where there is none (any more)."""
        with self._lock:
            owner, markup, is_once = self._notes.get(id, ("", None, False))
            if markup is None or owner != session:
                return None
            if is_once:
                del self._notes[id]
            return markup
