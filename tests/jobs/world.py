# SPDX-License-Identifier: MIT
"""A small world: a database, functions that tests write, jobs, and a clock that stands still."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minihttp.data.database import Database
from minihttp.files.storage import FILE_TABLES
from minihttp.functions.context import CONTEXTS
from minihttp.functions.decorators import internal_action, internal_mutation, internal_query
from minihttp.functions.registry import Function, Registry
from minihttp.functions.runner import Runner
from minihttp.jobs.jobs import JOB_TABLES, Jobs
from minihttp.limits import Limits
from minihttp.rate_limit import RATE_LIMIT_TABLES, expired_rate_limits
from storage_backends.sqlite import DocumentBackend

START = 1_700_000_000.0
PATIENCE_SECONDS = 60  # a test that hangs fails; none waits so long
# A busy machine is no fault of a function.
LIMITS = Limits(query_seconds=PATIENCE_SECONDS, mutation_seconds=PATIENCE_SECONDS)


class World:
    """One app's jobs. `clock` is moved by assigning `now`."""

    def __init__(
        self,
        path: str = ":memory:",
        *,
        limits: Limits = LIMITS,
        clock: Callable[[], float] | None = None,
        engine: Callable[[str], Any] = DocumentBackend,
        **options: Any,
    ) -> None:
        self.now = START
        self.clock: Callable[[], float] = clock or (lambda: self.now)
        self.path, self.limits, self.engine, self.options = path, limits, engine, options
        self.registry = Registry()
        self.seen: list[Any] = []
        self.open()

    def open(self) -> None:
        system = {**FILE_TABLES, **JOB_TABLES, **RATE_LIMIT_TABLES}
        self.backend = self.engine(self.path)
        self.database = Database(self.backend, None, system=system, limits=self.limits, clock=self.clock)
        self.runner = Runner(
            self.database,
            self.registry,
            limits=self.limits,
            environment={},
            contexts=CONTEXTS,
            storage=lambda transaction, call: None,
            scheduler=lambda transaction, call: self.jobs.scheduler(transaction, call),
        )
        self.jobs = self.make_jobs()

    def make_jobs(self, **options: Any) -> Jobs:
        options = {**self.options, **options}
        jobs = Jobs(self.database, self.runner, clock=self.clock, limits=self.limits, **options)
        jobs.expired.append(expired_rate_limits)
        return jobs

    def close(self) -> None:
        self.jobs.stop(PATIENCE_SECONDS)
        self.database.close()

    def _add(self, decorator: Any, handler: Callable[..., Any], **options: Any) -> Function:
        function: Function = decorator(handler) if not options else decorator(**options)(handler)
        self.registry.add(function, f"work:{handler.__name__}")
        return function

    def query(self, handler: Callable[..., Any], **options: Any) -> Function:
        return self._add(internal_query, handler, **options)

    def mutation(self, handler: Callable[..., Any], **options: Any) -> Function:
        return self._add(internal_mutation, handler, **options)

    def action(self, handler: Callable[..., Any], **options: Any) -> Function:
        return self._add(internal_action, handler, **options)

    @property
    def scheduler(self) -> Any:
        return self.jobs.scheduler()

    def job(self, job_id: str) -> Any:
        return self.database.read(lambda transaction: transaction.system.get(job_id))

    def state(self, job_id: str) -> str:
        return self.job(job_id)["state"]["kind"]

    def rows(self, table: str) -> list[Any]:
        """The documents of a table, system tables too."""
        return self.database.read(
            lambda transaction: (
                (transaction.system if table[0] == "_" else transaction.db).query(table).collect()
            )
        )

    def run_all(self) -> int:
        """Run what is due until nothing is."""
        total = 0
        while ran := self.jobs.run_due():
            total += ran
        return total


def raising(world: World, kind: str, *errors: BaseException | None):
    """A function that raises these errors in turn, and then returns how often it was called."""

    def work(ctx):
        world.seen.append(ctx)
        error = errors[len(world.seen) - 1] if len(world.seen) <= len(errors) else None
        if error is not None:
            raise error
        return len(world.seen)

    return getattr(world, kind)(work)
