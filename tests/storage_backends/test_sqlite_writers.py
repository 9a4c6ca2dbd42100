# SPDX-License-Identifier: MIT
"""Writers that share one connection: interrupts after any call, and faults of one among many."""

from __future__ import annotations

import errno
import faulthandler
import random
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from storage_backends.sqlite import DocumentBackend
from tests.contracts.documents import Oops, entries, get, put, putter, together
from tests.contracts.patience import HANGS_SECONDS, PatienceContract, given_up_after_it_had_run
from tests.interrupts import Interrupt, interrupted_after
from tests.storage_backends.test_sqlite import as_one_batch


@pytest.fixture(autouse=True)
def tracebacks_of_a_dead_lock() -> Iterator[None]:
    faulthandler.dump_traceback_later(HANGS_SECONDS, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture
def backend() -> Iterator[DocumentBackend]:
    backend = DocumentBackend(":memory:", max_batch_seconds=HANGS_SECONDS)  # also on a busy machine
    yield backend
    backend.close()


def filling_up(w: Any) -> None:
    """Let the database take about one page more."""
    [(pages,)] = w.execute("PRAGMA page_count")
    w.execute(f"PRAGMA max_page_count = {pages + 2}")


# ---------------------------------------------------------------- faults of one among many


@pytest.mark.parametrize("reads", [lambda w: w.get("x"), lambda w: w.delete("x", ())])
def test_rows_of_others_that_cannot_be_sent_are_not_acknowledged(backend: Any, reads: Any) -> None:
    put(backend, "x", "1")
    backend.write(filling_up, None)
    big = lambda w: [w.put(f"big{n}", "t", "x" * 9_000, (), ()) for n in range(2)]
    outcomes = as_one_batch(backend, [big, reads])
    assert [type(outcome) for outcome in outcomes] == [backend.Fault] * 2
    assert {outcome.errno for outcome in outcomes} == {errno.ENOSPC}
    assert get(backend, "big0") is None


def test_one_that_runs_out_of_time_takes_its_batch_with_it_but_not_the_blame(backend: Any) -> None:
    def endless(w: Any) -> None:
        w.put("b", "t", "1", (), ())
        w.deadline = 0.0  # SQLite undoes everything when it is interrupted in a statement that writes
        w.add_entries((1, b"%d" % n, "b") for n in range(1_000_000))

    outcomes = as_one_batch(backend, [putter("a"), endless])
    assert [outcome.errno for outcome in outcomes] == [errno.EIO, errno.ETIME]
    assert (get(backend, "a"), get(backend, "b")) == (None, None)


def test_a_failed_write_that_is_caught_leaves_no_half_behind(backend: Any) -> None:
    def half(w: Any) -> None:
        w.put("a", "t", "1", [(1, b"k"), (1, b"l")], ())
        with suppress(Exception):
            w.delete("a", [(1, b"k"), (1, object())])  # a row that cannot be bound
        w.put("b", "t", "1", (), ())

    with pytest.raises(backend.Fault):
        backend.write(half, None)
    assert [get(backend, "a"), get(backend, "b"), entries(backend, 1)] == [None, None, []]


# ---------------------------------------------------------------- interrupts


def stirred(backend: Any, own: Any, calls: int, any_thread: bool) -> set[str]:
    """Run `own` in this thread, interrupted, while others write; returns what was acknowledged."""
    acknowledged: set[str] = set()
    chance = random.Random(calls)

    def others(name: str) -> None:
        for n in range(3):
            with suppress(Oops, backend.Fault):
                fails = chance.random() < 0.2
                backend.write(failing if fails else putter(f"{name}{n}"), None, any_thread=any_thread)
                acknowledged.add(f"{name}{n}")

    threads = [threading.Thread(target=others, args=(name,)) for name in "pq"]
    for thread in threads:
        thread.start()
    with suppress(Interrupt, backend.Fault), interrupted_after(calls):
        acknowledged.add(backend.write(own, None, any_thread=any_thread))
    for thread in threads:
        thread.join()
    return acknowledged


def failing(w: Any) -> None:
    w.put("failed", "t", "", (), ())
    raise Oops


def two_rows(w: Any) -> str:
    w.put("one", "t", "1", [(1, b"k")], ())
    with w.nested():
        w.get("one")
        w.put("two", "t", "1", [(1, b"l")], [(1, b"none")])
    return "one"


@pytest.mark.parametrize("any_thread", [False, True])
def test_an_interrupt_anywhere_holds_up_nobody_and_loses_nothing(any_thread: bool) -> None:
    for calls in range(1, 150):  # the last ones come too late
        backend = DocumentBackend(":memory:")
        acknowledged = stirred(backend, two_rows, calls, any_thread)
        acknowledged.add(backend.write(putter("after"), None))
        assert all(get(backend, id) for id in acknowledged), calls
        assert bool(get(backend, "one")) is bool(get(backend, "two")) is bool(entries(backend, 1)), calls
        assert get(backend, "failed") is None
        backend.close()


def test_closing_does_not_wait_for_a_mutation_that_does_not_end(backend: Any) -> None:
    inside, may_end = threading.Event(), threading.Event()

    def long(w: Any) -> None:
        inside.set()
        assert may_end.wait(HANGS_SECONDS)
        w.put("a", "t", "1", (), ())

    def close() -> None:
        assert inside.wait(HANGS_SECONDS)
        assert not backend._writers.close(0.01)
        may_end.set()

    together([lambda: backend.write(long, None), close])
    assert get(backend, "a") == ("t", "1")  # it was acknowledged after all


@pytest.mark.parametrize("fails", [False, True])
def test_closing_while_many_write(fails: bool) -> None:
    backend = DocumentBackend(":memory:")
    started = threading.Barrier(5)
    refused: list[int] = []

    def write(name: str) -> None:
        started.wait()
        with suppress(backend.Fault):
            for n in range(10_000):
                with suppress(Oops):
                    backend.write(
                        failing if fails and n % 2 else putter(f"{name}{n}"), None, any_thread=n % 3 > 0
                    )
        refused.append(1)

    def close() -> None:
        started.wait()
        backend.write(putter("last"), None)
        backend.close()

    together([close, *[lambda name=name: write(name) for name in "abcd"]])
    assert len(refused) == 4
    with pytest.raises(backend.Fault, match="closed"):
        put(backend, "a", "1")


# ---------------------------------------------------------------- a mutation that does not end


@pytest.fixture
def hasty() -> Iterator[DocumentBackend]:
    backend = DocumentBackend(":memory:", max_batch_seconds=HANGS_SECONDS, patience_seconds=0.2)
    yield backend
    backend.close()


class TestPatience(PatienceContract):
    pass


def test_one_that_was_given_up_after_it_had_run_is_undone(hasty: Any) -> None:
    """It shared the transaction of one that does not end; its caller will try again."""
    assert given_up_after_it_had_run(hasty) == [errno.EAGAIN, errno.EAGAIN]
    assert (get(hasty, "a"), get(hasty, "held")) == (None, None)
    put(hasty, "b", "1")
