# SPDX-License-Identifier: MIT
"""Token buckets and fixed windows: exact, undone with the mutation, gone when they are full again."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import pytest
import webtest
from hypothesis import given, settings
from hypothesis import strategies as st

from minihttp import App, HttpRouter, Response, internal_mutation, testing
from minihttp.errors import ConfigurationError, DocumentError, HTTPError, RateLimitedError
from minihttp.rate_limit import RateLimit
from tests.jobs.world import START, World


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


class Limited:
    """A mutation that takes tokens, in a world of its own."""

    def __init__(self, world: World, limit: RateLimit) -> None:
        self.world, self.limit = world, limit

        def take(ctx, key, count, fail):
            answer = limit.take(ctx, key, count)
            if fail:
                raise RuntimeError
            return list(answer)

        def check(ctx, key, count):
            return list(limit.check(ctx, key, count))

        def require(ctx, key):
            limit.require(ctx, key)

        def reset(ctx, key):
            limit.reset(ctx, key)

        self._take, self._check = world.mutation(take), world.query(check)
        self._require, self._reset = world.mutation(require), world.mutation(reset)

    def take(self, count: float = 1, key: str = "k", fail: bool = False) -> tuple[bool, float]:
        return tuple(self.world.runner.run(self._take, {"key": key, "count": count, "fail": fail}))

    def check(self, count: float = 1, key: str = "k") -> tuple[bool, float]:
        return tuple(self.world.runner.run(self._check, {"key": key, "count": count}))

    def require(self) -> None:
        self.world.runner.run(self._require, {"key": "k"})

    def reset(self, key: str = "k") -> None:
        self.world.runner.run(self._reset, {"key": key})


def test_a_token_bucket_fills_up_steadily(world) -> None:
    limited = Limited(world, RateLimit(rate=2, period_seconds=60, capacity=3))
    assert [limited.take() for _ in range(4)] == [(True, 0)] * 3 + [(False, 30)]
    world.now += 29
    assert limited.take() == (False, pytest.approx(1))
    world.now += 1
    assert limited.take() == (True, 0)
    world.now += 1000
    assert [limited.take()[0] for _ in range(4)] == [True, True, True, False], "never above its capacity"


def test_a_fixed_window_gets_its_tokens_at_once(world) -> None:
    limited = Limited(world, RateLimit(2, 60, kind="fixed window"))
    into_window = START % 60
    assert [limited.take() for _ in range(3)] == [
        (True, 0),
        (True, 0),
        (False, pytest.approx(60 - into_window)),
    ]
    world.now += 59 - into_window
    assert limited.take() == (False, pytest.approx(1))
    world.now += 1
    assert [limited.take()[0] for _ in range(3)] == [True, True, False]


def test_several_windows_for_many_tokens(world) -> None:
    limited = Limited(world, RateLimit(2, 60, 6, kind="fixed window"))
    assert limited.take(6) == (True, 0)
    ok, wait = limited.take(5)
    assert not ok
    world.now += wait
    assert limited.take(5) == (True, 0)


def test_keys_are_apart_and_checking_takes_nothing(world) -> None:
    limited = Limited(world, RateLimit(1, 60))
    assert limited.check() == limited.check() == (True, 0)
    assert limited.take(key="a") == limited.take(key="b") == (True, 0)
    assert limited.check(key="a") == (False, 60)


def test_what_a_failed_mutation_took_is_given_back(world) -> None:
    limited = Limited(world, RateLimit(1, 60))
    with pytest.raises(RuntimeError):
        limited.take(fail=True)
    assert limited.take() == (True, 0)


def test_require_is_a_429_with_retry_after(world) -> None:
    limited = Limited(world, RateLimit(1, 90))
    limited.require()
    with pytest.raises(RateLimitedError) as caught:
        limited.require()
    error = caught.value
    assert isinstance(error, HTTPError) and error.status == 429
    assert error.headers == (("Retry-After", "90"),)
    assert error.retry_after == 90 and error.code == "RateLimited"


def test_reset_fills_a_key_up(world) -> None:
    limited = Limited(world, RateLimit(1, 60))
    limited.take()
    limited.reset()
    assert limited.take() == (True, 0)
    limited.reset()
    limited.reset()


@pytest.mark.parametrize("kind", ["token bucket", "fixed window"])
def test_a_clock_that_goes_back_gives_nothing_and_blocks_for_no_longer(world, kind) -> None:
    limited = Limited(world, RateLimit(1, 60, kind=kind))
    limited.take()
    world.now -= 7200
    assert limited.take()[0] is False
    world.now += 60
    assert limited.take()[0] is True


def test_full_keys_are_forgotten(world) -> None:
    limited = Limited(world, RateLimit(1, 60))
    for n in range(250):
        limited.take(key=f"address:{n}")
    world.now += 119
    world.jobs.run_due()
    assert len(world.rows("_rate_limits")) == 250
    world.now += 1
    world.jobs.run_due()
    assert world.rows("_rate_limits") == []


@pytest.mark.parametrize(
    "options",
    [
        {"rate": 0, "period_seconds": 60},
        {"rate": -1, "period_seconds": 60},
        {"rate": 1, "period_seconds": 0},
        {"rate": float("nan"), "period_seconds": 60},
        {"rate": 1, "period_seconds": float("inf")},
        {"rate": "1", "period_seconds": 60},
        {"rate": True, "period_seconds": 60},
        {"rate": 1, "period_seconds": 60, "capacity": 0},
        {"rate": 1, "period_seconds": 60, "kind": "leaky bucket"},
    ],
)
def test_a_bad_limit_is_refused(options) -> None:
    with pytest.raises(ConfigurationError, match="RateLimit"):
        RateLimit(**options)


@pytest.mark.parametrize("count", [-1, 2, "1", None, float("nan")])
def test_a_bad_count_is_refused(world, count) -> None:
    with pytest.raises(DocumentError, match="count must be a number from 0 to the capacity 1"):
        Limited(world, RateLimit(1, 60)).take(count)


def test_a_key_is_a_text(world) -> None:
    with pytest.raises(DocumentError, match="key of a rate limit must be a text"):
        Limited(world, RateLimit(1, 60)).take(key=5)


@settings(max_examples=30, deadline=None)
@given(
    kind=st.sampled_from(["token bucket", "fixed window"]),
    rate=st.integers(1, 5),
    period=st.integers(1, 100),
    pauses=st.lists(st.floats(0, 200), min_size=1, max_size=30),
)
def test_no_more_than_the_capacity_and_the_rate_get_through(kind, rate, period, pauses) -> None:
    world = World()
    limited = Limited(world, RateLimit(rate, period, kind=kind))
    allowed = 0
    for pause in pauses:
        world.now += pause
        ok, retry_after = limited.take()
        allowed += ok
        assert ok or 0 < retry_after <= period
    elapsed = world.now - START
    world.close()
    assert allowed <= rate + rate * (elapsed / period + 1)


def test_over_http_it_is_answered_429(tmp_path) -> None:
    limit = RateLimit(rate=1, period_seconds=60)

    @internal_mutation
    def enter(ctx):
        limit.require(ctx, "door")

    http = HttpRouter()

    @http.route(path="/door", method="POST")
    def door(ctx, request):
        ctx.run_mutation("work:enter")
        return Response("come in")

    module = ModuleType("work")
    module.enter, enter.handler.__module__ = enter, "work"
    clock = testing.Clock()
    with testing.in_memory(App(http, modules={"work": module}), clock=clock) as app:
        client = webtest.TestApp(app)
        assert client.post("/door", status=200).text == "come in"
        refused = client.post("/door", status=429)
        assert refused.headers["Retry-After"] == "60"
        assert refused.json == {"error": "Too many requests; try again in 60 s"}
        clock.advance(60)
        client.post("/door", status=200)


@pytest.mark.parametrize("character", ["k", "é"])
def test_a_long_key_is_stored_as_its_hash(world: World, character: str) -> None:
    limited = Limited(world, RateLimit(1, 60))
    keys = [character * 129 + end for end in ("", "a", "b")]
    for key in keys:
        assert limited.take(key=key)[0] and not limited.check(key=key)[0]
    rows = world.database.read(lambda transaction: transaction.system.query("_rate_limits").collect())
    assert len({row["key"] for row in rows}) == 3 and max(len(row["key"]) for row in rows) <= 128
    limited.reset(key=keys[0])
    assert limited.check(key=keys[0])[0]
