# SPDX-License-Identifier: MIT
"""What every engine of group commit does with those who wait for a mutation that does not end.

A test file inherits `PatienceContract`, and has a fixture `hasty`: a backend whose patience is 0.2 s.
"""

from __future__ import annotations

import errno
import threading
from time import monotonic
from typing import Any

import pytest

from tests.contracts.documents import get, put, putter, together

HANGS_SECONDS = 600


class Held:
    """A mutation that runs until it is let go."""

    def __init__(self) -> None:
        self.inside, self.may_end = threading.Event(), threading.Event()

    def __call__(self, w: Any) -> None:
        self.inside.set()
        assert self.may_end.wait(HANGS_SECONDS)
        w.put("held", "t", "1", (), ())


def given_up_after_it_had_run(backend: Any) -> list[int]:
    """Have a mutation that writes "a" share the transaction of one that writes "held" and does not end until
    somebody is refused; returns the error numbers of the refused.
    """
    held = Held()
    errors: list[int] = []
    ran = threading.Event()

    def first(w: Any) -> None:
        w.put("a", "t", "1", (), ())
        ran.set()
        until = monotonic() + HANGS_SECONDS
        while not backend.statistics()["waiting"] and monotonic() < until:
            pass  # until the other one is queued: then both are one batch

    def write(run: Any) -> None:
        try:
            backend.write(run, None)
        except backend.Fault as fault:
            errors.append(fault.errno)
            held.may_end.set()

    def second() -> None:
        assert ran.wait(HANGS_SECONDS)
        write(held)

    together([lambda: write(first), second])
    return errors


class PatienceContract:
    @pytest.mark.parametrize("any_thread", [False, True])
    def test_others_do_not_wait_for_ever_for_one_that_does_not_end(
        self, hasty: Any, any_thread: bool
    ) -> None:
        held = Held()

        def wait() -> None:
            assert held.inside.wait(HANGS_SECONDS)
            with pytest.raises(hasty.Fault) as refused:
                hasty.write(putter("a"), None, any_thread=any_thread)
            assert refused.value.errno == errno.EAGAIN
            assert hasty.statistics()["writing_seconds"] >= 0.2
            held.may_end.set()

        together([lambda: hasty.write(held, None), wait])
        assert hasty.statistics()["writing_seconds"] == 0.0
        assert get(hasty, "held")
        assert get(hasty, "a") is None  # it was told that it is not done
        put(hasty, "b", "1")

    def test_a_submitted_one_is_told_that_it_waited_in_vain(self, hasty: Any) -> None:
        held, told = Held(), threading.Event()
        outcome: list[Any] = []

        def done(result: Any, error: Any) -> None:
            outcome.append(error)
            told.set()

        def wait() -> None:
            assert held.inside.wait(HANGS_SECONDS)
            hasty.submit(putter("a"), None, done)
            assert told.wait(HANGS_SECONDS)
            held.may_end.set()

        together([lambda: hasty.write(held, None), wait])
        put(hasty, "b", "1")
        assert [error.errno for error in outcome] == [errno.EAGAIN]
        assert get(hasty, "a") is None

    def test_nobody_waits_for_the_end_of_one_that_is_alone(self, hasty: Any) -> None:
        """What came before it is committed first: else it would be given up after its patience, and with it
        the one that is alone."""
        held, ran = Held(), threading.Event()

        def first(w: Any) -> None:
            w.put("a", "t", "1", (), ())
            ran.set()
            until = monotonic() + HANGS_SECONDS
            while not hasty.statistics()["waiting"] and monotonic() < until:
                pass  # until the other one is queued

        def before() -> None:
            try:
                hasty.write(first, None)
                assert held.inside.wait(HANGS_SECONDS)
            finally:
                held.may_end.set()

        def alone() -> None:
            assert ran.wait(HANGS_SECONDS)
            hasty.write(held, None, alone=True)

        together([before, alone])
        assert get(hasty, "a") and get(hasty, "held")
