# SPDX-License-Identifier: MIT
"""Calls: who makes one, and `run_query`, `run_mutation` and `run_action`, written once for contexts and apps.

A type checker sees the names and types of a function's arguments and of its result through these overloads; a
function that is called by its name is not known to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, overload

from ..auth.caller import NOBODY, Caller

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from typing import Protocol as Shape

    from .registry import ActionFunction, Function, MutationFunction, QueryFunction
else:
    Shape = object  # what is a Protocol for type checkers is a plain class that runs

P = ParamSpec("P")
R = TypeVar("R")


class CallInfo:
    """Who is calling: handed down from a request or a job through every nested call.

    Attributes:
        auth: `ctx.auth`, the identity; nobody for a job.
        depth: how many `ctx.run_*` lie between the outermost call and this one.
        origin: scheme and authority for URLs made on the way, such as "https://api.example.com"; "" gives
            paths. It may be given as a function that finds it, since few calls make URLs.
        request_id: of the request, for logs.
        job_id: of the scheduled job that this call belongs to.
    """

    __slots__ = ("_origin", "auth", "depth", "job_id", "request_id")

    def __init__(
        self,
        auth: Caller = NOBODY,
        depth: int = 0,
        origin: str | Callable[[], str] = "",
        request_id: str | None = None,
        job_id: str | None = None,
    ) -> None:
        self.auth, self.depth, self._origin = auth, depth, origin
        self.request_id, self.job_id = request_id, job_id

    @property
    def origin(self) -> str:
        return self._origin if isinstance(self._origin, str) else self._origin()

    def deeper(self) -> CallInfo:
        return CallInfo(self.auth, self.depth + 1, self._origin, self.request_id, self.job_id)


class Scheduler(Protocol):
    """What `ctx.scheduler` offers; `jobs/scheduler.py` has the whole of it."""

    def run_after(
        self, delay: float | timedelta, function: Function | str, /, *given: Mapping[str, Any], **args: Any
    ) -> str: ...
    def run_at(
        self, moment: datetime | float, function: Function | str, /, *given: Mapping[str, Any], **args: Any
    ) -> str: ...
    def cancel(self, job_id: str) -> None: ...
    def retry(self, job_id: str) -> str: ...
    @property
    def with_options(self) -> Callable[..., Scheduler]: ...


class RunsQueries(Shape):
    """What can run a query."""

    __slots__ = ()

    @overload
    def run_query(self, function: QueryFunction[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    def run_query(self, function: QueryFunction[..., R], args: Mapping[str, Any], /) -> R: ...
    @overload
    def run_query(self, function: str, args: Mapping[str, Any] = ..., /, **kwargs: Any) -> Any: ...
    def run_query(self, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Run a query and return its result: `ctx.run_query(get, id=item_id)`.

        From a query or a mutation it runs in the same transaction and sees what that one sees; from elsewhere
        it has a snapshot of its own.

        Args:
            function: the query, or its name such as "items:get".

        Raises:
            ArgumentValidationError: when the arguments do not match.
            CallError: for a function of another kind, or a call that is nested too deep.
        """
        runs: Any = self  # `_bind` checks the call; it is called from here, which keeps tracebacks short
        return runs._bind("query", function, call_args(function, args, kwargs))()


class RunsMutations(Shape):
    """What can run a mutation."""

    __slots__ = ()

    @overload
    def run_mutation(self, function: MutationFunction[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    def run_mutation(self, function: MutationFunction[..., R], args: Mapping[str, Any], /) -> R: ...
    @overload
    def run_mutation(self, function: str, args: Mapping[str, Any] = ..., /, **kwargs: Any) -> Any: ...
    def run_mutation(self, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Run a mutation and return its result.

        From a mutation it is a sub-transaction: if it raises, only its own writes and schedules are undone.
        From elsewhere it is a transaction of its own: when this returns, its effects are durable.

        Raises:
            ArgumentValidationError, CallError: as `run_query`.
        """
        runs: Any = self
        return runs._bind("mutation", function, call_args(function, args, kwargs))()


class RunsActions(Shape):
    """What can run an action."""

    __slots__ = ()

    @overload
    def run_action(self, function: ActionFunction[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    def run_action(self, function: ActionFunction[..., R], args: Mapping[str, Any], /) -> R: ...
    @overload
    def run_action(self, function: str, args: Mapping[str, Any] = ..., /, **kwargs: Any) -> Any: ...
    def run_action(self, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Run an action in this thread and return its result.

        Raises:
            ArgumentValidationError, CallError: as `run_query`.
        """
        runs: Any = self
        return runs._bind("action", function, call_args(function, args, kwargs))()


def call_args(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Mapping[str, Any]:
    """The arguments by name; those without a name get theirs from the function's parameters.

    One dict alone is taken as Convex takes it, `ctx.run_query(get, {"id": item_id})`, unless it can only be
    meant as the first argument.
    """
    if not args:
        return kwargs
    is_one_dict = len(args) == 1 and not kwargs and isinstance(args[0], Mapping)
    if is_one_dict and (isinstance(function, str) or function.takes_as_args(args[0])):
        only: Mapping[str, Any] = args[0]
        return only
    if isinstance(function, str):
        raise TypeError(f"{function} is called by its name, so its arguments need names too")
    named: dict[str, Any] = function.named_args(args, kwargs)
    return named
