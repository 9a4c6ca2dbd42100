# SPDX-License-Identifier: MIT
"""Contexts: what a function or a handler may do. What may not be done is not there.

A query reads (`db`, `storage` for URLs); a mutation also writes and schedules; an action and a handler have
no `db`: they call functions, keep files and schedule. Knows no engine and opens no transaction: `runner.py`
does both.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from ..auth.caller import NOBODY, Caller
from ..errors import HTTPError, check_variable_name, no_attribute
from ..loggers import get_logger
from .calls import CallInfo, RunsActions, RunsMutations, RunsQueries, Scheduler

if TYPE_CHECKING:
    from ..auth.identity import Identity
    from ..data.database import Transaction
    from ..data.documents import Reader, Writer
    from ..files.access import Storage, StorageReader, StorageWriter
    from ..http.request import Request
    from .registry import Function
    from .runner import Runner

    class Attempt(Protocol):
        """A request that may come again (`app/idempotency.py`): its mutations take effect once."""

        def run_mutation(
            self, runner: Runner, function: Function | str, args: Mapping[str, Any], call: CallInfo
        ) -> Any: ...


log = get_logger("minihttp")


_OF_LOGS = dict.fromkeys(
    ("log", "logger", "console"), "write logging.getLogger(__name__).info(…), or print(…)"
)


class Context:
    """What all contexts share: asking for what is not there says what to write instead."""

    __slots__ = ()

    _missing: dict[str, str] = {}  # name -> why it is not there, and what to write
    _runner: Runner
    _call: CallInfo

    @property
    def auth(self) -> Caller:
        """Who calls: `ctx.auth.get_user_identity()`."""
        return self._call.auth

    @property
    def origin(self) -> str:
        """Scheme and authority for URLs, such as "https://api.example.com": the app's `origin`, else that of
        the request; "" in a scheduled function of an app without one.
        """
        return self._call.origin or self._runner.origin

    def __repr__(self) -> str:
        """What it is and what it has: a context is often printed to find that out."""
        return f"<{type(self).__name__} with {', '.join(n for n in dir(type(self)) if n[0] != '_')}>"

    if not TYPE_CHECKING:  # so that type checkers find what is not there

        def __getattr__(self, name: str) -> Any:
            raise no_attribute(self, name, self._missing.get(name) or _OF_LOGS.get(name, ""))


class QueryCtx(Context, RunsQueries):
    """The context of a query: one snapshot, read only."""

    _missing = {
        "run_mutation": "a query only reads; a mutation or a handler can call one",
        "run_action": "a query only reads; a handler or an action can call one",
        "scheduler": "a query only reads; schedule in a mutation, an action or a handler",
        "secret": "functions read no secrets; a handler and an action have ctx.secret(name)",
    }

    __slots__ = ("_call", "_runner", "_transaction", "db")

    db: Reader

    def __init__(self, runner: Runner, transaction: Transaction, call: CallInfo) -> None:
        self._runner = runner
        self._transaction = transaction
        self._call = call
        self.db = transaction.reader

    @property
    def deadline(self) -> float:
        """When this call is interrupted, on `time.monotonic()`."""
        return self._transaction.deadline

    def time_left(self) -> float:
        """Seconds until the deadline, never below 0."""
        return self._transaction.time_left()

    def now(self) -> float:
        """Unix seconds by the app's clock, the same throughout one transaction."""
        return self._transaction.now

    @property
    def storage(self) -> StorageReader:
        """Files: `get_url` and `get_metadata`."""
        reader: StorageReader = self._runner.storage(self._transaction, self._call, False)
        return reader

    def _bind(self, kind: str, function: Function | str, args: Mapping[str, Any]) -> Callable[[], Any]:
        call = self._call.deeper()
        return partial(self._runner.run_in, self._transaction, function, args, call=call, kind=kind)


class MutationCtx(QueryCtx, RunsMutations):
    """The context of a mutation: one serializable transaction."""

    _missing = {
        "run_action": "it is a transaction; schedule it: ctx.scheduler.run_after(0, action, …)",
        "secret": QueryCtx._missing["secret"],
    }

    __slots__ = ()

    db: Writer

    def __init__(self, runner: Runner, transaction: Transaction, call: CallInfo) -> None:
        self._runner = runner
        self._transaction = transaction
        self._call = call
        self.db = transaction.db

    @property
    def storage(self) -> StorageWriter:
        """Files: also `store`, `delete` and `generate_upload_url`, undone with the transaction."""
        writer: StorageWriter = self._runner.storage(self._transaction, self._call, True)
        return writer

    @property
    def scheduler(self) -> Scheduler:
        """Work for later, written in this transaction: `run_after`, `run_at`, `cancel`."""
        return self._runner.scheduler(self._transaction, self._call)


def transaction_of(ctx: Any) -> Transaction:
    """The transaction of a user's query or mutation, for what writes in it on its behalf."""
    transaction: Transaction = ctx._transaction
    return transaction


class SystemCtx(MutationCtx):
    """The context of the framework's own queries and mutations: it says what others keep to themselves."""

    __slots__ = ()

    @property
    def transaction(self) -> Transaction:
        return self._transaction

    @property
    def call(self) -> CallInfo:
        return self._call


class OutsideCtx(Context, RunsQueries, RunsMutations, RunsActions):
    """What actions and handlers share: each `run_*` is a transaction (or an action) of its own."""

    _missing = {
        "env": "ctx.secret(name) is the value of an environment variable",
        "db": "documents are read and written by functions: ctx.run_query(f, …), ctx.run_mutation(f, …)",
    }

    __slots__ = ()

    deadline: float

    def time_left(self) -> float:
        """Seconds until the deadline, never below 0: pass it on as `timeout=` to what you call."""
        return max(0.0, self.deadline - time.monotonic())

    def now(self) -> float:
        """Unix seconds by the app's clock."""
        return self._runner.clock()

    def secret(self, name: str) -> str:
        """The environment variable `name`, without white space around it.

        Raises:
            HTTPError: 503 when it is missing or empty: a sender will try again, and the log says what to set.
            ConfigurationError: for what is not a variable's name but perhaps the secret itself.
        """
        check_variable_name(name, "ctx.secret")
        value = self._runner.environment.get(name, "").strip()
        if not value:
            log.error("the environment variable %s is not set", name)
            raise HTTPError(503, "This endpoint is not configured yet")
        return value

    def _bind(self, kind: str, function: Function | str, args: Mapping[str, Any]) -> Callable[[], Any]:
        call = self._call.deeper()
        call.auth.prepare()  # it may fetch keys, which no transaction waits for
        return self._runner.bind(function, args, call=call, kind=kind)

    @property
    def scheduler(self) -> Scheduler:
        """Work for later: `run_after`, `run_at`, `cancel`; each call takes effect at once."""
        return self._runner.scheduler(None, self._call)

    @property
    def storage(self) -> Storage:
        """Files: `store`, `get`, `get_url`, `get_metadata`, `delete`, `generate_upload_url`."""
        storage: Storage = self._runner.storage(None, self._call, True)
        return storage


class ActionCtx(OutsideCtx):
    """The context of an action: it may touch the outside world and is no transaction."""

    __slots__ = ("_call", "_runner", "deadline")

    def __init__(self, runner: Runner, call: CallInfo, deadline: float) -> None:
        self._runner = runner
        self._call = call
        self.deadline = deadline

    def _bind(self, kind: str, function: Function | str, args: Mapping[str, Any]) -> Callable[[], Any]:
        run = super()._bind(kind, function, args)
        if self._call.job_id is None or kind == "action":
            return run
        return partial(self._runner.run_when_ready, run, self.deadline)  # nobody can send a job again


class SystemActionCtx(ActionCtx):
    """The context of the framework's own actions."""

    __slots__ = ()

    @property
    def call(self) -> CallInfo:
        return self._call


class HandlerServices:
    """What the app gives its handlers' contexts.

    Attributes:
        origin: the app's own, or "".
        action_seconds: how long a handler may take.
        identify: finds who an Authorization header, of a peer, speaks of.
        runner: opens the services on demand: a handler that calls no function opens no database.
    """

    __slots__ = ("action_seconds", "identify", "origin", "runner")

    def __init__(
        self,
        origin: str,
        action_seconds: float,
        identify: Callable[[str, str], Identity | None],
        runner: Callable[[], Runner],
    ) -> None:
        self.origin = origin
        self.action_seconds = action_seconds
        self.identify = identify
        self.runner = runner


class HandlerCtx(OutsideCtx):
    """The context of a handler: it calls functions, keeps files and schedules; it has no `db`."""

    __slots__ = ("_auth", "_deadline", "_request", "_services", "attempt")

    def __init__(self, services: HandlerServices, request: Request) -> None:
        self._services = services
        self._request = request
        self.attempt: Attempt | None = None  # where the request has an Idempotency-Key
        # None until somebody asks. Not a slot without a value: to miss one costs what `did_you_mean` does.
        self._auth: Caller | None = None
        self._deadline: float | None = None

    def _bind(self, kind: str, function: Function | str, args: Mapping[str, Any]) -> Callable[[], Any]:
        if self.attempt is None or kind != "mutation":
            return super()._bind(kind, function, args)
        call = self._call.deeper()
        call.auth.prepare()
        return partial(self.attempt.run_mutation, self._runner, function, args, call)

    def submit_mutation(
        self,
        function: Function | str,
        args: Mapping[str, Any],
        done: Callable[[Any, BaseException | None], None],
        *,
        then: Callable[[Any, Any], Any],
    ) -> None:
        """Run a mutation without waiting for it: what `http.mutation` does; `Runner.submit` says how."""
        call = self._call.deeper()
        call.auth.prepare()
        self._runner.submit(function, args, done, call=call, then=then)

    @property
    def deadline(self) -> float:  # type: ignore[override]
        """On `time.monotonic()`; the time begins when a handler first asks, as most never do."""
        if self._deadline is None:
            self._deadline = time.monotonic() + self._services.action_seconds
        return self._deadline

    @property
    def auth(self) -> Caller:
        """Who calls. A token that is not valid makes `get_user_identity()` raise, and nothing else."""
        if self._auth is None:
            header = self._request.environ.get("HTTP_AUTHORIZATION")
            self._auth = NOBODY if header is None else Caller(lambda: self._identify(header))
        return self._auth

    def _identify(self, header: str) -> Identity | None:
        return self._services.identify(header, self._request.remote_addr)

    @property
    def origin(self) -> str:
        """Scheme and authority for URLs: the app's `origin`, else that of the request."""
        return self._find_origin()

    def _find_origin(self) -> str:
        return self._services.origin or self._request.origin

    @property
    def _runner(self) -> Runner:  # type: ignore[override]
        return self._services.runner()

    @property
    def _call(self) -> CallInfo:  # type: ignore[override]
        return CallInfo(self.auth, 0, self._find_origin, self._request.id)


CONTEXTS: Mapping[tuple[str, bool], type[Context]] = {
    ("query", False): QueryCtx,
    ("mutation", False): MutationCtx,
    ("action", False): ActionCtx,
    ("query", True): SystemCtx,
    ("mutation", True): SystemCtx,
    ("action", True): SystemActionCtx,
}
"""By the kind of a function, and whether it is the framework's own."""
