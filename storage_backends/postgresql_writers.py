# SPDX-License-Identifier: MIT
"""Leader/follower group commit on PostgreSQL: what a transaction is to `group_commit.py`.

One transaction of a process at a time, one COMMIT for many. What the server undoes (a serialization failure,
a broken line) is run again from the front of the queue, so no caller hears of it.
"""

from __future__ import annotations

import errno
import random
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from math import inf
from time import monotonic, sleep

from .group_commit import GroupCommit, Ticket
from .postgresql_connection import AGAIN, FOREIGN, LOST, UNTRUE, Connection, Fault, quoted
from .postgresql_statements import Statements, guard_text
from .postgresql_token import Token
from .postgresql_writing import Writing

Guard = tuple[str, str]

_MAX_RUNS = 20  # of one batch; behind the gate it cannot fail at all
_RUNS_BEFORE_THE_GATE = 2
_MAX_OUTAGE_SECONDS = 30.0  # without a server that answers
_PAUSE_SECONDS = 0.002  # times the number of failures, at random
_GATHERING_SECONDS = 0.0005  # after a COMMIT: those who shared it mostly come again
_ALONE_SECONDS = 1.0  # after a conflict: nothing is taken to be as this process left it
_BEGIN = "BEGIN ISOLATION LEVEL SERIALIZABLE; LOCK TABLE gate IN {} MODE; "
_SHARED, _ALONE = _BEGIN.format("ROW SHARE"), _BEGIN.format("EXCLUSIVE")
_BY_LOCKS = "BEGIN ISOLATION LEVEL READ COMMITTED; "


class Writers(GroupCommit):
    """Runs mutations on one write connection.

    Args:
        statements: their texts.
        connect: makes a connection; it tries for a while.
        connect_once: makes one at once, or fails: in a mutation, whose time is not for waiting.
        token: of these writers.
        max_batch_seconds: how long a mutation that is done may wait for others to share its COMMIT.
        patience_seconds: how long a mutation waits for another whose code does not end; for a server that
            does not answer it waits longer.
        first: the writers that run what these have to run again; None: these themselves.
        by_locks: for mutations that rely on nothing but documents that they have locked: READ COMMITTED.
    """

    fault_class = Fault
    engine = "postgresql"

    def __init__(
        self,
        statements: Statements,
        connect: Callable[[], Connection],
        connect_once: Callable[[], Connection],
        token: Token,
        max_batch_seconds: float,
        first: Writers | None = None,
        by_locks: bool = False,
        patience_seconds: float = 5.0,
    ) -> None:
        self._statements = statements
        self._in_body = False
        self._by_locks = by_locks
        self._connect = connect
        self._token = token
        self._first = first or self
        self._places: dict[Guard, str] = {}  # of guards, in their table
        self._in_doubt = False  # a COMMIT was sent, and its answer has not come
        self._conflicts = self._runs = 0
        super().__init__(
            Writing(statements, self._begin_text(), connect_once), max_batch_seconds, patience_seconds
        )
        self._shared_by, self._committed_at = 0, 0.0  # of the last COMMIT
        self._carries_from = 0.0  # others write to the same documents until then
        self._lost_at = 0.0  # when the line broke for the first time in this batch
        self.reruns = 0

    @property
    def busy(self) -> bool:
        return self._leader is not None

    @property
    def writing_seconds(self) -> float:
        """That of a mutation's own code: what the server takes, or its absence, is no transaction's fault."""
        return super().writing_seconds if self._waits_in_vain else 0.0

    @property
    def _waits_in_vain(self) -> bool:
        return self._closing or (self._in_body and not self.writing.asking)

    def _interrupted(self) -> None:
        """Nobody knows what was half done: the line is closed, which undoes what is not committed."""
        self._in_body = False
        if self.writing.connection is not None:
            self.writing.connection.close()
        self._recover(Fault(LOST, "the transaction was interrupted"))

    # -- the transaction

    def _begin(self) -> bool:
        if len(self._batch) > 1:
            return True
        # What is asked for after the first read has to wait for the next transaction
        until = self._committed_at + _GATHERING_SECONDS
        while len(self._queue) + 1 < self._shared_by and monotonic() < until:
            sleep(0)
        self._began_at = monotonic()
        if self._closing:
            self._refuse_after_closing()
            return False
        if self.writing.connection is None:
            try:
                self.writing.connection = self._connect()
            except Fault as fault:
                self._recover(fault)
                return False
        return True

    def _predates(self, ticket: Ticket) -> bool:
        return bool(self.writing.begun and self.writing.begun_at < ticket.began)

    def _scope(self, ticket: Ticket) -> AbstractContextManager[None]:
        self._in_body = True
        return super()._scope(ticket)

    def _ran(self, ticket: Ticket) -> None:
        self._in_body = False
        self.writing.deadline = inf
        if self.writing.lost is not None:
            self._set_aside(ticket, self.writing.lost)
        elif self._is_full:
            self._commit()

    def _refuse_after_closing(self) -> None:
        if not self._closed:
            connection = self.writing.connection
            if connection is not None:
                with suppress(Fault):
                    self._token.delete(connection)
                connection.close()
            self._closed = True
        self._refuse_all(Fault(errno.EIO, "the database is closed"))

    def _commit(self) -> None:
        if not self._begin_commit():
            self._roll_back()
            self._run_again()
            return
        changes = self.writing.changes()
        try:
            if changes or self.writing.begun or self.writing.only_read():
                text = self._commit_text(changes)
                self._in_doubt = bool(changes)  # until everybody knows
                self.writing.commit(text)
        except Fault as fault:
            self._recover(fault)
            return
        self._committed()

    def _begin_text(self) -> str:
        if self._by_locks:
            return _BY_LOCKS
        return _ALONE if self._conflicts >= _RUNS_BEFORE_THE_GATE else _SHARED

    def _commit_text(self, changes: list[str]) -> str:
        """All that is written, the guards and the token. What was only read is committed too: until then
        nobody knows that it was true at one moment."""
        checks = [self._check(guard) for guard in self._guards()] + self.writing.only_read()
        token = [self._token.next(self._statements)] if changes else []
        return "; ".join([*checks, *changes, *token, "COMMIT"])

    def _check(self, guard: Guard) -> str:
        """A statement that fails if the guard does not hold. By its place in the table, once that is known: a
        look into the index would make all transactions conflict that write near it there."""
        place, id, json = self._places.get(guard), quoted(guard[0]), quoted(guard[1])
        if place is None:
            return guard_text(f"id = {id}", json, " FOR SHARE" if self._by_locks else "")
        return self._statements("guard_locked" if self._by_locks else "guard", quoted(place), id, json)

    def _guards(self) -> list[Guard]:
        return list(dict.fromkeys(ticket.guard for ticket in self._batch if ticket.guard is not None))

    def _find_places(self, guards: list[Guard]) -> None:
        unknown = [guard for guard in guards if guard not in self._places]
        connection = self.writing.connection
        if not unknown or connection is None:
            return
        self._places.clear()
        with suppress(Fault):  # then another time
            for guard in guards:
                found = connection.rows(f"SELECT ctid FROM documents WHERE id = {quoted(guard[0])}")
                self._places.update((guard, str(place)) for (place,) in found)

    def _committed(self) -> None:
        guards = self._guards()
        self.writing.carry(not self._by_locks and monotonic() > self._carries_from)
        self._count_commit()
        self._shared_by, self._committed_at = len(self._batch), monotonic()
        self._complete(None)
        self._find_places(guards)

    # -- what fails

    def _set_aside(self, ticket: Ticket, fault: Fault) -> None:
        """A statement of a mutation has failed, so the transaction is lost: the others are run again without
        it if it is to blame, else all."""
        if fault.errno in (AGAIN, LOST, UNTRUE):
            self._recover(fault)
            return
        if not isinstance(ticket.error, Exception):
            ticket.error = fault  # it went on after the fault; all that it did is undone
        self._complete_one(self._batch.index(ticket))
        self._roll_back()
        self._run_again()

    def _recover(self, fault: Fault) -> None:
        """The transaction is lost, or nobody knows: find out, and run the batch again if it did not take
        place."""
        if fault.errno == LOST and self._in_doubt:
            try:
                if self._took_place():
                    self._committed()
                    return
            except Fault as failed:
                self._in_doubt = False
                self._refuse_all(Fault(errno.EIO, str(failed.strerror)))
                return
        self._in_doubt = False
        if fault.errno == LOST and self.writing.connection is not None:
            self.writing.connection.close()
        if self._may_run_again(fault):
            self._roll_back()
            self._run_again()
        elif fault.errno == LOST:
            self._refuse_all(Fault(errno.EIO, f"no server answers: {fault.strerror}"))
        else:
            self._roll_back()
            number = errno.EAGAIN if fault.errno in (AGAIN, FOREIGN) else fault.errno
            self._complete(
                Fault(
                    number,
                    f"{fault.strerror}, after {self._runs} runs"
                    if number == errno.EAGAIN
                    else fault.strerror,
                )
            )

    def _took_place(self) -> bool:
        end = monotonic() + _MAX_OUTAGE_SECONDS
        while True:
            try:
                if self.writing.connection is not None:
                    self.writing.connection.close()
                connection = self.writing.connection = self._connect()
                return self._token.took_place(connection)
            except Fault as fault:
                if fault.errno not in (LOST, AGAIN, errno.EAGAIN) or monotonic() > end:
                    raise

    def _may_run_again(self, fault: Fault) -> bool:
        self._runs += 1
        if fault.errno in (AGAIN, UNTRUE):
            self._carries_from = monotonic() + _ALONE_SECONDS
            self.writing.carry(False)
        if fault.errno == AGAIN:
            self._conflicts += 1
            sleep(random.uniform(0, _PAUSE_SECONDS * self._conflicts))
            return self._conflicts < _MAX_RUNS
        if fault.errno == UNTRUE:
            self.writing.trusting = False
            return True
        if fault.errno == FOREIGN:
            return self._runs < _MAX_RUNS and self._restore_token()
        if fault.errno == errno.ESTALE and self._places:
            self._places.clear()  # it may only have been moved
            return self._runs < _MAX_RUNS
        if fault.errno == errno.ESTALE and any(ticket.guard is None for ticket in self._batch):
            for ticket in [ticket for ticket in self._batch if ticket.guard is not None]:
                ticket.error = Fault(*fault.args)
                self._complete_one(self._batch.index(ticket))
            return True
        if fault.errno != LOST:
            return False
        now = monotonic()
        self._lost_at = self._lost_at or self._began_at
        sleep(random.uniform(0, _PAUSE_SECONDS * min(self._runs, 50)))
        return now - self._lost_at < _MAX_OUTAGE_SECONDS

    def _restore_token(self) -> bool:
        """Somebody has removed the row of these writers, which were asleep for long."""
        self._roll_back()
        try:
            if self.writing.connection is not None:
                self._token.create(self.writing.connection)
        except Fault:
            return False
        return True

    def _roll_back(self) -> None:
        writing = self.writing
        connection = writing.connection
        if connection is not None and not connection.alive:
            connection.close()
            writing.connection = None
        elif connection is not None and writing.begun:
            connection.send("ROLLBACK")
        writing.reset()

    def _run_again(self) -> None:
        """Put the batch back at the front of the queue, in its order."""
        self._committing = self._doomed = False
        self.reruns += len(self._batch)
        first = self._first
        with self._queue_lock:
            while self._batch:
                ticket = self._batch[-1]
                if ticket.completed:  # nobody waits for it
                    self._batch.pop()
                    continue
                if first is self:
                    self._queue.appendleft(ticket)
                else:
                    ticket.committer = first
                    with first._queue_lock:
                        first._enqueue(ticket)
                del self._batch[-1]
        self.writing.begin = self._begin_text()

    def _refuse_all(self, fault: Fault) -> None:
        self._take_all()
        self._roll_back()
        self._complete(fault)

    def _complete(self, fault: Fault | None) -> None:
        self._complete_batch(fault, Fault)  # a fault of one's own is told to its owner
        self._in_doubt = self._committing = self._doomed = False
        self._conflicts = self._runs = 0
        self._lost_at = 0.0
        self.writing.trusting = True
        self.writing.begin = self._begin_text()
        self.writing.reset()
