# SPDX-License-Identifier: MIT
"""Whether bytes keep coming, or being taken, fast enough: Apache's rule (mod_reqtimeout, MinRate).

A request or a response has the idle timeout, and a second more for every `min_body_bytes_per_second` that
have passed; but it never has more than twice the timeout left, so that a fast start does not pay for hours of
dripping. No large but steady transfer meets the limit. Knows no sockets.
"""

from __future__ import annotations

from typing import Any


class MinRate:
    """The rate of one request or response.

    Args:
        began: seconds of the monotonic clock.
        adj: the server's settings.
        passed_bytes: what had passed by then.
    """

    __slots__ = ("_adj", "passed_bytes", "until")

    def __init__(self, began: float, adj: Any, passed_bytes: int = 0) -> None:
        self._adj = adj
        self.until = began + adj.channel_timeout
        self.passed_bytes = passed_bytes

    def is_late(self, now: float, passed_bytes: int) -> bool:
        """Whether it has been on its way for too long.

        Args:
            now: seconds of the monotonic clock.
            passed_bytes: all that have passed so far.
        """
        more_seconds = (passed_bytes - self.passed_bytes) / self._adj.min_body_bytes_per_second
        self.until = min(self.until + more_seconds, now + 2 * self._adj.channel_timeout)
        self.passed_bytes = passed_bytes
        return bool(now > self.until)
