# SPDX-License-Identifier: MIT
"""Leader/follower group commit: the concurrent writers of one SQLite connection share one COMMIT.

The first writer to arrive becomes the leader. It runs what is queued, one mutation after the other in one
transaction, commits once nothing is queued any more, and wakes those who wait. A mutation with `any_thread`
is run by the leader; any other by its own thread, which is made the leader with the transaction open. Nobody
is answered before the COMMIT. A mutation that was submitted has no thread that waits: one thread, the
committer, leads for all of these, and another tells what became of them while the next batch runs.
"""

from __future__ import annotations

import errno
import logging
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from math import inf
from queue import Empty, SimpleQueue
from time import monotonic, sleep
from typing import Any, TypeVar

from .sqlite_connection import Fault
from .sqlite_tables import Writing

T = TypeVar("T")
Done = Callable[[Any, "BaseException | None"], None]

log = logging.getLogger("minihttp.storage")

_MAX_BATCH = 64  # mutations that share one COMMIT
_NO_END = "another transaction does not end"


class _Ticket:
    """A mutation, and what became of it.

    Attributes:
        done: what is called with the result or the error; None where a thread waits at the gate.
        given_up: whether its caller has been told that it was not done.
    """

    __slots__ = (
        "any_thread", "began", "completed", "deadline_seconds", "done", "error", "gate", "given_up", "result",
        "run",
    )  # fmt: skip

    def __init__(
        self,
        run: Callable[[Writing], Any],
        deadline_seconds: float | None,
        any_thread: bool,
        done: Done | None = None,
    ) -> None:
        self.run = run
        self.deadline_seconds = inf if deadline_seconds is None else deadline_seconds
        self.any_thread = any_thread
        self.done = done
        self.result: Any = None
        self.error: BaseException | None = None
        self.completed = self.given_up = False
        self.began = monotonic()
        self.gate = threading.Lock()  # opens when it is complete, or when its thread becomes the leader
        self.gate.acquire()


class Writers:
    """Runs mutations on the one write connection.

    An interrupt of a thread can come after any call, so the leader is a name in a field: nobody can be
    stopped between becoming the leader and knowing it.

    Args:
        writing: the connection.
        max_batch_seconds: how long a mutation that is done may wait for others to share its COMMIT.
        committed: called after each COMMIT, by the leader.
        patience_seconds: how long a mutation waits for another that does not end.
    """

    def __init__(
        self,
        writing: Writing,
        max_batch_seconds: float,
        committed: Callable[[], None],
        patience_seconds: float = 5.0,
    ) -> None:
        self._writing = writing
        self._max_batch_seconds = max_batch_seconds
        self._committed = committed
        self._patience_seconds = patience_seconds
        self._passing = threading.Lock()  # for `_queue` and `_leader`
        self._queue: deque[_Ticket] = deque()
        self._leader: _Ticket | None = None  # its thread alone uses what follows
        self._batch: list[_Ticket] = []
        self._began_at = 0.0
        self._committing = False
        self._doomed = False  # somebody in the batch was told that it is not done
        self._closing = self._closed = False
        self._committer_gate: threading.Lock | None = None  # once there is a committer
        self._done: SimpleQueue[_Ticket | None] = SimpleQueue()
        self.commits = self.mutations = 0

    @property
    def waiting(self) -> int:
        """How many mutations are queued."""
        return len(self._queue)

    @property
    def writing_seconds(self) -> float:
        """For how long the transaction that is open has been so; 0 when none is."""
        return monotonic() - self._began_at if self._batch else 0.0

    def write(
        self,
        run: Callable[[Writing], T],
        deadline_seconds: float | None,
        any_thread: bool,
        patience_seconds: float | None = None,
    ) -> T:
        """Run a mutation and return its result once it is durable.

        Args:
            patience_seconds: how long to wait for others; by default as long as the others do.

        Raises:
            Fault: when the engine fails, also at the COMMIT, or (EAGAIN) when another mutation does not end;
                and whatever `run` raises.
        """
        patience_seconds = self._patience_seconds if patience_seconds is None else patience_seconds
        ticket = _Ticket(run, deadline_seconds, any_thread)
        try:
            with self._passing:
                self._queue.append(ticket)
                if self._leader is None:
                    self._pass_to(ticket)
            while not ticket.completed:
                if not ticket.gate.acquire(timeout=patience_seconds) and self._give_up(ticket):
                    raise Fault(errno.EAGAIN, _NO_END)
                if self._leader is ticket:
                    self._lead(ticket)
        except BaseException:  # an interrupt, or the end of patience
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

    def submit(self, run: Callable[[Writing], Any], deadline_seconds: float | None, done: Done) -> None:
        """Run a mutation in the committer's thread and return at once.

        Args:
            done: called with (result, None) once the result is durable, or with (None, error); by one thread,
                one call after another. After the end of `close` the caller's thread calls it.
        """
        ticket = _Ticket(run, deadline_seconds, True, done)
        with self._passing:
            is_open = not self._closing
            if is_open:
                if self._committer_gate is None:
                    self._start_committer()
                self._queue.append(ticket)
                if self._leader is None:
                    self._pass_to(ticket)
        if not is_open:
            done(None, Fault(errno.EIO, "the database is closed"))

    def close(self, patience_seconds: float) -> bool:
        """Close the connection; what was acknowledged is on disk.

        Returns:
            Whether it is closed: a mutation that does not end keeps it open, and nobody waits for that.
        """
        with self._passing:
            self._closing = True  # what begins from now on closes it, and is refused
        end = monotonic() + patience_seconds
        while not self._closed and (left := end - monotonic()) > 0:
            with suppress(Fault):
                self.write(lambda writing: None, None, True, left)
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
            threading.Thread(target=work, name=f"sqlite-{name}", daemon=True).start()

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
        while True:
            try:
                ticket = self._done.get(timeout=self._patience_seconds)
            except Empty:
                self._give_up_submitted()
                continue
            if ticket is None:
                return
            try:
                assert ticket.done is not None
                ticket.done(None if ticket.error else ticket.result, ticket.error)
            except Exception:
                log.exception("what became of a mutation could not be told")

    # -- patience

    def _give_up(self, ticket: _Ticket) -> bool:
        """Let a mutation be one that is not done; False when its COMMIT is under way, or done.

        If it has run already, all that was to be committed with it is undone: who was told to try again would
        do it twice.
        """
        with self._passing:
            if ticket.completed or self._leader is ticket:
                return False
            if ticket in self._batch:
                if self._committing:
                    return False
                self._doomed = True
            elif ticket not in self._queue:
                return False
            ticket.completed = ticket.given_up = True
            return True

    def _give_up_submitted(self) -> None:
        if self.writing_seconds < self._patience_seconds:
            return
        with self._passing:
            waiting = [*self._queue, *self._batch]
        oldest = monotonic() - self._patience_seconds
        for ticket in waiting:
            if ticket.done and ticket.began < oldest and self._give_up(ticket):
                try:
                    ticket.done(None, Fault(errno.EAGAIN, _NO_END))
                except Exception:
                    log.exception("what became of a mutation could not be told")

    # -- the leadership

    def _lead(self, own: _Ticket) -> None:
        """As the leader: run what is queued and commit, until the leader is somebody else or nobody."""
        while self._leader is own:
            if not self._queue:
                self._commit()
            ticket = self._next(own)
            if ticket is not None:
                self._run(ticket, own)

    def _next(self, own: _Ticket) -> _Ticket | None:
        """What to run in this thread, already in the batch; or else pass the leadership on, perhaps
        with the transaction open."""
        with self._passing:
            while self._queue and self._queue[0].completed:  # nobody waits for it
                self._queue.popleft()
            if self._queue:
                following = self._queue[0]
                if following is own or (following.any_thread and (own.done or not own.completed)):
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
        """Nobody waits for it any more; if it was the leader, what is not committed is undone."""
        with self._passing:
            ticket.completed = True
        if self._leader is ticket:
            try:
                self._roll_back(Fault(errno.EINTR, "the transaction was interrupted"))
            finally:
                self._lead(ticket)

    # -- the transaction

    def _run(self, ticket: _Ticket, own: _Ticket) -> None:
        writing, batch = self._writing, self._batch
        if len(batch) == 1 and not self._begin():
            return
        writing.deadline = monotonic() + ticket.deadline_seconds
        try:
            if len(batch) > 1:
                with writing.nested():
                    ticket.result = ticket.run(writing)
            else:
                ticket.result = ticket.run(writing)
        except BaseException as error:
            ticket.error = error  # told after the COMMIT: it may have come of what others wrote
            if not isinstance(error, (Exception, SystemExit)):
                raise  # an interrupt is meant for this thread, and nobody knows what it left half done
        finally:
            writing.deadline = inf
        if not writing.connection.in_transaction:
            self._roll_back(_fault_of_all(ticket.error))
        elif ticket.error is not None and len(batch) == 1:
            self._roll_back(None)
        elif len(batch) >= _MAX_BATCH or monotonic() - self._began_at > self._max_batch_seconds:
            self._commit()

    def _begin(self) -> bool:
        try:
            if self._closing:
                self._writing.connection.close()
                self._closed = True
                raise Fault(errno.EIO, "the database is closed")
            self._writing.begin()
        except Fault as fault:
            with self._passing:  # who waited beside the refused one need not wait again
                self._batch += self._queue
                self._queue.clear()
            self._complete(fault)
            return False
        self._began_at = monotonic()
        return True

    def _commit(self) -> None:
        if not self._batch:
            return
        with self._passing:
            self._committing = not self._doomed
        if self._doomed:
            self._roll_back(Fault(errno.EAGAIN, _NO_END))
            return
        try:
            self._writing.commit()
        except Fault as fault:
            self._roll_back(fault)
            return
        finally:
            self._committing = False
        self.commits += 1
        self.mutations += len(self._batch)
        self._complete(None)
        self._committed()

    def _roll_back(self, fault: Fault | None) -> None:
        try:
            self._writing.roll_back()
        finally:
            self._doomed = False
            self._complete(fault)

    def _complete(self, fault: Fault | None) -> None:
        """Tell everybody in the batch what became of it; a fault of one's own is told to its owner, and when
        others were given up, any error of one's own.
        """
        while self._batch:
            ticket = self._batch[-1]
            own = Exception if fault is not None and fault.errno == errno.EAGAIN else Fault
            if fault is not None and not isinstance(ticket.error, own):
                ticket.error = Fault(*fault.args)
            del self._batch[-1]  # no interrupt comes between this and the gate
            ticket.completed = True
            if ticket.given_up:
                continue
            if ticket.done:
                self._done.put(ticket)
            else:
                ticket.gate.release()


def _fault_of_all(error: BaseException | None) -> Fault:
    """What those are told who were in a transaction that this error has rolled back."""
    if isinstance(error, Fault) and error.errno != errno.ETIME:  # that was the time of one alone
        return error
    return Fault(errno.EIO, "the transaction was rolled back by a fault")
