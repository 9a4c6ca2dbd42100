# SPDX-License-Identifier: MIT
"""`ctx.scheduler`: writes down what is to run later, or takes it back.

In a mutation every call is part of its transaction; elsewhere it is a transaction of its own and takes
effect at once. What a call asks for is checked here (`docs/convex.md` §6), arguments against `args` only when
the job runs. Knows no threads: the worker is told of a new job after its commit and finds it in the
store.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import CallError, ConfigurationError, DocumentError, LimitError, ScheduleError, no_attribute
from ..functions.calls import call_args
from ..values import show, size_bytes
from .retry import RetryPolicy
from .store import DONE, JobStore, new_row

if TYPE_CHECKING:
    from ..data.catalog import Document
    from ..data.database import Transaction
    from ..data.documents import PreparedDocument
    from ..functions.calls import CallInfo
    from ..functions.registry import Function
    from ..functions.runner import Runner

T = TypeVar("T")
_OPTIONS = ("lane", "maxParallel", "retry", "onComplete")  # of a row
_FIVE_YEARS_SECONDS = 5 * 366 * 86_400.0  # Convex's InvalidScheduledFunctionDelay


class Scheduler:
    """Schedules functions and cancels them.

    `fn` is a mutation or an action of the app, public or internal, or its name "module:function". A scheduled
    mutation takes effect exactly once. A scheduled action is run at most once, unless
    `with_options(retry=…)` asks for more. A job has no caller: it does not inherit who scheduled it.
    """

    __slots__ = ("_call", "_options", "_runner", "_store", "_transaction")

    def __init__(
        self,
        store: JobStore,
        runner: Runner,
        transaction: Transaction | None,
        call: CallInfo | None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self._store = store
        self._runner = runner
        self._transaction = transaction
        self._call = call
        self._options = options or {}

    if not TYPE_CHECKING:  # so that type checkers find what is not there

        def __getattr__(self, name: str) -> Any:
            now = "write run_after(0, f, …)" if name in ("run", "now", "delay", "enqueue", "send") else ""
            raise no_attribute(self, name, now)

    def with_options(
        self,
        *,
        retry: RetryPolicy | None = None,
        on_complete: Function | str | None = None,
        context: Any = None,
        pool: str | None = None,
        max_parallel: int = 1,
    ) -> Scheduler:
        """A scheduler whose jobs have these options; the keywords of `run_after` stay the function's own.

        Args:
            retry: run the function again when it fails; an action then runs at least once, not at most once.
            on_complete: a mutation that runs exactly once when the job has ended, as
                `on_complete(ctx, job_id, result)`, where `result` is `{"kind": "success", "returnValue": …}`,
                `{"kind": "failed", "error": text}` or `{"kind": "canceled"}`.
            context: passed to `on_complete` as its argument `context`, if it is not None.
            pool: a name; of all jobs of one pool at most `max_parallel` run side by side, in all processes.

        Raises:
            ConfigurationError: for an option of the wrong type or range.
            FunctionNotFoundError: when `on_complete` is no function of the app.
        """
        options: dict[str, Any] = {}
        if retry is not None:
            if not isinstance(retry, RetryPolicy):
                raise ConfigurationError(f"retry must be a RetryPolicy, not {retry!r}")
            options["retry"] = retry.document
        if on_complete is not None:
            callback = self._runner.registry.named(on_complete)
            if callback.kind != "mutation":
                raise ConfigurationError(f"on_complete must be a mutation, not {callback}")
            options["onComplete"] = {
                "name": callback.name,
                "args": {} if context is None else {"context": context},
            }
        if pool is not None:
            if not isinstance(pool, str) or not pool:
                raise ConfigurationError(f"pool must be a name, not {pool!r}")
            if not isinstance(max_parallel, int) or isinstance(max_parallel, bool) or max_parallel < 1:
                raise ConfigurationError(f"max_parallel must be a positive integer, not {max_parallel!r}")
            options |= {"lane": f"pool:{pool}", "maxParallel": max_parallel}
        elif max_parallel != 1:
            raise ConfigurationError("max_parallel is a limit of a pool: name it with pool=")
        return Scheduler(self._store, self._runner, self._transaction, self._call, options)

    def run_after(
        self, delay: float | timedelta, fn: Function | str, /, *given: Mapping[str, Any], **args: Any
    ) -> str:
        """Run a function after a delay in seconds; 0 is as soon as this transaction has committed.

        Returns:
            The id of the job, a document of `_scheduled_functions`.

        Raises:
            ScheduleError: for a delay that is negative, no number, or above five years.
            FunctionNotFoundError: for what is no function of the app; CallError: for a query.
            LimitError: for too large arguments, or too many jobs of one mutation.
            ValidationError: for arguments that are no Convex values.
        """
        seconds = delay.total_seconds() if isinstance(delay, timedelta) else delay
        _check_seconds("delay", seconds, delay)
        if seconds < 0:
            raise ScheduleError(
                f"the delay of a scheduled function must be non-negative, not {show(seconds)}"
            ).refusing(delay)
        if seconds > _FIVE_YEARS_SECONDS:
            raise ScheduleError(
                f"a function can be scheduled at most five years ahead, not {show(seconds)} seconds"
            ).refusing(delay)
        return self._schedule(self._store.now_ms() + seconds * 1000, fn, dict(call_args(fn, given, args)))

    def run_at(
        self, moment: datetime | float, fn: Function | str, /, *given: Mapping[str, Any], **args: Any
    ) -> str:
        """Run a function at a moment: an aware datetime, or Unix seconds; a past moment is now.

        Returns and raises as `run_after`.
        """
        if isinstance(moment, datetime):
            if moment.utcoffset() is None:
                raise ScheduleError(
                    f"run_at needs an aware datetime such as datetime.now(timezone.utc), not {show(moment)}"
                ).refusing(moment)
            seconds = moment.timestamp()
        else:
            seconds = moment
        _check_seconds("moment", seconds, moment)
        now = self._store.now_ms() / 1000
        if not now - _FIVE_YEARS_SECONDS <= seconds <= now + _FIVE_YEARS_SECONDS:  # any int can be compared
            message = f"a function can be scheduled at most five years away, not at {show(moment)}"
            raise ScheduleError(message).refusing(moment)
        return self._schedule(seconds * 1000, fn, dict(call_args(fn, given, args)))

    def cancel(self, job_id: str) -> None:
        """Cancel a job: a pending one never runs, one that has ended stays as it is.

        An action in progress goes on, but what it schedules from now on is canceled with it.

        Raises:
            CallError: when a scheduled mutation cancels itself, and for an `on_complete`, which runs exactly
                once.
            DocumentError: for what is not an id of a job.
        """
        self._write(lambda transaction: self._cancel(transaction, job_id))

    def retry(self, job_id: str) -> str:
        """Run a job that has ended once more, now, as a new job with the same options; returns its id.

        Raises:
            DocumentError: for what is not an id of a job, or one that has not ended, is no longer kept or is
                the inbox's own.
        """

        def write(transaction: Transaction) -> str:
            row = self._store.find(transaction, job_id)
            if row is None or row["state"]["kind"] not in DONE:
                raise DocumentError("InvalidState", f"{job_id} is not a job that has ended")
            name, args = self._store.call_of(row)
            if name.startswith("_webhooks:"):
                raise DocumentError("InvalidState", f"{job_id} is of a webhook: `webhooks replay` does that")
            options = {name: row[name] for name in _OPTIONS if name in row}
            again = Scheduler(self._store, self._runner, transaction, self._call, options)
            return again.run_after(0, name, **args)

        return self._write(write)

    # ------------------------------------------------------------ writing

    def _write(self, run: Callable[[Transaction], T]) -> T:
        if self._transaction is not None:
            return run(self._transaction)
        return self._store.database.write(run, any_thread=True)

    def _schedule(self, due_ms: float, fn: Function | str, args: dict[str, Any]) -> str:
        found = self._runner.registry.named(fn)
        if found.kind == "query":
            raise CallError(f"Cannot schedule a query, only a mutation or an action: {found.name}")
        limit, size = self._store.limits.max_scheduled_args_bytes, size_bytes(args)
        if size > limit:
            raise LimitError(
                "ScheduledFunctionArgumentsTooLarge",
                f"The arguments of {found.name} take {size} bytes, the limit of a scheduled call is {limit}.",
            )
        options = dict(self._options)
        if self._call is not None and self._call.request_id is not None:
            options["requestId"] = self._call.request_id
        row = new_row(found.name, args, found.kind, due_ms, **options)
        prepared = self._store.prepare(row)
        return self._write(lambda transaction: self._add(transaction, row, prepared, size))

    def _add(self, transaction: Transaction, row: Document, prepared: PreparedDocument, size: int) -> str:
        self._count(transaction, size)
        row = self._store.add(transaction, row, prepared)
        if self._parent_is_canceled(transaction):
            self._store.finish(transaction, row, "canceled")
        return str(row["_id"])

    def _count(self, transaction: Transaction, size: int) -> None:
        """Count what this transaction schedules against the limits of one mutation."""
        limits = self._store.limits
        transaction.scheduled += 1
        transaction.scheduled_bytes += size
        total = transaction.scheduled_bytes
        if transaction.scheduled > limits.max_scheduled:
            raise LimitError(
                "TooManyFunctionsScheduled",
                f"Too many functions scheduled by this mutation (limit: {limits.max_scheduled})",
            )
        if total > limits.max_scheduled_total_bytes:
            raise LimitError(
                "ScheduledFunctionsArgumentsTooLarge",
                f"The functions scheduled by this mutation take {total} bytes of arguments, the limit is"
                f" {limits.max_scheduled_total_bytes}.",
            )

    def _parent_is_canceled(self, transaction: Transaction) -> bool:
        """Whether this runs in a job that was cancelled meanwhile: then what it schedules never runs."""
        if self._call is None or self._call.job_id is None:
            return False
        parent = transaction.system.get(self._call.job_id)
        return parent is not None and parent["state"]["kind"] == "canceled"

    def _cancel(self, transaction: Transaction, job_id: str) -> None:
        row = self._store.find(transaction, job_id)
        if row is None or row["state"]["kind"] in DONE:
            return
        if row["state"]["kind"] == "pending" and self._call is not None and self._call.job_id == job_id:
            raise CallError("A mutation cannot cancel itself")
        if "completes" in row:
            raise CallError(f"{job_id} is the on_complete of {row['completes']}: it cannot be canceled")
        self._store.finish(transaction, row, "canceled")


def _check_seconds(what: str, seconds: Any, given: object) -> None:
    if not isinstance(seconds, (int, float)) or isinstance(seconds, bool):
        wanted = (
            "a number of seconds or a timedelta" if what == "delay" else "an aware datetime or Unix seconds"
        )
        message = f"the {what} of a scheduled function must be {wanted}, not {show(given)}"
        raise ScheduleError(message).refusing(given)
    if not -math.inf < seconds < math.inf:
        message = f"the {what} of a scheduled function must be a finite number, not {show(given)}"
        raise ScheduleError(message).refusing(given)
