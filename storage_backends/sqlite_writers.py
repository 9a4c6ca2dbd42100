# SPDX-License-Identifier: MIT
"""Concurrent writers of one SQLite connection: one transaction at a time, one COMMIT for many.

Whoever finds nobody at work takes the turn: it runs what is queued, one mutation after the other in one
transaction, commits once nothing is queued any more, and wakes those who wait. A mutation that may run
`anywhere` is run by whoever has the turn; any other by its own thread, to which the turn is passed with the
transaction open. Nobody is answered before the COMMIT. Knows no tables.
"""

from __future__ import annotations

import errno
import threading
from collections import deque
from collections.abc import Callable
from math import inf
from time import monotonic
from typing import Any, TypeVar

from .sqlite_connection import Fault
from .sqlite_tables import Writing

T = TypeVar("T")

_MAX_BATCH = 64  # mutations that share one COMMIT


class _Ticket:
    """A mutation that somebody waits for, and what became of it."""

    __slots__ = (
        "abandoned",
        "anywhere",
        "deadline_seconds",
        "error",
        "gate",
        "leads",
        "result",
        "run",
        "settled",
    )

    def __init__(self, run: Callable[[Writing], Any], deadline_seconds: float, anywhere: bool) -> None:
        self.run = run
        self.deadline_seconds = deadline_seconds
        self.anywhere = anywhere
        self.result: Any = None
        self.error: BaseException | None = None
        self.settled = self.leads = self.abandoned = False
        self.gate = threading.Lock()  # opens when it is settled, or when the turn is passed to its thread
        self.gate.acquire()


class Writers:
    """Runs mutations on the one write connection.

    Args:
        writing: the connection.
        max_batch_seconds: how long a mutation that is done may wait for others to share its COMMIT.
        committed: called after each COMMIT, with the turn.
    """

    def __init__(self, writing: Writing, max_batch_seconds: float, committed: Callable[[], None]) -> None:
        self._writing = writing
        self._max_batch_seconds = max_batch_seconds
        self._committed = committed
        self._turn = threading.Lock()  # whoever has it uses the connection; threads pass it on
        self._passing = threading.Lock()
        self._queue: deque[_Ticket] = deque()  # only whoever has the turn takes from it
        self._batch: list[_Ticket] = []
        self._began_at = 0.0
        self._closed = False
        self.commits = self.mutations = 0

    @property
    def waiting(self) -> int:
        """How many mutations are queued."""
        return len(self._queue)

    def write(self, run: Callable[[Writing], T], deadline_seconds: float | None, anywhere: bool) -> T:
        """Run a mutation and return its result once it is durable.

        Raises:
            Fault: when the engine fails, also at the COMMIT; and whatever `run` raises.
        """
        ticket = _Ticket(run, inf if deadline_seconds is None else deadline_seconds, anywhere)
        self._queue.append(ticket)
        try:
            if self._turn.acquire(blocking=False):
                self._lead(ticket)
            while not ticket.settled:
                ticket.gate.acquire()
                if ticket.leads:
                    self._lead(ticket)
        except BaseException:  # an interrupt
            self._abandon(ticket)
            raise
        if ticket.error is not None:
            error, ticket.error = ticket.error, None
            try:
                raise error
            finally:
                del error  # else it would be held by its own traceback
        result: T = ticket.result
        return result

    def close(self) -> None:
        """Close the connection; what was acknowledged is on disk."""
        self._closed = True  # what is queued is refused
        with self._turn:
            self._writing.connection.close()
        self._offer()

    # -- the turn

    def _abandon(self, ticket: _Ticket) -> None:
        with self._passing:
            ticket.abandoned = True
        if ticket.leads:  # the turn has come meanwhile
            self._queue.popleft()
            ticket.settled = True
            self._lead(ticket)

    def _lead(self, own: _Ticket) -> None:
        """With the turn: run what is queued and commit, or pass the turn on with the transaction open."""
        own.leads = False
        try:
            while self._queue:
                following = self._queue[0]
                if following is own or (following.anywhere and not own.settled):
                    self._run(self._queue.popleft(), own)
                elif self._pass_on(following):
                    return
            self._commit()
        except BaseException as error:
            self._roll_back(Fault(errno.EINTR, f"the transaction was interrupted: {error!r}"))
            self._turn.release()
            self._offer()
            raise
        self._turn.release()
        self._offer()

    def _pass_on(self, following: _Ticket) -> bool:
        """Give the turn to the thread of the next in the queue, if that still waits."""
        with self._passing:
            if following.abandoned:
                self._queue.popleft()
                return False
            following.leads = True
        following.gate.release()
        return True

    def _offer(self) -> None:
        """Whoever queued while the turn was being given up must not wait for ever."""
        while self._queue and self._turn.acquire(blocking=False):
            if self._queue and self._pass_on(self._queue[0]):
                return
            self._turn.release()

    # -- the transaction

    def _run(self, ticket: _Ticket, own: _Ticket) -> None:
        writing, batch = self._writing, self._batch
        if not batch and not self._begin(ticket):
            return
        writing.deadline = monotonic() + ticket.deadline_seconds
        try:
            if batch:
                with writing.nested():
                    ticket.result = ticket.run(writing)
            else:
                ticket.result = ticket.run(writing)
        except BaseException as error:
            ticket.error = error  # told after the COMMIT: it may have come of what others wrote
            if ticket is not own and not isinstance(error, Exception):
                raise  # an interrupt is meant for this thread
        finally:
            writing.deadline = inf
            batch.append(ticket)
        if not writing.connection.in_transaction:
            lost = Fault(errno.EIO, "the transaction was rolled back by a fault")
            self._roll_back(ticket.error if isinstance(ticket.error, Fault) else lost)
        elif ticket.error is not None and len(batch) == 1:
            self._roll_back(None)
        elif len(batch) >= _MAX_BATCH or monotonic() - self._began_at > self._max_batch_seconds:
            self._commit()

    def _begin(self, ticket: _Ticket) -> bool:
        try:
            if self._closed:
                raise Fault(errno.EIO, "the database is closed")
            self._writing.begin()
        except Fault as fault:
            self._batch.append(ticket)
            while self._queue:  # who waited beside the refused one need not wait again
                self._batch.append(self._queue.popleft())
            self._settle(fault)
            return False
        self._began_at = monotonic()
        return True

    def _commit(self) -> None:
        if not self._batch:
            return
        try:
            self._writing.commit()
        except Fault as fault:
            self._roll_back(fault)
            return
        self.commits += 1
        self.mutations += len(self._batch)
        self._settle(None)
        self._committed()

    def _roll_back(self, fault: Fault | None) -> None:
        try:
            self._writing.roll_back()
        finally:
            self._settle(fault)

    def _settle(self, fault: BaseException | None) -> None:
        """Tell everybody in the batch what became of it."""
        batch, self._batch = self._batch, []
        for ticket in batch:
            if fault is not None:
                ticket.error = Fault(*fault.args)
            ticket.settled = True
            ticket.gate.release()
