# SPDX-License-Identifier: MIT
"""`RateLimit`: a token bucket or a fixed window, kept in the transaction of the mutation that asks.

What a mutation takes is given back if it raises (so a mutation that counts failures must return them), and
two mutations never take the same token. The rules are those of Convex's rate-limiter component
(`docs/convex.md` §9). Knows no requests and no users: a key is a text.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from . import hashing
from .data.schema import Table
from .data.validators import v
from .errors import ConfigurationError, DocumentError, RateLimitedError
from .functions.context import transaction_of

if TYPE_CHECKING:
    from .data.database import Transaction
    from .functions.protocols import MutationCtx, QueryCtx

RATE_LIMITS = "_rate_limits"
RATE_LIMIT_TABLES = {RATE_LIMITS: Table(v.any()).index("by_key", ["key"]).index("by_full_time", ["fullTime"])}
_MAX_KEY_BYTES = 128
_CLOCKS_APART_SECONDS = 5.0  # of two machines at the most; a clock that is further back was set back


class Allowance(NamedTuple):
    """The answer of a rate limit.

    Attributes:
        ok: whether it was allowed.
        retry_after: seconds until it would be; 0 when it was.
    """

    ok: bool
    retry_after: float


class RateLimit:
    """At most `rate` in `period_seconds`, in bursts of up to `capacity`.

        messages = RateLimit(rate=10, period_seconds=60)

        @mutation
        def send(ctx, user, text):
            messages.require(ctx, f"send:{user}")

    Args:
        rate: how many tokens come in one period.
        period_seconds: the length of the period.
        capacity: how many tokens can be saved up; by default `rate`.
        kind: a "token bucket" fills up steadily; a "fixed window" gets its tokens at the start of each
            period, counted from the epoch.

    Raises:
        ConfigurationError: for a number that is not positive, or another kind.
    """

    def __init__(
        self,
        rate: float,
        period_seconds: float,
        capacity: float | None = None,
        *,
        kind: Literal["token bucket", "fixed window"] = "token bucket",
    ) -> None:
        self.rate = _positive("rate", rate)
        self.period_seconds = _positive("period_seconds", period_seconds)
        self.capacity = _positive("capacity", rate if capacity is None else capacity)
        if kind not in ("token bucket", "fixed window"):
            raise ConfigurationError(f"RateLimit kind must be 'token bucket' or 'fixed window', not {kind!r}")
        self._on_the_beat = kind == "fixed window"

    def take(self, ctx: MutationCtx, key: str, count: float = 1) -> Allowance:
        """Take `count` tokens of `key`, or none if there are not as many.

        Args:
            ctx: of the mutation; the taking is undone with it.
            key: what is limited, such as `f"send:{user_id}"`; all limits share one space of keys.
            count: how many, at most the capacity.
        """
        transaction = transaction_of(ctx)
        now, row, value = self._look(transaction, key, count)
        allowance = self._judge(now, value, count)
        if allowance.ok:
            value -= count
        clock_went_back = row is not None and row["time"] > now + _CLOCKS_APART_SECONDS  # begin anew
        if row is not None and not clock_went_back:
            now = max(now, row["time"])
        if allowance.ok or clock_went_back:
            full_after = (self.capacity - value) / self.rate * self.period_seconds
            state = {
                "key": _stored(key),
                "value": value,
                "time": now,
                "fullTime": now + full_after + self.period_seconds,
            }
            if row is None:
                transaction.system.insert(RATE_LIMITS, state)
            else:
                transaction.system.patch(row["_id"], state)
        return allowance

    def require(self, ctx: MutationCtx, key: str, count: float = 1) -> None:
        """Take tokens or raise.

        Raises:
            RateLimitedError: when there are not enough; a handler that lets it out answers 429 with
                Retry-After.
        """
        allowance = self.take(ctx, key, count)
        if not allowance.ok:
            raise RateLimitedError(key, allowance.retry_after)

    def check(self, ctx: QueryCtx, key: str, count: float = 1) -> Allowance:
        """What `take` would answer now; takes nothing."""
        now, _, value = self._look(transaction_of(ctx), key, count)
        return self._judge(now, value, count)

    def reset(self, ctx: MutationCtx, key: str) -> None:
        """Fill up a key, for example after a right password."""
        row = _row(transaction_of(ctx), key)
        if row is not None:
            transaction_of(ctx).system.delete(row["_id"])

    def _look(
        self, transaction: Transaction, key: str, count: float
    ) -> tuple[float, dict[str, Any] | None, float]:
        """The time, the row of a key, and how many tokens it has by now."""
        if not isinstance(count, (int, float)) or not 0 <= count <= self.capacity:
            message = f"count must be a number from 0 to the capacity {self.capacity}, not {count!r:.100}"
            raise DocumentError("InvalidArgument", message).refusing(count)
        now, row = transaction.now, _row(transaction, key)
        if row is None:
            return now, None, self.capacity
        periods = max(0.0, self._periods(now) - self._periods(row["time"]))
        return now, row, min(self.capacity, row["value"] + periods * self.rate)

    def _periods(self, seconds: float) -> float:
        periods = seconds / self.period_seconds
        return math.floor(periods) if self._on_the_beat else periods

    def _judge(self, now: float, value: float, count: float) -> Allowance:
        if value >= count:
            return Allowance(True, 0.0)
        periods = (count - value) / self.rate
        if self._on_the_beat:
            periods = math.floor(now / self.period_seconds) + math.ceil(periods) - now / self.period_seconds
        return Allowance(False, periods * self.period_seconds)


def _stored(key: str) -> str:
    """A key as it is stored: a long one, which a stranger may have chosen, by its hash."""
    if not isinstance(key, str):
        message = f"the key of a rate limit must be a text, not {key!r:.100}"
        raise DocumentError("InvalidArgument", message).refusing(key)
    data = key.encode("utf-8", "surrogatepass")
    return key if len(data) <= _MAX_KEY_BYTES else f"sha256:{hashing.sha256(data).hexdigest()}"


def _row(transaction: Transaction, key: str) -> dict[str, Any] | None:
    return transaction.rows_where(RATE_LIMITS, "key", _stored(key)).unique()


def expired_rate_limits(transaction: Transaction) -> list[dict[str, Any]]:
    """Some of the rows that say no more than no row would: they are full again."""
    return transaction.expired(RATE_LIMITS, "by_full_time", "fullTime")


def _positive(name: str, value: float) -> float:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not (math.isfinite(value) and value > 0):
        raise ConfigurationError(f"RateLimit {name} must be a positive number, not {value!r}")
    return value
