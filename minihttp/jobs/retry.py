# SPDX-License-Identifier: MIT
"""How work is tried again: `Retry`, a policy that can also be raised, and `Drop`, its opposite.

Knows nothing of jobs, deliveries or threads: numbers in, seconds out.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta

from ..errors import ConfigurationError, MinihttpError


class Retry(MinihttpError):
    """How, and how often, work is tried again.

    Given with a job it is the policy: `ctx.scheduler.with_options(retry=Retry(max_attempts=5))`. Raised by
    the work itself it asks for one more attempt: `raise Retry(after=60)`; the policy's `max_attempts` still
    counts, and work that was given no policy is held to the raised one's.

    The n-th attempt that failed is followed by a pause of `initial_seconds * base ** (n - 1)`, at most
    `max_seconds`, of which the random share `jitter` may be left out: 0 is a fixed pause, 1 full jitter.

    Args:
        max_attempts: attempts in all, the first one included.
        initial_seconds: the pause after the first failed attempt.
        base: the growth of the pause from one attempt to the next, from 1 to 100.
        jitter: the random share of a pause, from 0 to 1.
        max_seconds: the longest pause.
        after: a pause that replaces the computed one, in seconds or as a timedelta.

    Raises:
        ConfigurationError: for a number out of its range.
    """

    status = 503
    code = "Retry"

    def __init__(
        self,
        max_attempts: int = 5,
        initial_seconds: float = 0.25,
        base: float = 2.0,
        jitter: float = 0.5,
        *,
        max_seconds: float = 7200.0,
        after: float | timedelta | None = None,
    ) -> None:
        after = after.total_seconds() if isinstance(after, timedelta) else after
        super().__init__("to be tried again" + ("" if after is None else f" after {after} s"))
        self.max_attempts = int(_within("max_attempts", max_attempts, 1, 1_000_000))
        self.initial_seconds = _within("initial_seconds", initial_seconds, 0, 1e9)
        self.base = _within("base", base, 1, 100)
        self.jitter = _within("jitter", jitter, 0, 1)
        self.max_seconds = _within("max_seconds", max_seconds, 0, 1e9)
        self.after = None if after is None else _within("after", after, 0, 1e9)

    @property
    def policy(self) -> dict[str, float]:
        """The policy as a document; `Retry(**document)` is its inverse."""
        names = ("max_attempts", "initial_seconds", "base", "jitter", "max_seconds")
        return {name: getattr(self, name) for name in names}

    def delay_seconds(self, attempts: int, random: Callable[[], float] = random.random) -> float:
        """The pause after `attempts` failed attempts (1 or more), in seconds."""
        if self.after is not None:
            return self.after
        growth = self.base ** min(attempts - 1, 64)  # 100 ** 64 is still a float
        return min(self.max_seconds, self.initial_seconds * growth) * (1 - self.jitter * random())


class Drop(MinihttpError):
    """Raised by work that no further attempt can help: it fails now, whatever its retry policy.

    Args:
        reason: one sentence, kept with the failed work.
    """

    code = "Drop"


def _within(name: str, value: float, low: float, high: float) -> float:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not low <= value <= high or (name == "max_attempts" and value != int(value)):
        raise ConfigurationError(f"Retry {name} must be a number from {low:g} to {high:g}, not {value!r}")
    return value
