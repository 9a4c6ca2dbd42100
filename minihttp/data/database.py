# SPDX-License-Identifier: MIT
"""The database: takes in the schema, runs transactions, and turns the engine's faults into our errors.

The one place that knows both the engine (`backend.py`) and the tables. Knows no functions and no HTTP.
"""

from __future__ import annotations

import errno
import logging
import math
import threading
import time
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, TypeVar

from ..errors import (
    CallError,
    DataDirectoryError,
    MinihttpError,
    StorageFullError,
    StorageUnavailableError,
)
from ..limits import DEFAULT_LIMITS, Limits
from ..watchdog import timed_out, watchdog
from . import ids
from .backend import DocumentBackend, Reading, Writing
from .catalog import Catalog, Document, TableInfo, Tables
from .documents import PreparedDocument, Transaction
from .migration import Migration, Tick, read_stored, table_infos
from .pins import Pins
from .schema import Schema, Table
from .taking_in import Refused, SchemaProgress, TakingIn
from .transaction import SYSTEM_LIMITS
from .validators import PUBLIC_SYSTEM_TABLES

__all__ = ["Database", "Transaction"]
T = TypeVar("T")
log = logging.getLogger("minihttp.data")

_ONE_AT_A_TIME = "A transaction is open in this thread already: use its ctx instead of opening another"
_LOOK_SECONDS = 1.0
_MAX_RELOADS = 20  # of the catalog, for one write
_OUTAGE_SECONDS = 30.0  # how long a read waits for a server that answers
_WARNED_SECONDS, _REFUSED_SECONDS = 0.5, 5.0  # between the clocks of the machine and of the store


class Database:
    """Documents in one engine, under one schema.

    Args:
        backend: the engine; the database closes it.
        schema: the user's tables; without one every table is allowed and nothing is checked.
        system: the framework's tables, by names that begin with `_`.
        kept: finds the (table, name) of indexes that are not declared and stay.
        limits: of one transaction and of one document.
        clock: Unix seconds.
        trial: what the engine stores is checked and stays as it is.
        drop: whether indexes that are not declared are dropped; None: where nobody else has the store open.
        tick: told how far the taking in of the schema is; by default a line is logged every 5 s.
        refused: where it is given, what takes long of that goes on in a thread, and this is called there with
            the SchemaError of stored documents that do not match. Until then the tables that are compared
            with their schema, and queries on indexes that are filled, are refused.

    Raises:
        SchemaError: when stored documents do not match the schema; nothing is changed then.
        DataDirectoryError: when the engine cannot work, or its clock and this machine's are 5 s apart.

    Attributes:
        shared: whether other processes may have the same store open.
        clock: Unix seconds, by the store's clock where it is shared.
    """

    def __init__(
        self,
        backend: DocumentBackend,
        schema: Schema | None = None,
        *,
        system: Mapping[str, Table] | None = None,
        kept: Callable[[Reading], Collection[tuple[str, str]]] = lambda engine: (),
        limits: Limits = DEFAULT_LIMITS,
        clock: Callable[[], float] = time.time,
        trial: bool = False,
        drop: bool | None = None,
        tick: Tick | None = None,
        refused: Refused | None = None,
    ) -> None:
        self._backend = backend
        self._open = _Open()
        self.schema = schema
        self.limits = limits
        self.shared = backend.shared
        self.clock = self._common(clock)
        self._pins = Pins(backend, self.clock)
        self._ids = ids.IdMaker(self.clock)
        self._user = schema.tables if schema else {}
        self._tables = {**self._user, **(system or {})}
        self._unchecked = frozenset() if schema and schema.schema_validation else frozenset(self._user)
        self._reloading = threading.Lock()
        self._looked_at = time.monotonic()
        self._take_in(trial, drop, kept, SchemaProgress(tick), refused)
        self.secret = self._catalog.secret
        if self.shared and not trial:
            backend.listen(self._look_soon)

    def _common(self, clock: Callable[[], float]) -> Callable[[], float]:
        """The time that all processes of a store agree on; a clock that is not the machine's stays."""
        if not self.shared or clock is not time.time:
            return clock
        offset = self._backend.clock_offset()
        if abs(offset) > _WARNED_SECONDS:
            told = (
                f"the clock of this machine is {abs(offset):.1f} s {'behind' if offset > 0 else 'ahead of'}"
            )
            if abs(offset) > _REFUSED_SECONDS:
                raise DataDirectoryError(f"The database cannot be opened: {told} the database's")
            log.warning("%s the database's", told)
        return lambda: time.time() + self._backend.clock_offset()

    def _take_in(
        self,
        trial: bool,
        drop: bool | None,
        kept: Callable[[Reading], Collection[tuple[str, str]]],
        progress: SchemaProgress,
        refused: Refused | None,
    ) -> None:
        """Bring the database in line with what is declared, and other versions of the app left in peace."""
        facts = (self._backend, self._tables, self._unchecked, self._ids, self.clock, progress, drop, kept)
        begin = None
        try:
            migration = Migration(*facts)
            self._taking_in = TakingIn(self._backend, migration, progress, self._publish)
            if trial:
                migration.check()
            elif refused is None:
                self._taking_in.finish()
            else:
                begin = self._taking_in.begin(refused)
            self._publish()
        except self._backend.Fault as fault:
            raise DataDirectoryError(f"The database cannot be opened: {fault.strerror or fault}") from fault
        if begin is not None:
            begin()

    def _publish(self) -> None:
        with self._reloading:
            self._catalog = self._stored_catalog()

    def _stored_catalog(self) -> Catalog:
        """The catalog as the database says by now."""
        with self._backend.read(None) as engine:
            stored = read_stored(engine)
        declared, others = table_infos(stored, self._tables, self._unchecked)
        user: dict[str, TableInfo] = {}
        system: dict[str, TableInfo] = {}
        for name, info in declared.items():
            (user if name in self._user else system)[name] = info
        user_others = {name: info for name, info in others.items() if not name.startswith("_")}
        strict = self.schema is not None and self.schema.schema_validation
        public = {name: declared.get(name) or TableInfo(name) for name in PUBLIC_SYSTEM_TABLES}
        waiting = self._taking_in.waiting
        return Catalog(
            Tables(user, system=False, open=not strict, others=user_others, waiting=waiting),
            Tables(
                system,
                system=True,
                open=False,
                others={name: info for name, info in others.items() if name not in user_others},
            ),
            Tables(public, system=True, open=False),
            self._ids,
            stored.secret or b"",
            stored.guard,
        )

    def _reload(self, old: Catalog) -> None:
        """Another process has changed the indexes: find out how."""
        with self._reloading:
            if self._catalog is old:
                self._catalog = self._stored_catalog()
                self._looked_at = time.monotonic()

    def _look_soon(self) -> None:
        self._looked_at = -math.inf

    def _refuse_if_stale(self, catalog: Catalog, engine: Reading) -> None:
        """Once a second a reader looks whether the indexes are still those that it knows: one that was
        dropped would answer with nothing."""
        now = time.monotonic()
        if now - self._looked_at > _LOOK_SECONDS:
            self._looked_at = now
            row = engine.get(catalog.guard[0])
            if row is None or row[1] != catalog.guard[1]:
                raise self._backend.Fault(errno.ESTALE, "the catalog has changed")

    # -- transactions

    def read(
        self,
        run: Callable[[Transaction], T],
        *,
        time_limit_seconds: float | None = None,
        at: int | None = None,
    ) -> T:
        """Run `run(transaction)` on one snapshot and return its result.

        Args:
            at: the timestamp of a pinned snapshot; by default the newest state.

        Raises:
            DeadlineError, StorageUnavailableError, and whatever `run` raises.
        """
        if self._open.here:
            raise CallError(_ONE_AT_A_TIME)
        began = now = time.monotonic()
        try:
            self._open.here = True
            while True:
                catalog = self._catalog
                deadline = None if time_limit_seconds is None else now + time_limit_seconds
                try:
                    with self._backend.read(deadline) if at is None else self._pins.at(at) as engine:
                        if self.shared:
                            self._refuse_if_stale(catalog, engine)
                        ran: list[Transaction] = []
                        result = self._run(run, catalog, time_limit_seconds, ran, False, engine)
                    break
                except self._backend.Fault as fault:  # the line broke: another snapshot is as good
                    now = time.monotonic()
                    if fault.errno == errno.ESTALE:
                        self._reload(catalog)
                    elif fault.errno != errno.ECONNRESET or at is not None or now > began + _OUTAGE_SECONDS:
                        raise
        except self._backend.Fault as fault:
            raise self._translate(fault, time_limit_seconds) from fault
        finally:
            self._open.here = False
        ran[0].call_hooks(committed=True)
        return result

    def write(
        self,
        run: Callable[[Transaction], T],
        *,
        time_limit_seconds: float | None = None,
        any_thread: bool = False,
        by_locks: bool = False,
        alone: bool = False,
    ) -> T:
        """Run `run(transaction)` as one serializable transaction; when this returns, it is durable.

        `run` may be run again when the engine asks for it. If it raises, nothing of it is written.

        Args:
            any_thread: `run` is the framework's own and takes no locks, so that any thread may run it
                for this one; it saves a change of threads.
            by_locks: `run` relies on nothing but documents that it has locked; see `DocumentBackend.write`.
            alone: `run` may take long, so nobody who was before it waits for its end.

        Raises:
            DeadlineError, StorageFullError, StorageUnavailableError, and whatever `run` raises.
        """
        if self._open.here:
            raise CallError(_ONE_AT_A_TIME)
        attempts: list[Transaction] = []
        self._pins.release_stale()
        options: dict[str, Any] = {"by_locks": True} if by_locks else {"alone": True} if alone else {}
        try:
            self._open.here = True
            while True:
                catalog = self._catalog
                body = partial(self._run, run, catalog, time_limit_seconds, attempts, True)
                if self.shared:
                    options["guard"] = catalog.guard
                try:
                    result = self._backend.write(body, time_limit_seconds, any_thread=any_thread, **options)
                    break
                except self._backend.Fault as fault:
                    if fault.errno != errno.ESTALE or len(attempts) > _MAX_RELOADS:
                        raise
                self._reload(catalog)
        except Exception as error:  # of an interrupt nobody knows whether it came before the commit or after
            self._open.here = False
            for attempt in attempts:
                attempt.call_hooks(committed=False)
            if isinstance(error, self._backend.Fault):
                raise self._translate(error, time_limit_seconds) from error
            raise
        finally:
            self._open.here = False
        for attempt in attempts:
            attempt.call_hooks(committed=attempt is attempts[-1])
        return result

    def submit(
        self,
        run: Callable[[Transaction], Any],
        done: Callable[[Any, BaseException | None], None],
        *,
        time_limit_seconds: float | None = None,
    ) -> None:
        """As `write`, without waiting: `run` is called in a thread of the engine's.

        Args:
            done: called with (result, None) once the result is durable, else with (None, error), the error
                being what `write` would raise; by a thread of the engine's, which it must not hold up.
        """
        attempts: list[Transaction] = []
        self._pins.release_stale()
        catalog = self._catalog

        def body(engine: Writing) -> Any:
            self._open.here = True
            try:
                return self._run(run, catalog, time_limit_seconds, attempts, True, engine)
            finally:
                self._open.here = False

        def told(result: Any, error: BaseException | None) -> None:
            for attempt in attempts:
                attempt.call_hooks(committed=error is None and attempt is attempts[-1])
            if isinstance(error, self._backend.Fault):
                if error.errno == errno.ESTALE:
                    self._reload(catalog)
                    self.submit(run, done, time_limit_seconds=time_limit_seconds)
                    return
                error = self._translate(error, time_limit_seconds)
            done(result, error)

        options: dict[str, Any] = {"guard": catalog.guard} if self.shared else {}
        self._backend.submit(body, time_limit_seconds, told, **options)

    def _run(
        self,
        run: Callable[[Transaction], T],
        catalog: Catalog,
        time_limit_seconds: float | None,
        attempts: list[Transaction],
        writable: bool,
        engine: Any,
    ) -> T:
        """Run the body in a new transaction, which is added to `attempts` and can do nothing more then."""
        transaction = Transaction(catalog, engine, writable, self.clock(), self.limits, time_limit_seconds)
        attempts.append(transaction)
        try:
            if time_limit_seconds is None:
                result = run(transaction)
            else:
                result = watchdog.run(time_limit_seconds, transaction, run, transaction)
            transaction.check()
            return result
        finally:
            transaction.end()

    def prepare(self, table: str, fields: Document, id: str | None = None) -> PreparedDocument:
        """A new document of a system table, made ready before the transaction that adds it: others can write
        meanwhile.

        Args:
            id: its id; by default a new one.
        """
        catalog = self._catalog
        info = catalog.system.writable(table)
        return PreparedDocument(info, id or self._ids.make(info.tag), fields, SYSTEM_LIMITS, catalog.guard)

    def new_id(self, table: str) -> str:
        """A new id of a table: greater than all that were made before."""
        return self._ids.make(ids.table_tag(table))

    def pin(self) -> int:
        """Keep the present state readable for a while; returns its timestamp (ns) for `read(at=…)`."""
        if self._open.here:
            raise CallError(_ONE_AT_A_TIME)
        try:
            return self._pins.pin()
        except self._backend.Fault as fault:
            raise self._translate(fault, None) from fault

    @staticmethod
    def _translate(fault: OSError, time_limit_seconds: float | None) -> MinihttpError:
        if fault.errno == errno.ETIME:
            return timed_out(time_limit_seconds)
        refused = StorageFullError if fault.errno == errno.ENOSPC else StorageUnavailableError
        error = refused(f"The database failed: {fault.strerror or fault}")
        error.__cause__ = fault
        return error

    # -- the rest

    def problems(self, limit_seconds: float) -> tuple[list[str], bool]:
        """What the engine finds wrong with its own storage, and whether it looked at all of it in time."""
        return self._backend.problems(limit_seconds)

    def listen(self, call: Callable[[], object]) -> None:
        """Call this when another process says that there is news; see `DocumentBackend.listen`."""
        self._backend.listen(call)

    def notify(self) -> None:
        """Tell the other processes that there is news."""
        self._backend.notify()

    def under_way(self) -> str:
        """What of a changed schema is still being taken in, and how far that is; "" once all is done."""
        return self._taking_in.under_way()

    def wait_for_schema(self, seconds: float) -> bool:
        """Wait for what is under way, for a moment or so many seconds; false where there is no use in it."""
        return self._taking_in.wait(seconds)

    def statistics(self) -> dict[str, Any]:
        """The engine's numbers, for metrics and `doctor`."""
        return self._backend.statistics()

    def close(self) -> None:
        """Close the engine; what was acknowledged is on disk already."""
        self._taking_in.close()
        self._pins.close()
        self._backend.close()


class _Open(threading.local):
    """Whether a transaction is open in this thread: two would block each other.

    No context manager sets it: an interrupt on the way into its `__exit__` would leave it set.
    """

    here = False
