# SPDX-License-Identifier: MIT
"""`RetryPolicy` and `RetryLater`: the pauses of a policy, the checks of numbers, the form as a document."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minihttp.errors import ConfigurationError
from minihttp.jobs.retry import RetryLater, RetryPolicy


def test_pauses_grow_by_the_base() -> None:
    policy = RetryPolicy(4, 0.25, 2, 0)
    assert [policy.delay_seconds(n) for n in (1, 2, 3, 4)] == [0.25, 0.5, 1, 2]


def test_jitter_leaves_out_a_random_share() -> None:
    policy = RetryPolicy(4, 8, 1, 0.5)
    assert policy.delay_seconds(1, random=lambda: 0.0) == 8
    assert policy.delay_seconds(1, random=lambda: 0.5) == 6
    assert RetryPolicy(4, 8, 1, 1).delay_seconds(1, random=lambda: 0.25) == 6


def test_pauses_are_bounded() -> None:
    assert RetryPolicy(10_000, 1, 100, 0).delay_seconds(9_999) == 7200
    assert RetryPolicy(10, 1, 2, 0, max_seconds=5).delay_seconds(9) == 5


def test_after_replaces_the_computed_pause() -> None:
    assert RetryLater(90).delay_seconds(3, RetryPolicy()) == 90
    assert RetryLater(timedelta(minutes=2)).delay_seconds(1, RetryPolicy()) == 120
    assert RetryLater().delay_seconds(2, RetryPolicy(3, 5, 2, 0)) == 10


def test_a_policy_is_a_document_and_back() -> None:
    policy = RetryPolicy(7, 1.5, 3, 0.1, max_seconds=60)
    assert RetryPolicy(**policy.document).document == policy.document


@pytest.mark.parametrize(
    "options",
    [
        *({"max_attempts": value} for value in (0, -1, 1.5, True, "3", None)),
        *({"initial_seconds": value} for value in (-1, float("nan"), float("inf"))),
        *({"base": value} for value in (0.5, 101)),
        *({"jitter": value} for value in (-0.1, 1.1)),
    ],
)
def test_a_number_out_of_range_is_named(options: dict) -> None:
    (name,) = options
    with pytest.raises(ConfigurationError, match=f"RetryPolicy {name} must be"):
        RetryPolicy(**options)


@pytest.mark.parametrize("after", [-1, "60", timedelta(seconds=-1), float("nan")])
def test_a_pause_out_of_range_is_named(after: Any) -> None:
    with pytest.raises(ConfigurationError, match="RetryLater after must be"):
        RetryLater(after)


@given(st.integers(1, 10**6), st.floats(0, 1e9), st.floats(1, 100), st.floats(0, 1), st.floats(0, 0.999))
def test_a_pause_is_never_negative_nor_endless(attempts, initial, base, jitter, chance) -> None:
    policy = RetryPolicy(5, initial, base, jitter)
    assert 0 <= policy.delay_seconds(attempts, random=lambda: chance) <= 7200
