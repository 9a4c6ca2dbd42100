# SPDX-License-Identifier: MIT
"""What an opened app is made of, put together in one place: the composition root.

Every package gets what it needs as an argument, and knows none of those built on it. If one of them refuses,
what was opened before it is closed again. Knows no requests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ..data.database import Database
from ..data.migration import Tick, stored_indexes
from ..data.schema import Schema
from ..errors import ConfigurationError, DataDirectoryError, FunctionNotFoundError, SchemaError
from ..files.storage import FILE_TABLES, FileStore, check_no_files, unknown_files
from ..files.uploads import expired_uploads
from ..functions.context import CONTEXTS
from ..functions.registry import Registry
from ..functions.runner import Runner
from ..inbox.former import kept_indexes
from ..inbox.inbox import INBOX_TABLES, Inbox
from ..jobs.crons import Crons
from ..jobs.job_functions import JobFunctions
from ..jobs.jobs import JOB_TABLES, Jobs
from ..key_store import KEY_TABLES, KeyFunctions
from ..rate_limit import RATE_LIMIT_TABLES, expired_rate_limits
from ..snapshot.tables import IMPORT_TABLES
from ..values import show
from .backends import check_backends, is_there, open_documents, open_files, storage_urls, without_password
from .hosts import Hosts
from .idempotency import IDEMPOTENCY_TABLES, IdempotencyKeys
from .inspection import AppFunctions
from .loader import load_module
from .options import Options, changed
from .progress import LongTasks
from .snapshots import SnapshotFunctions

if TYPE_CHECKING:
    from ..http.router import HttpRouter

_SYSTEM_TABLES = {
    **FILE_TABLES,
    **JOB_TABLES,
    **RATE_LIMIT_TABLES,
    **INBOX_TABLES,
    **IMPORT_TABLES,
    **KEY_TABLES,
    **IDEMPOTENCY_TABLES,
}
_LOOK_SECONDS = 10.0  # at the pages of the database, for `doctor`


class Services:
    """The opened services of one app.

    Args:
        secrets: finds the (path or "", variable name) of every secret that the app needs.
        tick, refused: as for `Database`.

    Raises:
        ConfigurationError: DataDirectoryError, SchemaError, FunctionError, CronError and their kin, each
            naming the value and the place.
    """

    __slots__ = ("database", "files", "idempotency", "inbox", "jobs", "operations", "runner", "tasks")

    def __init__(
        self,
        options: Options,
        http: HttpRouter,
        secrets: Callable[[], list[tuple[str, str]]],
        tick: Tick | None = None,
        refused: Callable[[SchemaError], object] | None = None,
    ) -> None:
        _check("schema", options.schema, Schema)
        _check("crons", options.crons, Crons)
        registry = _registry(options.modules, options.wire_names)
        schema = options.schema
        if schema is not None and schema.schema_validation:
            registry.check_tables(schema.tables)
        documents_url, files_url = storage_urls(options.data, options.files)
        backend = open_documents(documents_url)
        close = backend.close
        try:
            shared: dict[str, Any] = {"limits": options.limits, "clock": options.clock}
            self.database = Database(
                backend,
                options.schema,
                system=_SYSTEM_TABLES,
                kept=kept_indexes,
                tick=tick,
                refused=refused,
                **shared,
            )
            close = self.database.close
            shared["clock"] = self.database.clock
            names = without_password(documents_url), without_password(files_url)
            file_backend = open_files(files_url)
            _refuse_files_of_one_machine(backend, file_backend, options.files)
            self.files = FileStore(
                file_backend,
                self.database,
                origin=options.origin,
                lease=lambda seconds: self.jobs.lease("files", seconds),
                names=names,
                **shared,
            )
            close = self._close_storage
            self.runner = Runner(
                self.database,
                registry,
                limits=options.limits,
                storage=self.files.storage,
                scheduler=lambda transaction, call: self.jobs.scheduler(transaction, call),
                environment=options.environment,
                origin=options.origin,
                contexts=CONTEXTS,
            )
            self.jobs = Jobs(
                self.database,
                self.runner,
                crons=options.crons,
                workers=options.workers,
                alone=not backend.shared,
                notes_path=getattr(backend, "notes_path", None),
                **shared,
            )
            self.idempotency = IdempotencyKeys(self.database, options.limits, options.clock)
            self.jobs.expired += [expired_rate_limits, expired_uploads, self.idempotency.expired]
            JobFunctions(self.jobs.store).register(registry)
            KeyFunctions().register(registry)
            self.inbox = Inbox(
                self.database,
                self.runner,
                self.jobs,
                webhooks=http.webhooks,
                environment=options.environment,
                clock=self.database.clock,
                public_url=Hosts(options.hosts, options.origin).public_url,
                behind=refused is not None,
            )
            _check_mutation_routes(http, registry)
            self.tasks = LongTasks()
            self.operations = AppFunctions(
                options, secrets, self.database, self.files, self.runner, registry, self.tasks
            )
            self.operations.register()
            SnapshotFunctions(self.database, self.files, options.data, self.tasks).register(registry)
            self.files.mark()
        except BaseException:
            close()
            raise

    def close(self, grace_seconds: float) -> None:
        """End long tasks, stop the worker between two jobs, and close storage; each of the first two may take
        `grace_seconds`.
        """
        self.tasks.close(grace_seconds)
        self.inbox.stop()
        self.jobs.stop(grace_seconds)
        self._close_storage()

    def close_documents(self, grace_seconds: float) -> None:
        """Stop the worker and close the database, before `close`: requests that read files may go on."""
        self.inbox.stop()
        self.jobs.stop(grace_seconds)
        self.database.close()

    def _close_storage(self) -> None:
        self.files.close()
        self.database.close()


def try_out(
    options: Options, http: HttpRouter, secrets: Callable[[], list[tuple[str, str]]], stored: bool
) -> bool:
    """Finds what would stop `Services` and changes nothing; what `App.check` takes, returns and raises.

    The code is put together on an empty database in memory, then what is stored is taken in and that undone.
    """
    check_backends(options.data, options.files)
    empty = changed(options, {"data": ":memory:", "files": None})
    Services(empty, http, secrets).close(0.0)
    documents_url, files_url = storage_urls(options.data, options.files)
    names = without_password(documents_url), without_password(files_url)
    if stored and not is_there(documents_url) and is_there(files_url):
        with closing(open_files(files_url)) as store:
            if next(store.list(), None) is not None:
                raise unknown_files(names)
    if not (stored and is_there(documents_url)):
        return False
    try:
        backend = open_documents(documents_url)
    except DataDirectoryError as error:
        if error.is_locked:  # a running server has checked it
            return False
        raise
    shared: dict[str, Any] = {"limits": options.limits, "clock": options.clock}
    with closing(backend):
        problems, _ = backend.problems(_LOOK_SECONDS)
        if problems:
            raise DataDirectoryError(
                f"the database is damaged ({problems[0]}): put a backup in its place with `restore`"
            )
        database = Database(backend, options.schema, system=_SYSTEM_TABLES, trial=True, **shared)
        if is_there(files_url):
            with closing(FileStore(open_files(files_url), database, names=names, **shared)) as files:
                files.check()
        else:
            check_no_files(database, names)
    return True


def _check_mutation_routes(http: HttpRouter, functions: Registry) -> None:
    """Refuse a route that is a mutation where the app has none of that name.

    Raises:
        ConfigurationError: naming the route and where it is registered.
    """
    for route in http.mutations:
        try:
            found = functions.named(route.handler.function)
        except FunctionNotFoundError as error:
            raise ConfigurationError(f"mutation {route.label}: {error}") from None
        if found.kind != "mutation":
            raise ConfigurationError(f"mutation {route.label}: {found} is no mutation")


def take_in(options: Options, *, drop: bool, tick: Tick | None = None) -> tuple[list[str], list[str]]:
    """Take what an app declares into its database, as a start does, filling new indexes to their end.

    Args:
        drop: also drop the indexes that are not declared.
        tick: told how far it is.

    Returns:
        The indexes that are new, and those that were dropped.

    Raises: as `Services`.
    """
    documents_url, _ = storage_urls(options.data, options.files)
    with closing(open_documents(documents_url)) as backend:
        with backend.read(None) as engine:
            before = stored_indexes(engine)
        shared: dict[str, Any] = {"limits": options.limits, "clock": options.clock, "drop": drop}
        Database(backend, options.schema, system=_SYSTEM_TABLES, tick=tick, **shared)
        with backend.read(None) as engine:
            after = stored_indexes(engine)
    return sorted(after - before), sorted(before - after)


def _refuse_files_of_one_machine(documents: Any, files: Any, named: str | None) -> None:
    """With documents that other machines share, each would have files of its own.

    Raises:
        ConfigurationError: unless the file store is shared too, or somebody has named it.
    """
    if documents.shared and named is None and not files.shared:
        files.close()
        raise ConfigurationError(
            "the documents are shared with other machines and the files would not be: name a file store,"
            " such as --files s3://bucket, or the folder of this machine if it is the only one"
        )


def _check(name: str, value: object, kind: type) -> None:
    if value is not None and not isinstance(value, kind):
        raise ConfigurationError(f"App({name}=…) takes a {kind.__name__}, not {show(value)}")


def _registry(modules: Any, wire_names: str | None) -> Registry:
    registry = Registry(wire_names)
    if isinstance(modules, str) or not isinstance(modules, Iterable):
        raise ConfigurationError(f"App(modules=…) takes a list such as [__name__], not {show(modules)}")
    named = modules.items() if isinstance(modules, Mapping) else ((None, module) for module in modules)
    for name, module in named:
        registry.add_module(_module(module), name)
    return registry


def _module(named: object) -> ModuleType:
    """One of `App(modules=…)`, imported where only its name is given."""
    if isinstance(named, ModuleType):
        return named
    if not isinstance(named, str):
        raise ConfigurationError(f"App(modules=…) takes modules and their names, not {show(named)}")
    try:
        return load_module(named)
    except ConfigurationError as error:
        raise ConfigurationError(f"App(modules=…): {error}") from None
