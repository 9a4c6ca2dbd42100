# SPDX-License-Identifier: MIT
"""Leader/follower group commit on PostgreSQL: one transaction of a process at a time, one COMMIT for many.

The first writer to arrive becomes the leader: it runs what is queued, one mutation after the other in one
transaction, commits once nothing is queued any more, and wakes those who wait. A mutation that may run
in any thread is run by the leader; any other by its own thread, to which the leadership is passed with the
transaction open. Nobody is answered before the COMMIT. What the server undoes (a serialization failure, a
broken line) is run again from the front of the queue, so no caller hears of it. A mutation that was submitted
has no thread that waits: one thread, the committer, leads for all of these, and another tells what became of
them.
"""

from __future__ import annotations

import errno
import logging
import random
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from math import inf
from queue import SimpleQueue
from time import monotonic, sleep
from typing import Any, TypeVar

from .postgresql_connection import AGAIN, FOREIGN, LOST, Connection, Fault, quoted
from .postgresql_statements import Statements
from .postgresql_token import Token
from .postgresql_writing import Writing

T = TypeVar("T")
Guard = tuple[str, str]
Done = Callable[[Any, "BaseException | None"], None]

log = logging.getLogger("minihttp.storage")

_MAX_BATCH = 64  # mutations that share one COMMIT
_MAX_RUNS = 20  # of one batch; behind the gate it cannot fail at all
_RUNS_BEFORE_THE_GATE = 2
_MAX_OUTAGE_SECONDS = 30.0  # without a server that answers
_PAUSE_SECONDS = 0.002  # times the number of failures, at random
_BEGIN = "BEGIN ISOLATION LEVEL SERIALIZABLE; LOCK TABLE gate IN {} MODE; "
_SHARED, _ALONE = _BEGIN.format("ROW SHARE"), _BEGIN.format("EXCLUSIVE")
_BY_LOCKS = "BEGIN ISOLATION LEVEL READ COMMITTED; "


class _Ticket:
    """A mutation, and what became of it.

    Attributes:
        done: what is called with the result or the error; None where a thread waits at the gate.
        writers: those that run it.
    """

    __slots__ = (
        "any_thread",
        "complete",
        "deadline_seconds",
        "done",
        "error",
        "gate",
        "guard",
        "result",
        "run",
        "writers",
    )

    def __init__(
        self,
        run: Callable[[Writing], Any],
        deadline_seconds: float | None,
        any_thread: bool,
        guard: Guard | None,
        writers: Writers,
        done: Done | None = None,
    ) -> None:
        self.run = run
        self.deadline_seconds = inf if deadline_seconds is None else deadline_seconds
        self.done = done
        self.any_thread = any_thread
        self.guard = guard
        self.writers = writers
        self.result: Any = None
        self.error: BaseException | None = None
        self.complete = False
        self.gate = threading.Lock()  # opens when it is complete, or when its thread becomes the leader
        self.gate.acquire()


class Writers:
    """Runs mutations on one write connection.

    An interrupt of a thread can come after any call, so the leader is a name in a field: nobody can be
    stopped between becoming it and knowing that.

    Args:
        statements: their texts.
        connect: makes a connection; it tries for a while.
        token: of these writers.
        max_batch_seconds: how long a mutation that is done may wait for others to share its COMMIT.
        first: the writers that run what these have to run again; None: these themselves.
        by_locks: for mutations that rely on nothing but documents that they have locked: READ COMMITTED.
    """

    def __init__(
        self,
        statements: Statements,
        connect: Callable[[], Connection],
        token: Token,
        max_batch_seconds: float,
        first: Writers | None = None,
        by_locks: bool = False,
    ) -> None:
        self._by_locks = by_locks
        self._connect = connect
        self._token = token
        self._max_batch_seconds = max_batch_seconds
        self._first = first or self
        self._queue_lock = threading.Lock()  # for `_queue` and `_leader`
        self._queue: deque[_Ticket] = deque()
        self._leader: _Ticket | None = None  # whose thread leads: it alone uses what follows
        self._batch: list[_Ticket] = []
        self._began_at = 0.0
        self._places: dict[Guard, str] = {}  # of guards, in their table
        self._in_doubt = False  # a COMMIT was sent, and its answer has not come
        self._conflicts = self._runs = 0
        self._writing = Writing(statements, self._begin_text(), connect)
        self._lost_at = 0.0  # when the line broke for the first time in this batch
        self._closing = self._closed = False
        self._committer_gate: threading.Lock | None = None  # once there is a committer
        self._done: SimpleQueue[_Ticket | None] = SimpleQueue()
        self.commits = self.mutations = self.reruns = 0

    @property
    def waiting(self) -> int:
        """How many mutations are queued."""
        return len(self._queue)

    @property
    def busy(self) -> bool:
        return self._leader is not None

    def write(
        self,
        run: Callable[[Writing], T],
        deadline_seconds: float | None,
        any_thread: bool,
        guard: Guard | None = None,
        patience_seconds: float = -1,
    ) -> T:
        """Run a mutation and return its result once it is durable.

        Args:
            guard: (id, JSON text) of a document that must be so in the transaction.
            patience_seconds: how long to wait for others; -1 is for ever.

        Raises:
            Fault: when the engine fails, also at the COMMIT; ESTALE, when the guard does not hold; and
                whatever `run` raises.
        """
        ticket = _Ticket(run, deadline_seconds, any_thread, guard, self)
        try:
            self._enqueue(ticket)
            while not ticket.complete:
                if not ticket.gate.acquire(timeout=patience_seconds):
                    raise Fault(errno.EAGAIN, "another transaction does not end")
                writers = ticket.writers
                if writers._leader is ticket:
                    writers._lead(ticket)
        except BaseException:  # an interrupt, or the end of patience
            ticket.writers._abandon(ticket)
            raise
        if ticket.error is not None:
            error, ticket.error = ticket.error, None
            try:
                raise error
            finally:
                del error  # else it would be held by its own traceback
        result: T = ticket.result
        return result

    def submit(
        self,
        run: Callable[[Writing], Any],
        deadline_seconds: float | None,
        done: Done,
        guard: Guard | None = None,
    ) -> None:
        """Run a mutation in the committer's thread and return at once.

        Args:
            done: called with (result, None) once the result is durable, or with (None, error); by one thread,
                one call after another. After the end of `close` the caller's thread calls it.
        """
        ticket = _Ticket(run, deadline_seconds, True, guard, self, done)
        with self._queue_lock:
            is_open = not self._closing
            if is_open and self._committer_gate is None:
                self._start_committer()
        if is_open:
            self._enqueue(ticket)
        else:
            done(None, Fault(errno.EIO, "the database is closed"))

    def close(self, patience_seconds: float) -> bool:
        """Close the connection; what was acknowledged is durable.

        Returns:
            Whether it is closed: a mutation that does not end keeps it open, and nobody waits for that.
        """
        with self._queue_lock:
            self._closing = True  # what begins from now on closes it, and is refused
        end = monotonic() + patience_seconds
        while not self._closed and (left := end - monotonic()) > 0:
            with suppress(Fault):
                self.write(lambda writing: None, None, True, None, left)
        while self._leader is not None and monotonic() < end:  # it may still be telling of others
            sleep(0.001)
        if self._closed and self._committer_gate is not None:
            self._committer_gate.release()
            self._done.put(None)
            self._committer_gate = None
        return self._closed

    # -- the committer

    def _start_committer(self) -> None:
        self._committer_gate = threading.Lock()
        self._committer_gate.acquire()
        for name, work in (("committer", self._lead_for_submitted), ("completer", self._tell)):
            threading.Thread(target=work, name=f"postgresql-{name}", daemon=True).start()

    def _lead_for_submitted(self) -> None:
        gate = self._committer_gate
        assert gate is not None
        while True:
            gate.acquire()
            ticket = self._leader
            if ticket is None or ticket.done is None:  # closed
                return
            try:
                self._lead(ticket)
            except BaseException:  # an interrupt that came too late for the mutation that it was meant for
                log.exception("the committer was interrupted")
                self._abandon(ticket)

    def _tell(self) -> None:
        while (ticket := self._done.get()) is not None:
            try:
                assert ticket.done is not None
                ticket.done(None if ticket.error else ticket.result, ticket.error)
            except Exception:
                log.exception("what became of a mutation could not be told")

    # -- the leadership

    def _enqueue(self, ticket: _Ticket) -> None:
        with self._queue_lock:
            self._queue.append(ticket)
            if self._leader is None:
                self._pass_to(ticket)

    def _lead(self, own: _Ticket) -> None:
        """As the leader: run what is queued and commit, until somebody else leads or nobody."""
        while self._leader is own:
            if not self._queue or len(self._batch) >= _MAX_BATCH:
                self._commit()
            ticket = self._next(own)
            if ticket is not None:
                self._run(ticket)

    def _next(self, own: _Ticket) -> _Ticket | None:
        """What to run in this thread, already in the batch; or else pass the leadership on, perhaps with the
        transaction open."""
        with self._queue_lock:
            while self._queue and self._queue[0].complete:  # nobody waits for it
                self._queue.popleft()
            if self._queue:
                following = self._queue[0]
                here = following.any_thread and (own.done or not own.complete) and own.writers is self
                if following is own or here:
                    self._batch.append(following)  # an interrupt finds it in one of the two
                    return self._queue.popleft()
                self._pass_to(following)
            elif not self._batch:
                self._leader = None
            return None

    def _pass_to(self, ticket: _Ticket) -> None:
        self._leader = ticket
        gate = self._committer_gate if ticket.done else ticket.gate
        assert gate is not None
        gate.release()

    def _abandon(self, ticket: _Ticket) -> None:
        """Nobody waits for it any more; if it led, the others of its batch are run again."""
        with self._queue_lock:
            ticket.complete = True
        if self._leader is ticket:
            try:
                self._interrupted()
            finally:
                self._lead(ticket)

    def _interrupted(self) -> None:
        """Nobody knows what was half done: the line is closed, which undoes what is not committed."""
        if self._writing.connection is not None:
            self._writing.connection.close()
        self._recover(Fault(LOST, "the transaction was interrupted"))

    # -- the transaction

    def _run(self, ticket: _Ticket) -> None:
        writing, batch = self._writing, self._batch
        if len(batch) == 1:
            self._began_at = monotonic()
            if self._closing:
                self._refuse_after_closing()
                return
        writing.deadline = monotonic() + ticket.deadline_seconds
        ticket.error = ticket.result = None
        try:
            with writing.nested():
                ticket.result = ticket.run(writing)
        except BaseException as error:
            ticket.error = error  # told after the COMMIT: it may have come of what others wrote
            if not isinstance(error, (Exception, SystemExit)):
                raise  # an interrupt is meant for this thread, and nobody knows what it left half done
        finally:
            writing.deadline = inf
        if writing.lost is not None:
            self._give_up(ticket, writing.lost)
        elif len(batch) >= _MAX_BATCH or monotonic() - self._began_at > self._max_batch_seconds:
            self._commit()

    def _refuse_after_closing(self) -> None:
        if not self._closed:
            connection = self._writing.connection
            if connection is not None:
                with suppress(Fault):
                    self._token.delete(connection)
                connection.close()
            self._closed = True
        self._refuse_all(Fault(errno.EIO, "the database is closed"))

    def _commit(self) -> None:
        if not self._batch:
            return
        changes = self._writing.changes()
        try:
            if changes or self._writing.begun:
                text = self._commit_text(changes)
                self._in_doubt = bool(changes)  # until everybody knows
                self._writing.ask(text)
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
        share = " FOR SHARE" if self._by_locks else ""
        checks = [
            "SELECT sqrt(count(*) - 1) FROM (SELECT 1 FROM documents"
            f" WHERE {self._where(guard)} AND json = {quoted(guard[1])}{share}) guard"
            for guard in self._guards()
        ]
        token = [self._token.next()] if changes else []
        return "; ".join([*checks, *changes, *token, "COMMIT"])

    def _guards(self) -> list[Guard]:
        return list(dict.fromkeys(ticket.guard for ticket in self._batch if ticket.guard is not None))

    def _where(self, guard: Guard) -> str:
        """A condition for the guard. By its place in the table, once that is known: a look into the index
        would make all transactions conflict that write near it there."""
        place = self._places.get(guard)
        return f"ctid = '{place}' AND id || '' = {quoted(guard[0])}" if place else f"id = {quoted(guard[0])}"

    def _find_places(self, guards: list[Guard]) -> None:
        unknown = [guard for guard in guards if guard not in self._places]
        connection = self._writing.connection
        if not unknown or connection is None:
            return
        self._places.clear()
        with suppress(Fault):  # then another time
            for guard in guards:
                found = connection.rows(f"SELECT ctid FROM documents WHERE id = {quoted(guard[0])}")
                self._places.update((guard, str(place)) for (place,) in found)

    def _committed(self) -> None:
        guards = self._guards()
        self.commits += 1
        self.mutations += len(self._batch)
        self._complete(None)
        self._find_places(guards)

    # -- what fails

    def _give_up(self, ticket: _Ticket, fault: Fault) -> None:
        """A statement of a mutation has failed, so the transaction is lost: the others are run again without
        it if it is to blame, else all."""
        if fault.errno in (AGAIN, LOST):
            self._recover(fault)
            return
        if not isinstance(ticket.error, Exception):
            ticket.error = fault  # it went on after the fault; all that it did is undone
        self._batch.remove(ticket)
        self._finish(ticket)
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
        if fault.errno == LOST and self._writing.connection is not None:
            self._writing.connection.close()
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
                if self._writing.connection is not None:
                    self._writing.connection.close()
                connection = self._writing.connection = self._connect()
                return self._token.took_place(connection)
            except Fault as fault:
                if fault.errno not in (LOST, AGAIN, errno.EAGAIN) or monotonic() > end:
                    raise

    def _may_run_again(self, fault: Fault) -> bool:
        self._runs += 1
        if fault.errno == AGAIN:
            self._conflicts += 1
            sleep(random.uniform(0, _PAUSE_SECONDS * self._conflicts))
            return self._conflicts < _MAX_RUNS
        if fault.errno == FOREIGN:
            return self._runs < _MAX_RUNS and self._restore_token()
        if fault.errno == errno.ESTALE and self._places:
            self._places.clear()  # it may only have been moved
            return self._runs < _MAX_RUNS
        if fault.errno == errno.ESTALE and any(ticket.guard is None for ticket in self._batch):
            for ticket in [ticket for ticket in self._batch if ticket.guard is not None]:
                self._batch.remove(ticket)
                ticket.error = Fault(*fault.args)
                self._finish(ticket)
            return True
        if fault.errno != LOST:
            return False
        now = monotonic()
        self._lost_at = self._lost_at or now
        sleep(random.uniform(0, _PAUSE_SECONDS * min(self._runs, 50)))
        return now - self._lost_at < _MAX_OUTAGE_SECONDS

    def _restore_token(self) -> bool:
        """Somebody has removed the row of these writers, which were asleep for long."""
        self._roll_back()
        try:
            if self._writing.connection is not None:
                self._token.create(self._writing.connection)
        except Fault:
            return False
        return True

    def _roll_back(self) -> None:
        writing = self._writing
        connection = writing.connection
        if connection is not None and not connection.alive:
            connection.close()
            writing.connection = None
        elif connection is not None and writing.begun:
            connection.send("ROLLBACK")
        writing.reset()

    def _run_again(self) -> None:
        """Put the batch back at the front of the queue, in its order."""
        self.reruns += len(self._batch)
        first = self._first
        with self._queue_lock:
            while self._batch:
                ticket = self._batch[-1]
                if ticket.complete:  # nobody waits for it
                    self._batch.pop()
                    continue
                if first is self:
                    self._queue.appendleft(ticket)
                else:
                    ticket.writers = first
                    first._enqueue(ticket)
                del self._batch[-1]
        self._writing.begin = self._begin_text()

    def _refuse_all(self, fault: Fault) -> None:
        """Who waited beside the refused one need not wait again."""
        with self._queue_lock:
            self._batch += self._queue
            self._queue.clear()
        self._roll_back()
        self._complete(fault)

    def _complete(self, fault: Fault | None) -> None:
        """Tell everybody in the batch what became of it; a fault of one's own is told to its owner."""
        while self._batch:
            ticket = self._batch[-1]
            if fault is not None and not isinstance(ticket.error, Fault):
                ticket.error = Fault(*fault.args)
            del self._batch[-1]  # no interrupt comes between this and the gate
            self._finish(ticket)
        self._in_doubt = False
        self._conflicts = self._runs = 0
        self._lost_at = 0.0
        self._writing.begin = self._begin_text()
        self._writing.reset()

    def _finish(self, ticket: _Ticket) -> None:
        ticket.complete = True
        if ticket.done:
            self._done.put(ticket)
        else:
            ticket.gate.release()
