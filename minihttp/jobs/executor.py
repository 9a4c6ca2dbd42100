# SPDX-License-Identifier: MIT
"""One attempt at one job: claim it, run it, write down how it ended.

A mutation runs in the transaction that marks its job as done: effects and state share one commit, so it
takes effect exactly once. An action is claimed in one commit, run, and ended in another: a process that
dies in between leaves a row `inProgress`, which `recover` fails, or lets wait for its next attempt if the
caller gave a retry policy. Of a mutation that kills the process only `crash_notes.py` knows; where several
processes run jobs, its claim whose lease has ended tells. Knows no threads and no order: `workers.py` decides
who runs what, and when.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeVar

from .. import hashing
from ..errors import (
    FunctionNotFoundError,
    LimitError,
    NotReadyError,
    StorageUnavailableError,
    ValidationError,
)
from ..functions.calls import CallInfo
from ..watchdog import Overdue
from .crash_notes import CrashNotes
from .retry import Drop, RetryLater, RetryPolicy
from .store import CLAIMED, SUSPECTS, JobStore

if TYPE_CHECKING:
    from ..data.catalog import Document
    from ..data.database import Transaction
    from ..functions.runner import Runner
    from ..tracebacks import RepeatFilter

log = logging.getLogger("minihttp.jobs")

T = TypeVar("T")
_MAX_ERROR_CHARACTERS = 8_192
_MAX_PAUSE_SECONDS = 10.0
_NOT_READY_SECONDS = 2.0  # after which a job asks again whether the schema is taken in
_KEPT_FAILURES, _KEPT_CHARACTERS = 10, 2_000  # of the attempts before the last, for people
_MAX_CRASHES = 3  # of the process while a mutation ran
_RECOVERED_AT_ONCE = 100  # a transaction holds the one write lock


class Interrupted(Exception):
    """The process ended while the job ran."""


class _Escaped(Exception):
    """A job raised what is no Exception; that is its cause."""


class Executor:
    """Runs jobs, one call each; safe to call from many threads.

    Args:
        pause: waits so many seconds; returns true when the worker is to stop instead of trying again.
        notes: of the mutations that run, for the next process if this one dies.
        claims: the ids of the jobs that wait or run in this process.

    Attributes:
        owner: the name by which its claims are known.
    """

    def __init__(
        self,
        store: JobStore,
        runner: Runner,
        pause: Callable[[float], bool],
        notes: CrashNotes,
        claims: Callable[[], Collection[str]],
    ) -> None:
        self._claims = claims
        self._store = store
        self._runner = runner
        self._pause = pause
        self.owner = hashing.token_hex(8)
        self._running: set[str] = set()
        self._notes = notes
        self._knows_crashes = False

    def run(self, job_id: str, name: str, known: Document | None = None) -> bool:
        """Run a job if it is pending and due; what it raises, SystemExit too, is written down as its failure.

        Args:
            known: its row, where this process has claimed it.

        Returns:
            Whether it ran.

        Raises:
            StorageUnavailableError: when the database fails; a job that has not begun then stays as it was.
        """
        try:
            kind = self._runner.resolve(name).kind
        except FunctionNotFoundError as error:
            return self._write(self._failing(job_id, "pending", error))
        return (self._run_action if kind == "action" else self._run_mutation)(job_id, known)

    def submit(self, row: Document, done: Callable[[bool | None, BaseException | None], None]) -> bool:
        """Run a mutation as `run` does, by whoever writes for others, without waiting for it.

        Args:
            done: called with whether it ran, or with (None, error) where `run` raises.

        Returns:
            False for what is no mutation.
        """
        with suppress(FunctionNotFoundError):
            if self._runner.resolve(self._store.call_of(row)[0]).kind == "mutation":
                self._submit(row, done)
                return True
        return False

    def _submit(self, row: Document, done: Callable[[bool | None, BaseException | None], None]) -> None:
        job_id, submit = row["_id"], self._store.database.submit
        mutate = self._mutating(job_id, row)

        def run(transaction: Transaction) -> bool:
            try:
                return mutate(transaction)
            except (Exception, SystemExit, Overdue):
                raise
            except BaseException as error:
                if _is_ctrl_c(error):
                    raise
                raise _Escaped from error  # as it is, it would undo what shares the commit

        def told(ran: bool | None, error: BaseException | None) -> None:
            cause = error.__cause__ if isinstance(error, _Escaped) else error
            try:
                after = None if cause is None else self._after(job_id, cause)
            except Exception as problem:  # such as an error without a text: the job must land all the same
                after, error = None, problem
            if after is None:
                done(ran, error)
            else:
                submit(after, done)

        submit(run, told, time_limit_seconds=self._store.limits.mutation_seconds)

    def _run_mutation(self, job_id: str, known: Document | None) -> bool:
        try:
            limit_seconds = self._store.limits.mutation_seconds
            return self._write(self._mutating(job_id, known), time_limit_seconds=limit_seconds)
        except BaseException as error:
            after = self._after(job_id, error)
            if after is None:
                raise
            return self._write(after)

    def _mutating(self, job_id: str, known: Document | None) -> Callable[[Transaction], bool]:
        """What runs a mutation and ends its job in one transaction, and says whether it ran."""

        def run(transaction: Transaction) -> bool:
            row = self._store.due(transaction, job_id, self.owner, known)
            if row is None:
                return False
            name, args = self._store.call_of(row)
            call = CallInfo(job_id=job_id)
            self._notes.begin(job_id)
            try:
                value = self._runner.run_in(transaction, name, args, call=call, nested=False, sized=True)
            finally:
                self._notes.end()
            self._store.finish(transaction, row, "success", returnValue=value)
            return True

        return run

    def _after(self, job_id: str, error: BaseException) -> Callable[[Transaction], bool] | None:
        """What is written once an error has undone a mutation; None where the job is to stay as it was."""
        if isinstance(error, NotReadyError):
            return self._waiting(job_id, error)
        if isinstance(error, StorageUnavailableError) or _is_ctrl_c(error):
            return None
        return self._failing(job_id, "pending", error)

    def _run_action(self, job_id: str, known: Document | None) -> bool:
        def claim(transaction: Transaction) -> Document | None:
            row = self._store.due(transaction, job_id, self.owner, known)
            if row is not None:
                self._store.claim(transaction, row, self.owner)
            return row

        self._running.add(job_id)
        try:
            row = self._write(claim, any_thread=True)
            if row is None:
                return False
            try:
                name, args = self._store.call_of(row)
                value = self._runner.run(name, args, call=CallInfo(job_id=job_id), sized=True)
            except BaseException as error:
                self._persist(self._failing(job_id, "inProgress", error))
                if _is_ctrl_c(error):
                    raise
            else:
                self._succeed(job_id, value)
            return True
        finally:
            self._running.discard(job_id)

    # ------------------------------------------------------------ writing down the end

    def _write(self, run: Callable[[Transaction], T], **options: Any) -> T:
        return self._store.database.write(run, **options)

    def _persist(self, run: Callable[[Transaction], T]) -> T:
        """Write what has happened and cannot be taken back: while the database fails, again and again."""
        seconds = 0.1
        while True:
            try:
                return self._write(run, any_thread=True)
            except StorageUnavailableError:
                if self._pause(seconds):
                    raise
                seconds = min(seconds * 2, _MAX_PAUSE_SECONDS)

    def _mine(self, transaction: Transaction, job_id: str, kind: str) -> Document | None:
        """The row of a job that still is in the state in which this attempt left it, else None."""
        row = self._store.find(transaction, job_id)
        if row is None or row["state"]["kind"] != kind:
            return None
        if kind == "pending":
            claimed_by_another = row["queue"].startswith(CLAIMED) and row["queue"] != CLAIMED + self.owner
            return None if claimed_by_another else row
        return row if row["owner"] == self.owner else None

    def _if_mine(
        self, job_id: str, kind: str, change: Callable[[Transaction, Document], object]
    ) -> Callable[[Transaction], bool]:
        """What changes the row of a job if it is `_mine`, and says whether it was."""

        def write(transaction: Transaction) -> bool:
            row = self._mine(transaction, job_id, kind)
            if row is not None:
                change(transaction, row)
            return row is not None

        return write

    def _succeed(self, job_id: str, value: Any) -> None:
        finish = partial(self._store.finish, kind="success", returnValue=value)
        try:
            self._persist(self._if_mine(job_id, "inProgress", finish))
        except (LimitError, ValidationError) as error:  # a result that no document can hold
            self._persist(self._failing(job_id, "inProgress", error))

    def _waiting(self, job_id: str, error: NotReadyError) -> Callable[[Transaction], bool]:
        """Let a mutation wait for the schema that it needs: others run meanwhile, no attempt is counted."""
        self._repeats.once(
            (str(error),),
            lambda: log.info("job %s has to wait: %s", job_id, error),
            lambda count, seconds: None,
        )
        postpone = partial(self._store.postpone, delay_seconds=_NOT_READY_SECONDS)
        return self._if_mine(job_id, "pending", postpone)

    def _failing(self, job_id: str, kind: str, error: BaseException) -> Callable[[Transaction], bool]:
        return self._if_mine(job_id, kind, partial(self._fail, error=error, text=describe(error)))

    def _fail(self, transaction: Transaction, row: Document, error: BaseException, text: str) -> None:
        """Let the job wait for its next attempt, or end it."""
        attempts = row["attempts"] + (row["state"]["kind"] == "pending")
        asked = error if isinstance(error, RetryLater) else None
        policy = self._store.table_of(row).retry_of(row) or (RetryPolicy() if asked else None)
        if policy is None or attempts >= policy.max_attempts or isinstance(error, Drop):
            self._store.finish(transaction, row, "failed", error=text)
            outcome = "failed"
        else:
            delay = asked.delay_seconds(attempts, policy) if asked else policy.delay_seconds(attempts)
            failure = {"at": self._store.now_ms(), "error": text[:_KEPT_CHARACTERS]}
            failures = [*row.get("failures", ())[1 - _KEPT_FAILURES :], failure]
            changes = {"attempts": attempts, "lastError": text, "failures": failures}
            self._store.postpone(transaction, row, delay, **changes)
            outcome = f"will be tried again in {delay:.3g} s"
        name, _ = self._store.call_of(row)
        transaction.after_commit(lambda: self._log_failure(row["_id"], name, outcome, attempts, text))

    @cached_property
    def _repeats(self) -> RepeatFilter:
        from ..tracebacks import RepeatFilter

        return RepeatFilter()

    def _log_failure(self, job_id: str, *facts: object) -> None:
        """Jobs that fail alike within a second are two log entries; each job keeps its own error."""
        name, outcome, attempts, text = facts
        self._repeats.once(
            facts,
            lambda: log.warning("job %s (%s) %s, attempt %d: %s", job_id, name, outcome, attempts, text),
            lambda count, seconds: log.warning(
                "%d more jobs (%s) failed alike within %g s", count, name, seconds
            ),
        )

    # ------------------------------------------------------------ what other processes left behind

    def renew(self) -> None:
        """Renew the leases of the jobs that run here or are claimed."""
        running, known = list(self._running), self._claims()

        def write(transaction: Transaction) -> None:
            for job_id in running:
                self._if_mine(job_id, "inProgress", self._store.renew)(transaction)
            self._store.renew_claims(transaction, self.owner, known)

        aged = self._store.database.read(partial(self._store.aged_claims, owner=self.owner))
        if running or aged:
            self._write(write)

    def run_suspects(self) -> None:
        """At the start, before any other job: count the crash for the mutations that ran when the last
        process died, and run each of them again, alone, so that the next crash shows whose it was.
        """
        if self._knows_crashes:
            return
        left_behind = self._notes.left_behind()
        suspects: list[tuple[str, str]] = []

        def write(transaction: Transaction) -> None:
            suspects.clear()
            for job_id in left_behind:
                row = transaction.system.get(job_id)
                if row is not None and row["state"]["kind"] == "pending":
                    self._count_crash(transaction, row, is_alone=len(left_behind) == 1)
                    suspects.append((job_id, self._store.call_of(row)[0]))

        if left_behind:
            self._write(write)
        self._notes.clear()
        self._knows_crashes = True
        for job_id, name in suspects:
            self.run(job_id, name)

    def _count_crash(self, transaction: Transaction, row: Document, *, is_alone: bool) -> None:
        crashes = row.get("crashes", 0) + 1
        facts = row["_id"], self._store.call_of(row)[0], crashes
        if crashes >= _MAX_CRASHES and is_alone:
            error = Interrupted(f"the process ended {crashes} times while this ran")
            self._store.finish(transaction, row | {"crashes": crashes}, "failed", error=describe(error))
            text = "job %s (%s) failed: the process ended %d times while it ran"
        else:
            changes = {"crashes": crashes, "attempts": row["attempts"] + 1}
            if row["queue"].startswith(CLAIMED):
                self._store.release_claim(transaction, row, lane=SUSPECTS, maxParallel=1, **changes)
            else:
                transaction.system.rewrite(row, changes)
            text = "job %s (%s) ran when the process ended, time %d; it is run alone now"
        transaction.after_commit(lambda: log.error(text, *facts))

    def _release_lost(self, transaction: Transaction) -> None:
        """Let the jobs wait whose process is gone. Each mutation among them may have ended it: they are run
        one at a time in all processes from now on, so that the next crash shows whose it was."""
        for row in self._store.lost_claims(transaction):
            if self._runner.registry.kind_of(self._store.call_of(row)[0]) == "mutation":
                self._count_crash(transaction, row, is_alone=row["lane"] == SUSPECTS)
            else:
                self._store.release_claim(transaction, row)

    def recover(self, *, alone: bool) -> None:
        """Fail, or let wait for their next attempt, the actions whose process is gone.

        Args:
            alone: whether no other process runs jobs of this database: then all that does not run here is
                lost, otherwise what has a lease that has ended.
        """
        error = Interrupted("the process ended while the action ran; what it did until then is not undone")

        def lost(transaction: Transaction) -> list[Document]:
            until_ms = None if alone else self._store.now_ms()
            limit = _RECOVERED_AT_ONCE + len(self._running)
            rows = self._store.due_jobs(transaction, "inProgress", limit, until_ms)
            return [row for row in rows if row["_id"] not in self._running]

        def write(transaction: Transaction) -> None:
            for row in lost(transaction):
                self._fail(transaction, row, error, describe(error))

        while self._store.database.read(lost):
            self._write(write)
        while not alone and self._store.database.read(self._store.lost_claims):
            self._write(self._release_lost)

    def release(self) -> None:
        """Leave what is claimed and does not run to other processes."""
        self._write(partial(self._store.release_claims, owner=self.owner))


def _is_ctrl_c(error: BaseException) -> bool:
    return isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread()


def describe(error: BaseException) -> str:
    """An error as stored with its job: its type, its message, and the frames of the app's own code."""
    import traceback

    from ..tracebacks import error_text, users_frames

    text = "".join([f"{error_text(error)}\n", *traceback.format_list(users_frames(error))])
    return text.rstrip().encode("utf-8", "backslashreplace").decode()[:_MAX_ERROR_CHARACTERS]
