# SPDX-License-Identifier: MIT
"""What an operator sees of an app and does to it, as functions `_app:…`: for the command line and dashboard.

In the process of the app they are called as `app.run_query("_app:tables")`, from elsewhere over the function
API with the admin key. Everything that they return is made of Convex values. No call counts or reads more
than it says.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from .. import hashing
from ..auth.caller import NOBODY, Caller
from ..auth.identity import Identity
from ..data import ids
from ..data.consistency import check_documents, rebuild_indexes
from ..data.migration import Tick, stored_tables
from ..data.walks import convex_json
from ..errors import ArgumentValidationError, DocumentError, HTTPError, MinihttpError, did_you_mean
from ..files.checking import check_files
from ..functions.calls import CallInfo
from ..logs import message_of
from ..shown import quoted
from ..tracebacks import describe, users_frames
from ..values import dumps, loads, show
from . import log_ring
from .references import references

if TYPE_CHECKING:
    from ..data.catalog import TableInfo
    from ..data.database import Database
    from ..data.documents import Reader, Transaction
    from ..files.storage import FileStore
    from ..functions.context import SystemCtx
    from ..functions.registry import Function, Registry
    from ..functions.runner import Runner
    from .options import Options
    from .progress import LongTasks

COUNTED = 1_000
"""How many documents of a table are counted; a count of more is shown as `1,000+`."""
MAX_PAGE = 1_000
_READ_FOR_A_PAGE = 500  # documents, where not all of them fit
_FUNCTIONS = {
    "query": (
        "tables",
        "documents",
        "document",
        "references",
        "functions",
        "crons",
        "environment",
        "logs",
        "log_page",
        "calls",
        "jobs_run",
        "queue_depth",
        "progress",
    ),
    "mutation": ("insert_document", "replace_document", "delete_document"),
    "action": ("run", "run_cron", "check", "begin_check", "end_task", "rebuild_indexes"),
}


def digest_of(document: Any) -> str:
    """What tells a document from one that has been changed."""
    return hashing.sha256(dumps(dict(document)).encode()).hexdigest()


class AppFunctions:
    """Each method named in `_FUNCTIONS` is a function of the app."""

    def __init__(
        self,
        options: Options,
        secrets: Callable[[], list[tuple[str, str]]],
        database: Database,
        files: FileStore,
        runner: Runner,
        registry: Registry,
        tasks: LongTasks,
    ) -> None:
        self._options = options
        self._tasks = tasks
        self._secrets = secrets
        self._database = database
        self._files = files
        self._runner = runner
        self._registry = registry

    def register(self) -> None:
        """Put them into the app's registry."""
        self._registry.add_methods("_app", self, _FUNCTIONS)

    # ------------------------------------------------------------ documents

    def tables(self, ctx: Any, system: bool = False) -> list[dict[str, Any]]:
        """Every table that is declared or has documents, with how many it has (at most `COUNTED`).

        Args:
            system: the framework's own tables instead.

        Returns:
            Rows of `name`, `documents`, `isCapped` (there are more), `isDeclared`, `indexes` (fields by
            name) and `validator` (in Convex's JSON form).
        """
        transaction = ctx.transaction
        declared = {info.name: info for info in transaction.catalog.tables()}
        names = {name for name in declared if name.startswith("_") == system}
        if not system:
            names |= {name for name in stored_tables(transaction.engine) if not name.startswith("_")}
        return [_table_row(transaction, name, declared.get(name)) for name in sorted(names)]

    def documents(
        self,
        ctx: Any,
        table: str,
        index: str | None = None,
        eq: list[Any] | None = None,
        order: str = "asc",
        limit: float = 50,
        cursor: str | None = None,
        where: list[dict[str, Any]] | None = None,
    ) -> dict[str, Any]:
        """One page of a table's documents.

        Args:
            table: its name; one that begins with `_` is the framework's.
            index: which to read along; by default in order of creation.
            eq: values of its first fields, which the documents must have.
            order: "asc" or "desc".
            limit: how many, `MAX_PAGE` at most.
            cursor: the `continueCursor` of the page before, of the same query.
            where: what else must hold: each a `field`, an `is` (eq, neq, lt, lte, gt or gte) and a `value`. A
                page then ends after so many documents were read (500), and may be empty before the last one.

        Returns:
            `{"page", "isDone", "continueCursor"}`.

        Raises:
            DocumentError: for a table, index or cursor that cannot be.
        """
        transaction = ctx.transaction
        query = _reader(transaction, table).query(table)
        values = eq or []
        if index is not None or values:
            fields = _fields(transaction, table, index or "by_creation_time")
            if len(values) > len(fields):
                raise DocumentError(
                    "InvalidIndexRange", f"index {index} has {len(fields)} fields, not {len(values)}"
                )
            pairs = list(zip(fields, values, strict=False))
            query = query.with_index(index or "by_creation_time", lambda q: _equal(q, pairs))
        for condition in where or ():
            query = _filtered(query, condition)
        asked = {
            "numItems": min(limit, MAX_PAGE),
            "cursor": cursor,
            "maximumRowsRead": _READ_FOR_A_PAGE if where else MAX_PAGE,
        }
        return query.order(order).paginate(asked)

    def document(self, ctx: Any, id: str) -> dict[str, Any] | None:
        """`{"table", "document"}` of an id, of whatever table; None where there is none."""
        transaction = ctx.transaction
        row = transaction.engine.get(id) if ids.is_id(id) else None
        if row is None:
            return None
        return {"table": row[0], "document": _reader(transaction, row[0]).get(id)}

    def references(self, ctx: Any, ids: list[str]) -> dict[str, Any]:
        """Which documents refer to some ids of one table, as `references.references`."""
        return references(ctx.transaction, ids)

    def insert_document(self, ctx: SystemCtx, table: str, document: Any) -> str:
        """Insert into a table of the app's, checked like any write; returns the id."""
        return ctx.db.insert(table, document)

    def replace_document(self, ctx: Any, id: str, document: Any, seen: str | None = None) -> None:
        """Replace the fields of a document of the app's, checked like any write.

        Args:
            seen: `digest_of` the document that somebody has looked at; it is refused if it is another now.
        """
        now = ctx.db.get(id) if seen is not None else None
        if now is not None and digest_of(now) != seen:
            raise HTTPError(409, "Somebody has changed this document meanwhile: load it again")
        ctx.db.replace(id, document)

    def delete_document(self, ctx: Any, id: str) -> None:
        """Delete a document of the app's."""
        ctx.db.delete(id)

    # ------------------------------------------------------------ functions and crons

    def functions(self, ctx: Any) -> list[dict[str, Any]]:
        """Every function of the app's own.

        Returns:
            Rows of `name`, `kind`, `visibility` ("public" or "internal"), `args` and `returns` (validators
            in Convex's JSON form), `wireName` and `wireArgs` (how clients call it, and its arguments by their
            names), `about` (its docstring) and `location` (file:line).
        """
        own = (function for function in self._registry if not function.name.startswith("_"))
        rows = sorted(own, key=lambda function: function.name)
        return [_function_row(function, self._registry.wire_args(function)) for function in rows]

    def crons(self, ctx: Any) -> list[dict[str, Any]]:
        """Every cron of the app.

        Returns:
            Rows of `name`, `function`, `args`, `schedule`, `nextRun`, and of the last run `lastRun`
            (milliseconds since the epoch), `lastState` and `lastError`, each None where there is none.
        """
        transaction = ctx.transaction
        stored = {row["name"]: row for row in transaction.system.query("_cron_jobs")}
        return [_cron_row(transaction, cron, stored.get(cron.name)) for cron in self._options.crons or ()]

    def run(
        self, ctx: Any, name: str, args: str = "{}", identity: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Call any function, public or internal.

        Args:
            name: such as `items:create`.
            args: its arguments as JSON text; there an integer is one, whatever the validator.
            identity: who calls: the claims of an identity, with `subject` at least.

        Returns:
            `result`, `error` (None, or the exception with the app's own frames) and `logs` (lines that it
            logged).
        """
        try:
            given = loads(args)
        except ValueError as error:
            raise ArgumentValidationError(f"the arguments are no JSON: {error}") from None
        if not isinstance(given, dict):
            raise ArgumentValidationError(f"the arguments must be an object, not {show(given)}")
        known = [function.name for function in self._registry]
        if name not in known and f"{name}:default" not in known:
            of_a_module = [full for full in known if full.endswith(f":{name}")]
            near = did_you_mean(name, known) or "; `functions` lists those there are"
            near = f"; did you mean {of_a_module[0]!r}?" if of_a_module else near
            raise ArgumentValidationError(f"there is no function {quoted(name)}{near}")
        return self._run(name, given, NOBODY if identity is None else _caller(identity))

    def _run(self, function: Function | str, args: dict[str, Any], auth: Caller = NOBODY) -> dict[str, Any]:
        with log_ring.LogLines(_log_line, _MAX_LINES) as lines:
            try:
                result, error = self._runner.run(function, args, call=CallInfo(auth=auth)), None
            except Exception as failure:
                result, error = None, _why(failure)
        return {"result": result, "error": error, "logs": lines.lines}

    def run_cron(self, ctx: Any, name: str) -> dict[str, Any]:
        """Run a cron's function now, beside its schedule; returns what `run` does."""
        for cron in self._options.crons or ():
            if cron.name == name:
                return self._run(cron.function, cron.args)
        near = did_you_mean(name, [cron.name for cron in self._options.crons or ()])
        raise ArgumentValidationError(f"there is no cron {quoted(name)}{near}")

    def environment(self, ctx: Any) -> list[dict[str, Any]]:
        """The environment variables that the app needs: rows of `name`, `isSet`, and the webhook `path` that
        needs it, or "".
        """
        return [
            {"name": name, "isSet": bool(self._options.environment.get(name)), "path": path}
            for path, name in self._secrets()
        ]

    def logs(
        self,
        ctx: Any,
        after: float = -1,
        level: str = "debug",
        function: str = "",
        request_id: str = "",
        limit: float = 1_000,
    ) -> dict[str, Any]:
        """The last lines of this process's log, as `LogRing.after`; none where no ring is installed."""
        choice: dict[str, Any] = {"level": level, "function": function, "request_id": request_id}
        for ring in log_ring.installed():
            return ring.after(int(after), limit=int(limit), **choice)
        return {"lines": [], "last": 0}

    def log_page(self, ctx: Any, before: float | None = None, limit: float = 100, **choice: str) -> list[Any]:
        """The lines before a number (the last ones without it), the newest first, as `LogRing.before`."""
        number = float("inf") if before is None else before
        choice = {"route": "", **choice}
        return [
            line for ring in log_ring.installed() for line in ring.before(number, limit=int(limit), **choice)
        ]

    def calls(self, ctx: Any) -> list[dict[str, Any]]:
        """How often each function ran in this process, as `CallStatistics.rows`; the framework's too."""
        return self._runner.statistics.rows()

    def jobs_run(self, ctx: Any) -> list[list[int]]:
        """How many jobs this process ran in each minute of the last day, as `CallStatistics.jobs`."""
        return self._runner.statistics.jobs()

    def queue_depth(self, ctx: Any) -> list[list[int]]:
        """How many jobs were due and waited in each minute of the last day, as `CallStatistics.queue`."""
        return self._runner.statistics.queue()

    # ------------------------------------------------------------ keeping it safe

    def progress(self, ctx: Any, task: str) -> dict[str, Any]:
        """How far a long task of this process is, as `LongTasks.progress`."""
        return self._tasks.progress(task)

    def end_task(self, ctx: Any, task: str) -> None:
        """Have a long task of this process end."""
        self._tasks.end(task)

    def begin_check(self, ctx: Any, task: str) -> dict[str, Any]:
        """Begin a `check` as a long task, whose result is what `check` returns; returns `{"process"}`.

        Args:
            task: a name by which `progress` knows it.
        """
        return {"process": self._tasks.start(task, self.findings)}

    def check(self, ctx: Any) -> list[dict[str, Any]]:
        """Everything that is wrong with what is stored: rows of `kind` ("document", "index", "file",
        "storage" or "import"), `place` and `problem`.
        """
        return self.findings(lambda what, done, total: None)

    def findings(self, tick: Tick) -> list[dict[str, Any]]:
        """As `check`, for a caller in this process."""
        problems, is_whole = self._database.problems(_STORAGE_SECONDS)
        rows = [_finding("storage", "database", problem) for problem in problems]
        if not is_whole:
            rows.append(
                _finding("storage", "database", f"not all of it was looked at in {_STORAGE_SECONDS} s")
            )
        if problems:
            return rows
        for finding in check_documents(self._database, tick):
            rows.append(_finding("index" if finding.is_index else "document", finding.place, finding.text))
        rows += [_finding("file", id, problem) for id, problem in check_files(self._files, tick)]
        unfinished = self._database.read(lambda transaction: transaction.system.query("_imports").collect())
        tables = ", ".join(row["table"] for row in unfinished)
        if unfinished:
            rows.append(_finding("import", tables, "an import of more than these tables has not ended"))
        return rows

    def rebuild_indexes(self, ctx: Any) -> list[str]:
        """Rebuild every index that is wrong; returns their names."""
        return rebuild_indexes(self._database, check_documents(self._database))


_STORAGE_SECONDS = 3_600.0
_MAX_LINES = 1_000
_ISSUER = "https://operator.invalid"  # of an identity that an operator makes up


def _log_line(record: logging.LogRecord) -> str:
    return f"{record.levelname} {record.name}: {message_of(record)}"


def _why(failure: Exception) -> str:
    """What a call failed of: with the app's own frames, where it came to the app's code."""
    refused = isinstance(failure, MinihttpError) and (failure.public or not users_frames(failure))
    return str(failure) if refused else describe(failure, libraries=False)


def _caller(claims: dict[str, Any]) -> Caller:
    issuer, subject = claims.get("issuer", _ISSUER), claims.get("subject")
    if not isinstance(issuer, str) or not isinstance(subject, str):
        raise ArgumentValidationError(f"an identity has a subject, a text: {show(claims)}")
    identity = Identity(issuer, subject, claims)
    return Caller(lambda: identity)


def _finding(kind: str, place: str, problem: str) -> dict[str, Any]:
    return {"kind": kind, "place": place, "problem": problem}


def _reader(transaction: Transaction, table: str) -> Reader:
    return transaction.system if table.startswith("_") else transaction.reader


def _fields(transaction: Transaction, table: str, index: str) -> tuple[str, ...]:
    catalog = transaction.catalog
    info = (catalog.system if table.startswith("_") else catalog.user).named(table)
    if index in ("by_creation_time", "by_id"):
        return ({"by_creation_time": "_creationTime", "by_id": "_id"}[index],)
    found = info.indexes.get(index)
    return found.fields if found else ()  # the query says which there are


def _equal(index_range: Any, pairs: list[tuple[str, Any]]) -> Any:
    for field, value in pairs:
        index_range = index_range.eq(field, value)
    return index_range


_COMPARISONS = ("eq", "neq", "lt", "lte", "gt", "gte")


def _filtered(query: Any, condition: Mapping[str, Any]) -> Any:
    field, comparison = condition.get("field"), condition.get("is", "eq")
    if not isinstance(field, str) or comparison not in _COMPARISONS:
        raise DocumentError(
            "InvalidFilter", f"a condition has a field, and is one of {', '.join(_COMPARISONS)}"
        )
    return query.filter(lambda q: getattr(q, comparison)(q.field(field), condition.get("value")))


def _table_row(transaction: Transaction, name: str, info: TableInfo | None) -> dict[str, Any]:
    tag = ids.table_tag(name)
    count = transaction.engine.count(tag, tag + ids.ABOVE, COUNTED + 1)
    return {
        "name": name,
        "documents": min(count, COUNTED),
        "isCapped": count > COUNTED,
        "isDeclared": info is not None,
        "indexes": {i.name: list(i.fields) for i in info.indexes.values()} if info else {},
        "validator": convex_json(info.validator if info else None),
    }


def _function_row(function: Function, wire_args: Mapping[str, str]) -> dict[str, Any]:
    return {
        "name": function.name,
        "wireName": function.wire_name,
        "wireArgs": dict(wire_args),
        "kind": function.kind,
        "visibility": "public" if function.public else "internal",
        "args": convex_json(function.args),
        "returns": convex_json(function.returns),
        "about": function.__doc__ or "",
        "location": function.location,
    }


def _cron_row(transaction: Transaction, cron: Any, row: Mapping[str, Any] | None) -> dict[str, Any]:
    job = transaction.system.get(row["job"]) if row and "job" in row else None
    return {
        "name": cron.name,
        "function": cron.function if isinstance(cron.function, str) else cron.function.name,
        "args": cron.args,
        "schedule": cron.schedule,
        "nextRun": row["nextRun"] if row else cron.next_run(transaction.now) * 1000,
        "lastRun": job["scheduledTime"] if job else None,
        "lastState": job["state"]["kind"] if job else None,
        "lastError": (job["state"].get("error") or job.get("lastError")) if job else None,
    }
