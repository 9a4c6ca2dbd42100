# SPDX-License-Identifier: MIT
"""The runner: checks a call, opens the right transaction, runs the function, checks its result.

A query gets a snapshot, a mutation a serializable transaction, an action none. Knows nothing of HTTP, of
threads, or of who calls: requests, jobs and plain Python code all come through `run`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from ..data.database import Database, Transaction
from ..errors import CallError, FunctionNotFoundError, LimitError
from ..limits import DEFAULT_LIMITS, Limits
from ..values import size_bytes
from ..watchdog import watchdog
from .context import ActionCtx, CallInfo, MutationCtx, QueryCtx
from .registry import Function, Registry
from .statistics import CallStatistics, running


class Runner:
    """Runs the functions of one app.

    Args:
        storage, scheduler: called with the transaction (None outside of one), the call and, for storage,
            whether it may write, to make `ctx.storage` and `ctx.scheduler`: the rooms above hand themselves
            in, so that this room need not know them.
        environment: where `ctx.secret` looks.
        origin: what `ctx.origin` is outside of a request.
    """

    def __init__(
        self,
        database: Database,
        registry: Registry,
        *,
        limits: Limits = DEFAULT_LIMITS,
        storage: Callable[[Transaction | None, CallInfo, bool], Any],
        scheduler: Callable[[Transaction | None, CallInfo], Any],
        environment: Mapping[str, str],
        origin: str = "",
    ) -> None:
        self.origin = origin
        self.database = database
        self.registry = registry
        self.limits = limits
        self.storage = storage
        self.scheduler = scheduler
        self.environment = environment
        self.clock = database.clock
        self.resolve = registry.resolve
        self.statistics = CallStatistics()

    def run(
        self,
        function: Function | str,
        args: Mapping[str, Any],
        *,
        call: CallInfo | None = None,
        kind: str | None = None,
        public: bool = False,
        sized: bool = False,
        wire: bool = False,
    ) -> Any:
        """Run a function outside of any transaction and return its result.

        Args:
            function: the function or its name.
            args: its arguments by name.
            call: who is calling; by default nobody in particular.
            kind: what the caller takes it to be; another kind is refused.
            public: whether internal functions are to look as if they did not exist.
            sized: whether the caller knows that the arguments are within the limit.
            wire: whether the arguments have their names of the function API.

        Raises:
            FunctionNotFoundError, CallError, ArgumentValidationError, ReturnsValidationError, LimitError,
            DeadlineError, StorageUnavailableError, and whatever the function raises.
        """
        found = self._admit(function, kind, call, public)
        call = call or CallInfo()
        checked = self._checked_args(found, self.registry.from_wire(found, args) if wire else args, sized)
        return _RUN[found.kind](self, found, checked, call)

    def submit(
        self,
        function: Function | str,
        args: Mapping[str, Any],
        done: Callable[[Any, BaseException | None], None],
        *,
        call: CallInfo | None = None,
        public: bool = False,
        wire: bool = False,
    ) -> None:
        """Run a mutation without waiting for it; takes what `run` takes.

        Args:
            done: called with (result, None) once the result is durable, else with (None, error).

        Raises:
            FunctionNotFoundError, CallError, ArgumentValidationError, LimitError: for a call that does not
                begin; `done` is not called then.
        """
        found = self._admit(function, "mutation", call, public)
        call = call or CallInfo()
        checked = self._checked_args(found, self.registry.from_wire(found, args) if wire else args, False)
        self.database.submit(
            self._body(found, checked, call),
            done,
            time_limit_seconds=self.limits.mutation_seconds,
        )

    def run_in(
        self,
        transaction: Transaction,
        function: Function | str,
        args: Mapping[str, Any],
        *,
        call: CallInfo | None = None,
        kind: str | None = None,
        public: bool = False,
        nested: bool = True,
        sized: bool = False,
        wire: bool = False,
    ) -> Any:
        """Run a query, or a mutation as a sub-transaction, inside `transaction`.

        Args:
            nested: False for a mutation whose error ends the whole transaction: no sub-transaction then.
            sized, wire: as for `run`.
        """
        found = self._admit(function, kind, call, public)
        call = call or CallInfo()
        if found.kind == "action":
            raise CallError(f"Cannot call an action from a transaction: {found.name}")
        checked = self._checked_args(found, self.registry.from_wire(found, args) if wire else args, sized)
        if found.kind == "mutation" and not transaction.writable:
            raise CallError(f"Cannot call a mutation from a query: {found.name}")
        transaction.label = transaction.label or found.name
        ctx = _CONTEXT[found.kind](self, transaction, call)
        paginated, transaction.paginated = transaction.paginated, False  # one page for each call
        try:
            if found.kind == "query" or not nested:
                return self._finish(found, ctx, checked)
            return transaction.nested(lambda: self._finish(found, ctx, checked))
        finally:
            transaction.paginated = paginated

    def _admit(
        self, function: Function | str, kind: str | None, call: CallInfo | None, public: bool
    ) -> Function:
        found = self.resolve(function)
        if public and not found.public:
            raise FunctionNotFoundError(f"Could not find function for {function!r}.", function)
        if kind is not None and kind != found.kind:
            raise CallError(
                f"Trying to execute {found.name} as {kind.title()},"
                f" but it is defined as {found.kind.title()}."
            )
        if call is not None and call.depth > self.limits.max_call_depth:
            raise CallError(
                f"Cannot call {found.name}: {call.depth} nested calls,"
                f" the limit is {self.limits.max_call_depth}"
            )
        return found

    def _checked_args(self, function: Function, args: Mapping[str, Any], sized: bool) -> dict[str, Any]:
        checked = function.check_args(args)
        if checked and not sized:
            self._check_size(
                "arguments", "FunctionArgsTooLarge", checked, self.limits.max_args_bytes, function
            )
        return checked

    def _finish(self, function: Function, ctx: Any, args: dict[str, Any]) -> Any:
        started, outer, failed = time.perf_counter(), running.name, True
        running.name = function.name
        try:
            value = function.handler(ctx, **args)
            if function.returns is not None:
                value = function.check_result(value)
            if value is not None:
                self._check_size(
                    "result", "FunctionResultTooLarge", value, self.limits.max_result_bytes, function
                )
            failed = False
            return value
        finally:
            running.name = outer
            self.statistics.record(function.name, time.perf_counter() - started, failed)

    def _check_size(self, what: str, code: str, value: Any, limit: int, function: Function) -> None:
        size = size_bytes(value)
        if size > limit:
            raise LimitError(code, f"The {what} of {function.name} take {size} bytes, the limit is {limit}.")

    def _query(self, function: Function, args: dict[str, Any], call: CallInfo) -> Any:
        body = self._body(function, args, call)
        return self.database.read(body, time_limit_seconds=self.limits.query_seconds)

    def _mutation(self, function: Function, args: dict[str, Any], call: CallInfo) -> Any:
        body = self._body(function, args, call)
        return self.database.write(body, time_limit_seconds=self.limits.mutation_seconds)

    def _body(self, function: Function, args: dict[str, Any], call: CallInfo) -> Callable[[Transaction], Any]:
        """What a transaction of its own does for a query or a mutation."""

        def run(transaction: Transaction) -> Any:
            transaction.label = function.name
            return self._finish(function, _CONTEXT[function.kind](self, transaction, call), args)

        return run

    def _action(self, function: Function, args: dict[str, Any], call: CallInfo) -> Any:
        limit_seconds = self.limits.action_seconds
        ctx = ActionCtx(self, call, time.monotonic() + limit_seconds)
        return watchdog.run(limit_seconds, function.name, self._finish, function, ctx, args)


_CONTEXT = {"query": QueryCtx, "mutation": MutationCtx}
_RUN = {"query": Runner._query, "mutation": Runner._mutation, "action": Runner._action}
