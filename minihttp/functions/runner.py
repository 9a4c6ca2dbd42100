# SPDX-License-Identifier: MIT
"""The runner: checks a call, opens the right transaction, runs the function, checks its result.

A query gets a snapshot, a mutation a serializable transaction, an action none. Knows nothing of HTTP, of
threads, or of who calls: requests, jobs and plain Python code all come through `run`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypedDict

from ..data.database import Database, Transaction
from ..errors import (
    CallError,
    FunctionNotFoundError,
    LimitError,
    NotReadyError,
    ReturnsValidationError,
    ValidationError,
)
from ..limits import DEFAULT_LIMITS, Limits
from ..shown import quoted
from ..values import largest_part, size_bytes
from ..watchdog import watchdog
from .calls import CallInfo, Scheduler
from .registry import Function, Registry
from .statistics import CallStatistics, running

if TYPE_CHECKING:
    from typing_extensions import Unpack

Then = Callable[[Any, Any], Any]
_NOBODY = CallInfo()


class CallOptions(TypedDict, total=False):
    """How a call is checked and made; `Runner.bind` says what each means."""

    call: CallInfo | None
    kind: str | None
    public: bool
    sized: bool
    wire: bool
    checked: bool
    then: Then | None


class Runner:
    """Runs the functions of one app.

    Args:
        storage, scheduler: called with the transaction (None outside of one), the call and, for storage,
            whether it may write, to make `ctx.storage` and `ctx.scheduler`: the packages built on this
            one hand themselves in, so that it need not know them.
        environment: where `ctx.secret` looks.
        origin: what `ctx.origin` is outside of a request.
        contexts: the class of `ctx`, by the kind of a function and whether it is the framework's own.
    """

    def __init__(
        self,
        database: Database,
        registry: Registry,
        *,
        limits: Limits = DEFAULT_LIMITS,
        storage: Callable[[Transaction | None, CallInfo, bool], Any],
        scheduler: Callable[[Transaction | None, CallInfo], Scheduler],
        environment: Mapping[str, str],
        origin: str = "",
        contexts: Mapping[tuple[str, bool], Any],
    ) -> None:
        self._contexts = contexts
        self.origin = origin
        self.database = database
        self.registry = registry
        self.limits = limits
        self.storage = storage
        self.scheduler = scheduler
        self.environment = environment
        self.clock = database.clock
        self.resolve = registry.resolve
        self.statistics = CallStatistics(database.clock)

    def run(self, function: Function | str, args: Mapping[str, Any], **options: Unpack[CallOptions]) -> Any:
        """Run a function outside of any transaction and return its result.

        Args and raises as `bind`, and whatever the function raises.
        """
        return self.bind(function, args, **options)()

    def bind(
        self, function: Function | str, args: Mapping[str, Any], **options: Unpack[CallOptions]
    ) -> Callable[[], Any]:
        """What `run` does, once the call is checked: whoever calls it is near to the function in a traceback.

        Args:
            function: the function or its name.
            args: its arguments by name.
            call: who is calling; by default nobody in particular.
            kind: what the caller takes it to be; another kind is refused.
            public: whether internal functions are to look as if they did not exist.
            sized: whether the caller knows that the arguments are within the limit.
            wire: whether the arguments were decoded for this call, and have their names of the function API.
            checked: whether they are the framework's own, which go to the function as they are.
            then: called with the context and the result, in the transaction if there is one; what it returns
                takes the place of the result, what it raises undoes a mutation.

        Raises:
            FunctionNotFoundError, CallError, ArgumentValidationError, ReturnsValidationError, LimitError,
            DeadlineError, StorageUnavailableError.
        """
        found, body = self._prepared(function, args, **options)
        if found.kind == "query":
            return partial(self.database.read, body, time_limit_seconds=self.limits.query_seconds)
        if found.kind == "mutation":
            return partial(self.database.write, body, time_limit_seconds=self.limits.mutation_seconds)
        return partial(watchdog.run, self.limits.action_seconds, found.name, body)

    def run_when_ready(self, run: Callable[[], Any], deadline: float) -> Any:
        """Run a query or a mutation again and again while a changed schema that it needs is taken in.

        Args:
            run: what `bind` gave.
            deadline: until when, on `time.monotonic()`.
        """
        while True:
            try:
                return run()
            except NotReadyError:
                if not self.database.wait_for_schema(deadline - time.monotonic()):
                    raise

    def submit(
        self,
        function: Function | str,
        args: Mapping[str, Any],
        done: Callable[[Any, BaseException | None], None],
        **options: Unpack[CallOptions],
    ) -> None:
        """Run a mutation without waiting for it; takes what `run` takes.

        Args:
            done: called with (result, None) once the result is durable, else with (None, error).

        Raises:
            FunctionNotFoundError, CallError, ArgumentValidationError, LimitError: for a call that does not
                begin; `done` is not called then.
        """
        options["kind"] = "mutation"
        _, body = self._prepared(function, args, **options)
        self.database.submit(body, done, time_limit_seconds=self.limits.mutation_seconds)

    def run_in(
        self,
        transaction: Transaction,
        function: Function | str,
        args: Mapping[str, Any],
        *,
        nested: bool = True,
        **options: Unpack[CallOptions],
    ) -> Any:
        """Run a query, or a mutation as a sub-transaction, inside `transaction`.

        Args:
            nested: False for a mutation whose error ends the whole transaction: no sub-transaction then.
            options: as for `bind`.
        """
        found, run = self._prepared(function, args, **options)
        if found.kind == "action":
            raise CallError(f"Cannot call an action from a transaction: {found.name}")
        if found.kind == "mutation" and not transaction.writable:
            raise CallError(f"Cannot call a mutation from a query: {found.name}")
        body = partial(run, transaction)
        paginated, transaction.paginated = transaction.paginated, False  # one page for each call
        try:
            if found.kind == "query" or not nested:
                return body()
            return transaction.nested(body)
        finally:
            transaction.paginated = paginated

    def find(
        self,
        function: Function | str,
        kind: str | None = None,
        call: CallInfo | None = None,
        public: bool = False,
    ) -> Function:
        """The function that `run` would run with these arguments, before anything is done with its own.

        Raises:
            FunctionNotFoundError, CallError: it would not run.
        """
        try:
            found = self.resolve(function)
        except FunctionNotFoundError:
            if not public:
                raise
            found = None
        if found is None or (public and not found.public):  # the public must not learn which of the two
            raise FunctionNotFoundError(f"Could not find function for {quoted(function)}.", function)
        if kind is not None and kind != found.kind:
            raise CallError(
                f"Trying to execute {found.name} as {kind.title()},"
                f" but it is defined as {found.kind.title()}."
            ).refusing(function)
        if call is not None and call.depth > self.limits.max_call_depth:
            raise CallError(
                f"Cannot call {found.name}: {call.depth} nested calls,"
                f" the limit is {self.limits.max_call_depth}"
            )
        return found

    def _prepared(
        self,
        function: Function | str,
        args: Mapping[str, Any],
        *,
        call: CallInfo | None = None,
        kind: str | None = None,
        public: bool = False,
        sized: bool = False,
        wire: bool = False,
        checked: bool = False,
        then: Then | None = None,
    ) -> tuple[Function, Callable[..., Any]]:
        """The function, and what runs it, with its transaction if there is one, once the call is checked."""
        found = self.find(function, kind, call, public)
        given = dict(args) if checked else self._given_args(found, args, sized, wire)
        return found, partial(self._call, found, given, call or _NOBODY, then)

    def _given_args(
        self, function: Function, args: Mapping[str, Any], sized: bool, wire: bool
    ) -> dict[str, Any]:
        """The arguments as the function gets them, checked."""
        if wire:
            args = self.registry.from_wire(function, args)
        checked = function.check_args(args, is_decoded=wire)
        if checked and not sized:
            self._check_args_size(function, checked)
        return checked

    def _call(
        self,
        function: Function,
        args: dict[str, Any],
        call: CallInfo,
        then: Then | None,
        transaction: Transaction | None = None,
    ) -> Any:
        """Call the function itself, in the transaction if it runs in one, and check what it returns."""
        make = self._contexts[function.kind, function.system]
        if transaction is None:
            ctx = make(self, call, time.monotonic() + self.limits.action_seconds)
        else:
            if not transaction.label:
                transaction.label = function.name
            ctx = make(self, transaction, call)
        started, outer, failed = time.perf_counter(), running.now, True
        running.now = function.name, call
        try:
            value = function.handler(ctx, **args)
            if function.returns is not None:
                value = function.check_result(value)
            if value is not None:
                self._check_result_size(function, value)
            if then is not None:
                value = self._then(function, ctx, value, then)
            failed = False
            return value
        finally:
            running.now = outer
            self.statistics.record(function.name, time.perf_counter() - started, failed)
            if not outer[0] and call.job_id is not None:
                self.statistics.ran_job()

    def _then(self, function: Function, ctx: Any, value: Any, then: Then) -> Any:
        try:
            return then(ctx, value)
        except ValidationError as error:
            raise ReturnsValidationError(f"The result of {function} cannot be sent: {error}") from None

    def _check_args_size(self, function: Function, args: dict[str, Any]) -> None:
        size, limit = size_bytes(args), self.limits.max_args_bytes
        if size > limit:
            message = f"The arguments of {function.name} take {size} bytes, the limit is {limit}."
            raise LimitError("FunctionArgsTooLarge", message).refusing(largest_part(args))

    def _check_result_size(self, function: Function, value: Any) -> None:
        limit = self.limits.max_result_bytes
        try:
            size = size_bytes(value)
        except ValidationError as error:
            raise ReturnsValidationError(f"The result of {function} cannot be returned: {error}") from None
        if size > limit:
            message = f"The result of {function.name} takes {size} bytes, the limit is {limit}."
            raise LimitError("FunctionResultTooLarge", message)
