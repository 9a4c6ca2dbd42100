# SPDX-License-Identifier: MIT
"""The queue, the leadership and the committer, over an engine that is a list."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import monotonic
from typing import Any

import pytest

from storage_backends.group_commit import MAX_BATCH, GroupCommit, Ticket


class Writing:
    """A transaction on a list: what is nested and raises is taken back."""

    deadline = 0.0

    def __init__(self) -> None:
        self.rows: list[Any] = []

    @contextmanager
    def nested(self) -> Iterator[None]:
        before = len(self.rows)
        try:
            yield
        except BaseException:
            del self.rows[before:]
            raise


class Group(GroupCommit):
    """Commits by moving rows into `durable`."""

    fault_class = OSError
    engine = "list"

    def __init__(self) -> None:
        super().__init__(Writing(), 10.0)
        self.durable: list[Any] = []
        self.failing: OSError | None = None
        self.interruptions = 0

    def _begin(self) -> bool:
        if self._closing:
            self._closed = True
            self._take_all()
            self._complete_batch(OSError(5, "closed"), OSError)
            return False
        if len(self._batch) == 1:
            self._began_at = monotonic()
        return True

    def _ran(self, ticket: Ticket) -> None:
        if self._is_full:
            self._commit()

    def _commit(self) -> None:
        if not self._batch:
            return
        failing, self.failing = self.failing, None
        if failing is None:
            self.durable += self.writing.rows
            self._count_commit()
        self.writing.rows.clear()
        self._complete_batch(failing, OSError)

    def _interrupted(self) -> None:
        self.interruptions += 1
        self.writing.rows.clear()
        self._complete_batch(OSError(4, "interrupted"), OSError)


def together(group: Group, bodies: list[Any], *, any_thread: bool = False) -> list[Any]:
    """Run bodies, each of a thread of its own, in one commit: the first waits until all are queued."""
    outcomes: list[Any] = [None] * len(bodies)
    leading = threading.Event()

    def write(number: int) -> None:
        try:
            outcomes[number] = group.write(bodies[number], None, any_thread=any_thread)
        except BaseException as error:
            outcomes[number] = error

    def lead(writing: Any) -> None:
        leading.set()
        while group.waiting < len(bodies):
            pass

    def first_writer() -> None:
        with suppress(OSError):
            group.write(lead, None, any_thread=any_thread)

    first = threading.Thread(target=first_writer)
    first.start()
    leading.wait()
    threads = [threading.Thread(target=write, args=(number,)) for number in range(len(bodies))]
    for thread in threads:
        thread.start()
    for thread in (first, *threads):
        thread.join()
    return outcomes


def adder(value: Any) -> Any:
    def run(writing: Any) -> Any:
        writing.rows.append(value)
        return value

    return run


def test_one_writer() -> None:
    group = Group()
    assert group.write(adder(1), None) == 1
    assert (group.durable, group.commits, group.mutations) == ([1], 1, 1)


@pytest.mark.parametrize("any_thread", [False, True])
def test_those_that_wait_share_a_commit(any_thread: bool) -> None:
    group = Group()
    assert together(group, [adder(n) for n in range(8)], any_thread=any_thread) == list(range(8))
    assert sorted(group.durable) == list(range(8))
    assert (group.commits, group.mutations) == (1, 9)


@pytest.mark.parametrize("any_thread", [False, True])
def test_who_runs_it(any_thread: bool) -> None:
    group, ran = Group(), []
    together(group, [lambda writing: ran.append(threading.get_ident())] * 4, any_thread=any_thread)
    assert len(set(ran)) == (1 if any_thread else 4)


def test_a_batch_has_an_end() -> None:
    group = Group()
    together(group, [adder(n) for n in range(MAX_BATCH)], any_thread=True)
    assert (group.commits, len(group.durable)) == (2, MAX_BATCH)


def test_an_error_undoes_its_own_mutation() -> None:
    group = Group()

    def fails(writing: Any) -> None:
        writing.rows.append("undone")
        raise ZeroDivisionError

    outcomes = together(group, [adder(1), fails, adder(2)])
    assert isinstance(outcomes[1], ZeroDivisionError)
    assert sorted(group.durable) == [1, 2]


def test_a_commit_that_fails_is_told_to_all() -> None:
    group = Group()
    group.failing = OSError(28, "full")
    outcomes = together(group, [adder(1), adder(2)])
    assert [str(outcome) for outcome in outcomes] == ["[Errno 28] full"] * 2
    assert group.durable == [] and group.write(adder(3), None) == 3


def test_an_interrupt_rolls_back_and_the_next_one_goes_on() -> None:
    group = Group()

    def interrupted(writing: Any) -> None:
        writing.rows.append("half done")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        group.write(interrupted, None)
    assert group.interruptions == 1
    assert group.write(adder(1), None) == 1 and group.durable == [1]


def test_what_is_submitted_is_told_by_one_thread_in_its_order() -> None:
    group, told = Group(), []
    done = threading.Event()

    def note(result: Any, error: BaseException | None) -> None:
        told.append((result, error, threading.get_ident()))
        if len(told) == 20:
            done.set()

    queued = threading.Event()
    group.submit(lambda writing: queued.wait(60) and 0, None, note)  # those that follow share a commit
    for number in range(1, 20):
        group.submit(adder(number), None, note)
    queued.set()
    assert done.wait(60)
    assert [result for result, *_ in told] == list(range(20))
    assert {error for _, error, _ in told} == {None} and len({thread for *_, thread in told}) == 1
    assert group.close(60.0)


def test_closing_counts_what_a_mutation_has_taken_already() -> None:
    group, began, closed = Group(), threading.Event(), threading.Event()

    def endless(writing: Writing) -> None:
        began.set()
        assert closed.wait(30)

    thread = threading.Thread(target=group.write, args=(endless, None))
    thread.start()
    assert began.wait(60)
    group._began_at -= 60.0
    is_closed = group.close(60.0)
    was_waiting = thread.is_alive()
    closed.set()
    thread.join(60)
    assert was_waiting and not is_closed


def test_after_the_end_everybody_is_refused() -> None:
    group, told = Group(), []
    assert group.close(60.0)
    with pytest.raises(OSError, match="closed"):
        group.write(adder(1), None)
    group.submit(adder(1), None, lambda result, error: told.append(str(error)))
    assert told == ["[Errno 5] the database is closed"]
