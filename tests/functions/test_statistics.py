# SPDX-License-Identifier: MIT
"""Calls are counted by function, for any thread."""

from __future__ import annotations

from threading import Thread

from minihttp.functions.statistics import CallStatistics


def test_percentiles_are_of_the_last_calls() -> None:
    statistics = CallStatistics()
    for n in range(1_000):
        statistics.record("a", n / 1000, failed=n % 10 == 0)
    [row] = statistics.rows()
    assert (row["calls"], row["errors"]) == (1_000, 100)
    assert 700 < row["p50Ms"] < 760 and 960 < row["p95Ms"] < 990


def test_threads_lose_no_call() -> None:
    statistics = CallStatistics()

    def count() -> None:
        for _ in range(2_000):
            statistics.record("a", 0.0, failed=True)

    threads = [Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [row] = statistics.rows()
    assert (row["calls"], row["errors"]) == (8_000, 8_000)
