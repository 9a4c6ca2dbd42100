# SPDX-License-Identifier: MIT
"""Leader/follower group commit: the concurrent writers of one connection share one COMMIT.

The first writer to arrive becomes the leader. It runs what is queued, one mutation after the other in one
transaction, commits once nothing is queued any more, and wakes those who wait. A mutation with `any_thread`
is run by the leader; any other by its own thread, which is made the leader with the transaction open. Nobody
is answered before the COMMIT. A mutation that was submitted has no thread that waits: one thread, the
committer, leads for all of these, and another tells what became of them while the next batch runs.

Not a backend itself: `sqlite_writers.py` and `postgresql_writers.py` say what a transaction is.
"""

from __future__ import annotations

import errno
import logging
import threading
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from math import inf
from queue import Empty, SimpleQueue
from time import monotonic, sleep
from typing import Any, TypeVar

T = TypeVar("T")
Run = Callable[[Any], Any]
Done = Callable[[Any, "BaseException | None"], None]

log = logging.getLogger("minihttp.storage")

_LEAST_CLOSING_SECONDS = 0.01
MAX_BATCH = 64  # mutations that share one COMMIT
NO_END = "another transaction does not end"


class Ticket:
    """A mutation, and what became of it.

    Attributes:
        committer: the group that runs it.
        done: what is called with the result or the error; None where a thread waits at the gate.
        guard: the (id, JSON text) of a document that must be so in its transaction.
        given_up: whether its caller has been told that it was not done.
        alone: whether it shares no COMMIT with those before it.
    """

    __slots__ = (
        "alone", "any_thread", "began", "committer", "completed", "deadline_seconds", "done", "error", "gate",
        "given_up", "guard", "result", "run",
    )  # fmt: skip

    def __init__(
        self,
        committer: GroupCommit,
        run: Run,
        deadline_seconds: float | None,
        any_thread: bool,
        guard: tuple[str, str] | None = None,
        done: Done | None = None,
        alone: bool = False,
    ) -> None:
        self.committer = committer
        self.run = run
        self.deadline_seconds = inf if deadline_seconds is None else deadline_seconds
        self.any_thread = any_thread
        self.guard = guard
        self.done = done
        self.alone = alone
        self.result: Any = None
        self.error: BaseException | None = None
        self.completed = self.given_up = False
        self.began = monotonic()
        self.gate = threading.Lock()  # opens when it is complete, or when its thread becomes the leader
        self.gate.acquire()


class GroupCommit:
    """Runs mutations on one write connection.

    An interrupt of a thread can come after any call, so the leader is a name in a field: nobody can be
    stopped between becoming the leader and knowing it.

    Args:
        writing: the connection; its `deadline` is that of the mutation that runs, and `nested()` undoes one.
        max_batch_seconds: how long a mutation that is done may wait for others to share its COMMIT.
        patience_seconds: how long a mutation waits for another that does not end.
    """

    fault_class: type[OSError]
    engine = ""  # its name, for its threads

    def __init__(self, writing: Any, max_batch_seconds: float, patience_seconds: float = 5.0) -> None:
        self.writing = writing
        self._max_batch_seconds = max_batch_seconds
        self._patience_seconds = patience_seconds
        self._queue_lock = threading.Lock()  # for `_queue` and `_leader`
        self._queue: deque[Ticket] = deque()
        self._leader: Ticket | None = None  # its thread alone uses what follows
        self._batch: list[Ticket] = []
        self._began_at = 0.0
        self._committing = False
        self._doomed = False  # somebody in the batch was told that it is not done
        self._closing = self._closed = False
        self._committer_gate: threading.Lock | None = None  # once there is a committer
        self._done: SimpleQueue[Ticket | None] = SimpleQueue()
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
        run: Callable[[Any], T],
        deadline_seconds: float | None,
        *,
        any_thread: bool = False,
        guard: tuple[str, str] | None = None,
        by_locks: bool = False,
        patience_seconds: float | None = None,
        alone: bool = False,
    ) -> T:
        """Run a mutation and return its result once it is durable.

        Args:
            guard: (id, JSON text) of a document that must be so in the transaction, for engines that several
                processes share.
            patience_seconds: how long to wait for others; by default as long as the others do.
            alone: it may take long, so nobody who was before it waits for its end.

        Raises:
            Fault: when the engine fails, also at the COMMIT; EAGAIN, when another mutation does not end;
                ESTALE, when the guard does not hold; and whatever `run` raises.
        """
        patience_seconds = self._patience_seconds if patience_seconds is None else patience_seconds
        ticket = Ticket(self, run, deadline_seconds, any_thread, guard, alone=alone)
        try:
            with self._queue_lock:
                self._queue.append(ticket)
                if is_first := self._leader is None:
                    self._leader = ticket
            while not ticket.completed:
                if is_first:
                    is_first = False
                elif not ticket.gate.acquire(timeout=patience_seconds) and ticket.committer._give_up(ticket):
                    raise self.fault_class(errno.EAGAIN, NO_END)
                committer = ticket.committer
                # Its own mutation is next and runs here; `_run` does the same for those of others
                while committer._lead(ticket):
                    if committer._begin():
                        try:
                            with committer._scope(ticket):
                                ticket.result = run(committer.writing)
                        except BaseException as raised:
                            ticket.error = raised
                            if not isinstance(raised, (Exception, SystemExit)):
                                raise
                        committer._ran(ticket)
        except BaseException:  # an interrupt, or the end of patience
            ticket.committer._abandon(ticket)
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
        run: Run,
        deadline_seconds: float | None,
        done: Done,
        guard: tuple[str, str] | None = None,
    ) -> None:
        """Run a mutation in the committer's thread and return at once.

        Args:
            done: called with (result, None) once the result is durable, or with (None, error); by one thread,
                one call after another. After the end of `close` the caller's thread calls it.
        """
        ticket = Ticket(self, run, deadline_seconds, True, guard, done)
        with self._queue_lock:
            is_open = not self._closing
            if is_open:
                if self._committer_gate is None:
                    self._start_committer()
                self._enqueue(ticket)
        if not is_open:
            done(None, self.fault_class(errno.EIO, "the database is closed"))

    def close(self, patience_seconds: float) -> bool:
        """Close the connection; what was acknowledged is durable.

        Args:
            patience_seconds: how long the mutation that runs may have taken by then.

        Returns:
            Whether it is closed: a mutation that does not end keeps it open, and nobody waits for that.
        """
        with self._queue_lock:
            self._closing = True  # what begins from now on closes it, and is refused
        taken_seconds = 0.0 if self._committing else self.writing_seconds
        end = monotonic() + max(patience_seconds - taken_seconds, _LEAST_CLOSING_SECONDS)
        while not self._closed and (left := end - monotonic()) > 0:
            with suppress(self.fault_class):
                self.write(lambda writing: None, None, any_thread=True, patience_seconds=left)
        while self._leader is not None and monotonic() < end:  # it may still be telling of others
            sleep(0.001)
        if self._closed and self._committer_gate is not None:
            self._committer_gate.release()
            self._done.put(None)
            self._committer_gate = None
        return self._closed

    # -- what an engine says

    def _begin(self) -> bool:
        """Have a transaction open for the mutation that was put into the batch; False if all are refused."""
        raise NotImplementedError

    def _ran(self, ticket: Ticket) -> None:
        """A mutation of the batch has run: commit if that is enough, roll back if it has to be."""
        raise NotImplementedError

    def _predates(self, ticket: Ticket) -> bool:
        """Whether the transaction that is open may not see all that was durable when a mutation was asked
        for."""
        return False

    def _commit(self) -> None:
        """Commit the batch and complete its mutations."""
        raise NotImplementedError

    def _interrupted(self) -> None:
        """The leader was interrupted: undo what is not committed."""
        raise NotImplementedError

    @property
    def _waits_in_vain(self) -> bool:
        """Whether it is a mutation's own code that others wait for."""
        return True

    # -- patience

    def _give_up(self, ticket: Ticket) -> bool:
        """Let a mutation be one that is not done; False when its COMMIT is under way, or done.

        If it has run already, all that was to be committed with it is undone: who was told to try again would
        do it twice.
        """
        with self._queue_lock:
            if ticket.completed or self._leader is ticket or not self._waits_in_vain:
                return False
            if ticket in self._batch:
                if self._committing:
                    return False
                self._doomed = True
            elif ticket not in self._queue:
                return False
            ticket.completed = ticket.given_up = True
            return True

    def _begin_commit(self) -> bool:
        """From here on nobody in the batch gives up; False: somebody did."""
        with self._queue_lock:
            self._committing = not self._doomed
        return self._committing

    # -- the committer

    def _start_committer(self) -> None:
        self._committer_gate = threading.Lock()
        self._committer_gate.acquire()
        for name, work in (("committer", self._lead_for_submitted), ("completer", self._tell)):
            threading.Thread(target=work, name=f"{self.engine}-{name}", daemon=True).start()

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
                self._give_up_submitted(self._patience_seconds)
                continue
            if ticket is None:
                return
            self._tell_one(ticket, ticket.error)

    def _tell_one(self, ticket: Ticket, error: BaseException | None) -> None:
        assert ticket.done is not None
        try:
            ticket.done(None if error else ticket.result, error)
        except Exception:
            log.exception("what became of a mutation could not be told")

    def _give_up_submitted(self, patience_seconds: float) -> None:
        if self.writing_seconds < patience_seconds:
            return
        with self._queue_lock:
            waiting = [*self._queue, *self._batch]
        oldest = monotonic() - patience_seconds
        for ticket in waiting:
            if ticket.done and ticket.began < oldest and self._give_up(ticket):
                self._tell_one(ticket, self.fault_class(errno.EAGAIN, NO_END))

    # -- the leadership

    def _begins_anew(self, ticket: Ticket) -> bool:
        """Whether the batch has to be committed before a mutation can run."""
        return bool(self._batch) and (ticket.alone or self._predates(ticket))

    def _enqueue(self, ticket: Ticket) -> None:
        """Put it at the end of the queue; the lock is held."""
        self._queue.append(ticket)
        if self._leader is None:
            self._pass_to(ticket)

    def _lead(self, own: Ticket) -> bool:
        """As the leader: run what is queued and commit, until the leader is somebody else or nobody.

        Returns:
            Whether the leader's own mutation is next, which its thread runs itself: so there are few frames
            between a caller and its function.
        """
        while self._leader is own:
            if self._batch and (
                not self._queue or len(self._batch) >= MAX_BATCH or self._begins_anew(self._queue[0])
            ):
                self._commit()
            ticket = self._next(own)
            if ticket is own and own.done is None:
                return True
            if ticket is not None:
                self._run(ticket)
        return False

    def _next(self, own: Ticket) -> Ticket | None:
        """What to run in this thread, already in the batch; or else pass the leadership on, perhaps
        with the transaction open."""
        with self._queue_lock:
            while self._queue and self._queue[0].completed:  # nobody waits for it
                self._queue.popleft()
            if self._queue:
                following = self._queue[0]
                if self._batch and self._begins_anew(following):  # another was to be next, and has given up
                    return None
                if following is own or (
                    following.any_thread and (own.done or not own.completed) and own.committer is self
                ):
                    self._batch.append(following)  # an interrupt finds it in one of the two
                    return self._queue.popleft()
                self._pass_to(following)
            elif not self._batch:
                self._leader = None
            return None

    def _pass_to(self, ticket: Ticket) -> None:
        self._leader = ticket
        gate = self._committer_gate if ticket.done else ticket.gate
        assert gate is not None
        gate.release()

    def _abandon(self, ticket: Ticket) -> None:
        """Nobody waits for it any more; if it was the leader, what is not committed is undone."""
        with self._queue_lock:
            ticket.completed = True
        if self._leader is ticket:
            self.writing.deadline = inf
            try:
                self._interrupted()
            finally:
                self._lead(ticket)

    # -- the batch

    def _run(self, ticket: Ticket) -> None:
        """Run a mutation of another thread, or of none."""
        if not self._begin():
            return
        try:
            with self._scope(ticket):
                ticket.result = ticket.run(self.writing)
        except BaseException as error:
            ticket.error = error  # told after the COMMIT: it may have come of what others wrote
            if not isinstance(error, (Exception, SystemExit)):
                raise  # an interrupt is meant for this thread, and nobody knows what it left half done
        self._ran(ticket)

    def _scope(self, ticket: Ticket) -> AbstractContextManager[None]:
        """In it the mutation runs; if it raises, what it wrote is undone."""
        ticket.error = ticket.result = None
        self.writing.deadline = monotonic() + ticket.deadline_seconds
        return self._nested()

    def _nested(self) -> AbstractContextManager[None]:
        """The sub-transaction of the mutation that was put into the batch last."""
        scope: AbstractContextManager[None] = self.writing.nested()
        return scope

    @property
    def _is_full(self) -> bool:
        """Whether the batch waits for no more mutations."""
        return len(self._batch) >= MAX_BATCH or monotonic() - self._began_at > self._max_batch_seconds

    def _take_all(self) -> None:
        """Have the whole queue in the batch: who waits beside a refused one need not wait again."""
        with self._queue_lock:
            self._batch += self._queue
            self._queue.clear()

    def _count_commit(self) -> None:
        self.commits += 1
        self.mutations += len(self._batch)

    def _complete_batch(self, fault: OSError | None, own: type[BaseException]) -> None:
        """Tell everybody in the batch what became of it, in the order in which they ran.

        Args:
            own: an error of this kind is told to its owner in the place of the fault.
        """
        while self._batch:
            ticket = self._batch[0]
            if fault is not None and not isinstance(ticket.error, own):
                ticket.error = self.fault_class(*fault.args)
            self._complete_one(0)

    def _complete_one(self, position: int) -> None:
        """Tell the owner of the mutation at a place in the batch that it is complete."""
        ticket = self._batch[position]
        del self._batch[position]  # no call, so no interrupt, comes between this and the gate
        ticket.completed = True
        if ticket.given_up:
            return
        if ticket.done:
            self._done.put(ticket)
        else:
            ticket.gate.release()
