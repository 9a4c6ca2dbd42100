# SPDX-License-Identifier: MIT
"""One transaction: its engine until its end, its limits, and what happens then."""

from __future__ import annotations

import math
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minihttp.data.transaction import EngineTransaction
from minihttp.errors import CallError, DeadlineError, LimitError
from minihttp.limits import Limits

LIMITS = Limits(
    max_read_documents=2, max_read_bytes=100, max_read_ranges=2, max_write_documents=2, max_write_bytes=100
)


def transaction(*, writable: bool = True, seconds: float | None = None) -> EngineTransaction:
    engine: Any = SimpleNamespace(nested=nullcontext)
    catalog: Any = SimpleNamespace(user="user", system="system")
    return EngineTransaction(
        catalog,
        engine,
        writable=writable,
        now=0.0,
        limits=LIMITS,
        time_limit_seconds=seconds,
    )


def test_the_engine_is_there_until_the_end() -> None:
    one = transaction()
    assert one.engine is one.engine
    one.end()
    with pytest.raises(CallError, match="has ended"):
        _ = one.engine


def test_after_its_deadline_it_does_nothing_and_is_not_committed() -> None:
    late = transaction(seconds=-1.0)
    assert late.time_left() == 0.0
    for use in (lambda: late.engine, late.check):
        with pytest.raises(DeadlineError, match="maximum duration"):
            use()
    assert transaction().time_left() == math.inf


@pytest.mark.parametrize(
    ("count", "sizes", "code"),
    [
        ("count_read", [1, 1, 1], "TooManyDocumentsRead"),
        ("count_read", [101], "TooManyBytesRead"),
        ("count_range", [(), (), ()], "TooManyReads"),
        ("count_write", [1, 1, 1], "TooManyWrites"),
        ("count_write", [101], "TooManyBytesWritten"),
    ],
)
def test_a_limit_that_is_passed_ends_it_even_if_its_code_goes_on(
    count: str, sizes: list[Any], code: str
) -> None:
    one = transaction()
    *fine, last = [(size,) if isinstance(size, int) else size for size in sizes]
    for size in fine:
        getattr(one, count)(*size)
    one.check()
    with pytest.raises(LimitError) as caught:
        getattr(one, count)(*last)
    assert caught.value.code == code
    with pytest.raises(LimitError):
        one.check()


def test_hooks_are_called_for_what_became_of_it() -> None:
    for committed, expected in ((True, ["committed"]), (False, ["rolled back"])):
        called: list[str] = []
        one = transaction()
        one.after_commit(lambda called=called: called.append("committed"))  # type: ignore[misc]
        one.after_rollback(lambda called=called: called.append("rolled back"))  # type: ignore[misc]
        one.call_hooks(committed=committed)
        assert called == expected


def test_what_a_sub_transaction_undid_stays_undone() -> None:
    one = transaction()
    called: list[str] = []

    def inner() -> None:
        one.after_commit(lambda: called.append("inner committed"))
        one.after_rollback(lambda: called.append("inner rolled back"))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        one.nested(inner)
    one.call_hooks(committed=True)
    assert called == ["inner rolled back"]


def test_a_hook_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    one = transaction()
    called: list[str] = []
    one.after_commit(lambda: 1 / 0)
    one.after_commit(lambda: called.append("the next"))
    one.call_hooks(committed=True)
    assert called == ["the next"] and "a hook of a transaction failed" in caplog.text


@given(st.lists(st.lists(st.integers(0, 80), max_size=3), max_size=3))
def test_reads_counted_together_count_as_one_by_one(batches: list[list[int]]) -> None:
    seen = []
    for together in (True, False):
        reading = transaction(writable=False)
        try:
            for batch in batches:
                if together:
                    reading.count_reads(batch)
                else:
                    for size_bytes in batch:
                        reading.count_read(size_bytes)
        except LimitError as error:
            assert error is reading.limit_error
        seen.append((reading.documents_read, reading.bytes_read, str(reading.limit_error)))
    assert seen[0] == seen[1]
