# SPDX-License-Identifier: MIT
"""The least rate of a transfer, on a clock that the test moves."""

from __future__ import annotations

from types import SimpleNamespace

from minihttp.server.min_rate import MinRate

SETTINGS = SimpleNamespace(channel_timeout=10, min_body_bytes_per_second=100)


def test_one_that_passes_nothing_has_the_timeout() -> None:
    rate = MinRate(1_000.0, SETTINGS)
    assert not rate.is_late(1_010.0, 0)
    assert rate.is_late(1_010.1, 0)


def test_each_second_s_worth_of_bytes_is_a_second_more() -> None:
    rate = MinRate(0.0, SETTINGS)
    assert not rate.is_late(10.5, 100)
    assert rate.is_late(11.1, 100), "nothing new has passed"


def test_a_steady_transfer_is_never_late() -> None:
    rate = MinRate(0.0, SETTINGS)
    assert not any(rate.is_late(float(second), 100 * second) for second in range(1, 10_000))


def test_a_fast_start_does_not_pay_for_hours_of_dripping() -> None:
    rate = MinRate(0.0, SETTINGS)
    assert not rate.is_late(1.0, 10**9)
    assert not rate.is_late(21.0, 10**9)
    assert rate.is_late(21.1, 10**9), "twice the timeout is all that is left"


def test_what_had_passed_before_counts_for_nothing() -> None:
    rate = MinRate(0.0, SETTINGS, passed_bytes=10_000)
    assert rate.is_late(10.1, 10_000)
