# SPDX-License-Identifier: MIT
"""Leader/follower group commit on SQLite: what a transaction is to `group_commit.py`.

The mutation of one writer alone runs without a savepoint. A mutation that waits too long for one that does
not end is given up, and with it all that was to be committed together with it.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from math import inf
from time import monotonic

from .group_commit import NO_END, GroupCommit, Ticket
from .sqlite_connection import Fault
from .sqlite_tables import Writing

_ALONE = nullcontext()


class Writers(GroupCommit):
    """Runs mutations on the one write connection.

    Args:
        writing: the connection.
        max_batch_seconds: how long a mutation that is done may wait for others to share its COMMIT.
        committed: called after each COMMIT, by the leader.
        patience_seconds: how long a mutation waits for another that does not end.
    """

    fault_class = Fault
    engine = "sqlite"

    def __init__(
        self,
        writing: Writing,
        max_batch_seconds: float,
        committed: Callable[[], None],
        patience_seconds: float = 5.0,
    ) -> None:
        super().__init__(writing, max_batch_seconds, patience_seconds)
        self._committed = committed

    def _interrupted(self) -> None:
        self._roll_back(Fault(errno.EINTR, "the transaction was interrupted"))

    def _nested(self) -> AbstractContextManager[None]:
        return self.writing.nested() if len(self._batch) > 1 else _ALONE

    def _ran(self, ticket: Ticket) -> None:
        self.writing.deadline = inf
        if not self.writing.connection.in_transaction:
            self._roll_back(_fault_of_all(ticket.error))
        elif ticket.error is not None and len(self._batch) == 1:
            self._roll_back(None)
        elif self._is_full:
            self._commit()

    def _begin(self) -> bool:
        if len(self._batch) > 1:
            return True
        try:
            if self._closing:
                self.writing.connection.close()
                self._closed = True
                raise Fault(errno.EIO, "the database is closed")
            self.writing.begin()
        except Fault as fault:
            self._take_all()
            self._complete(fault)
            return False
        self._began_at = monotonic()
        return True

    def _commit(self) -> None:
        if not self._begin_commit():
            self._roll_back(Fault(errno.EAGAIN, NO_END))
            return
        try:
            self.writing.commit()
        except Fault as fault:
            self._roll_back(fault)
            return
        finally:
            self._committing = False
        self._count_commit()
        self._complete(None)
        self._committed()

    def _roll_back(self, fault: Fault | None) -> None:
        try:
            self.writing.roll_back()
        finally:
            self._doomed = False
            self._complete(fault)

    def _complete(self, fault: Fault | None) -> None:
        """A mutation's own fault is told to it; when others were given up, any error of its own."""
        given_up = fault is not None and fault.errno == errno.EAGAIN
        self._complete_batch(fault, Exception if given_up else Fault)


def _fault_of_all(error: BaseException | None) -> Fault:
    """What those are told who were in a transaction that this error has rolled back."""
    if isinstance(error, Fault) and error.errno != errno.ETIME:  # that was the time of one alone
        return error
    return Fault(errno.EIO, "the transaction was rolled back by a fault")
