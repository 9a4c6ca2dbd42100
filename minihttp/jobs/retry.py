# SPDX-License-Identifier: MIT
"""How work is tried again: `RetryPolicy`, and what the work itself may raise, `RetryLater` and `Drop`.

Knows nothing of jobs, deliveries or threads: numbers in, seconds out.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta

from ..errors import ConfigurationError, MinihttpError


class RetryPolicy:
    """How, and how often, work is tried again.

    A job is given one: `ctx.scheduler.with_options(retry=RetryPolicy(max_attempts=5))`.

    The n-th attempt that failed is followed by a pause of `initial_seconds * base ** (n - 1)`, at most
    `max_seconds`, of which the random share `jitter` may be left out: 0 is a fixed pause, 1 full jitter.

    Args:
        max_attempts: attempts in all, the first one included.
        initial_seconds: the pause after the first failed attempt.
        base: the growth of the pause from one attempt to the next, from 1 to 100.
        jitter: the random share of a pause, from 0 to 1.
        max_seconds: the longest pause.

    Raises:
        ConfigurationError: for a number out of its range.
    """

    def __init__(
        self,
        max_attempts: int = 5,
        initial_seconds: float = 0.25,
        base: float = 2.0,
        jitter: float = 0.5,
        *,
        max_seconds: float = 7200.0,
    ) -> None:
        self.max_attempts = int(_within("RetryPolicy max_attempts", max_attempts, 1, 1_000_000))
        self.initial_seconds = _within("RetryPolicy initial_seconds", initial_seconds, 0, 1e9)
        self.base = _within("RetryPolicy base", base, 1, 100)
        self.jitter = _within("RetryPolicy jitter", jitter, 0, 1)
        self.max_seconds = _within("RetryPolicy max_seconds", max_seconds, 0, 1e9)
        if self.max_attempts != max_attempts:
            raise ConfigurationError(f"RetryPolicy max_attempts must be an integer, not {max_attempts!r}")

    @property
    def document(self) -> dict[str, float]:
        """The policy as a document; `RetryPolicy(**document)` is its inverse."""
        names = ("max_attempts", "initial_seconds", "base", "jitter", "max_seconds")
        return {name: getattr(self, name) for name in names}

    def delay_seconds(self, attempts: int, random: Callable[[], float] = random.random) -> float:
        """The pause after `attempts` failed attempts (1 or more), in seconds."""
        growth = self.base ** min(attempts - 1, 64)  # 100 ** 64 is still a float
        return min(self.max_seconds, self.initial_seconds * growth) * (1 - self.jitter * random())


class RetryLater(MinihttpError):
    """Raised by work that wants one more attempt: `raise RetryLater(60)`.

    The `max_attempts` of its retry policy still counts; work that was given no policy is held to the default
    one, `RetryPolicy()`.

    Args:
        after: the pause until then, in seconds or as a timedelta; by default the policy's own.

    Raises:
        ConfigurationError: for a pause that is not from 0 to 1e9 seconds.
    """

    status = 503
    code = "RetryLater"

    def __init__(self, after: float | timedelta | None = None) -> None:
        after = after.total_seconds() if isinstance(after, timedelta) else after
        super().__init__("to be tried again" + ("" if after is None else f" after {after} s"))
        self.after = None if after is None else _within("RetryLater after", after, 0, 1e9)

    def delay_seconds(self, attempts: int, policy: RetryPolicy) -> float:
        """The pause after `attempts` failed attempts of work that has this policy, in seconds."""
        return policy.delay_seconds(attempts) if self.after is None else self.after


class Drop(MinihttpError):
    """Raised by work that no further attempt can help: it fails now, whatever its retry policy.

    Args:
        reason: one sentence, kept with the failed work.
    """

    code = "Drop"


def _within(name: str, value: float, low: float, high: float) -> float:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not low <= value <= high:
        raise ConfigurationError(f"{name} must be a number from {low:g} to {high:g}, not {value!r}")
    return value
