# SPDX-License-Identifier: MIT
"""What is declared, bound to what is stored: tables with their numbered indexes. Knows no transactions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from typing import Any

from ..errors import DocumentError, SchemaError, TableNotReadyError, did_you_mean
from ..values import UNSET, Int64, StoredDocument, copy, index_key, show
from . import ids
from .backend import Entry, Guard
from .schema import check_table_name
from .validators import Validator

Document = dict[str, Any]


def make_document(id: str, json: str) -> Document:
    """A document as users see it, with `_id` and `_creationTime` (milliseconds since the epoch); its text is
    decoded when somebody looks into it.
    """
    return StoredDocument(id, ids.microseconds(id), json)


def make_documents(rows: Iterable[tuple[bytes, str, str]]) -> list[Document]:
    """Many, of rows of (key, id, text)."""
    begin, end = ids.TAG_LENGTH, ids.TIME_END
    return [StoredDocument(id, int(id[begin:end], 32), json) for _, id, json in rows]


def field_value(document: Any, path: tuple[str, ...]) -> Any:
    """The value at a field path, UNSET where there is none."""
    for name in path:
        document = document.get(name, UNSET) if isinstance(document, dict) else UNSET
    return document


_LEAVES = frozenset([str, float, int, bool, bytes, Int64, type(None), type(UNSET)])


def _as_stored(value: Any) -> Any:
    return value if type(value) in _LEAVES else copy(value)


class Index:
    """An index: its number among the entries, and the field paths that make its keys.

    Attributes:
        ready: whether every document is in it; only then it answers queries.
    """

    __slots__ = ("fields", "name", "number", "paths", "ready")

    def __init__(self, number: int, name: str, fields: tuple[str, ...], ready: bool = True) -> None:
        self.number = number
        self.ready = ready
        self.name = name
        self.fields = fields
        self.paths = tuple(tuple(field.split(".")) for field in fields)

    def key(self, document: Document) -> bytes:
        """The key of a document, stored or fit to be."""
        return index_key([_as_stored(field_value(document, path)) for path in self.paths])


class TableInfo:
    """A table as the database knows it.

    Args:
        validator: None where documents are not checked.
        indexes: those that the app declares, by name.
        stored: every index of the table that the database has, also of other versions of the app: whoever
            writes a document keeps all of them true.
    """

    __slots__ = ("_by_time", "indexes", "name", "stored", "tag", "validator")

    def __init__(
        self,
        name: str,
        validator: Validator | None = None,
        indexes: Mapping[str, Index] | None = None,
        stored: Iterable[Index] = (),
    ):
        self.name = name
        self.tag = ids.declare(name) if validator else ids.table_tag(name)
        ours = name.startswith("_") and str(validator) == "v.any()"  # writing such a row checks enough
        self.validator = None if ours else validator
        self.indexes = indexes or {}
        self.stored = tuple(stored)
        self._by_time = any(("_creationTime",) in index.paths for index in self.stored)

    def entries(self, id: str, fields: Document) -> list[Entry]:
        """The index entries of a document, from its fields as they are stored or are fit to be."""
        if self._by_time:
            fields = {**fields, "_creationTime": ids.microseconds(id) / 1000}
        return [(index.number, index.key(fields)) for index in self.stored]


class Tables:
    """The tables that one view of the database may name.

    Args:
        declared: by name.
        system: whether this is the view of tables whose names begin with `_`.
        open: whether a table comes into being by being named.
        others: tables that are not declared and have indexes all the same, by name.
        waiting: the names of those declared whose documents are still to be compared with their validators:
            nobody reads or writes them.
    """

    def __init__(
        self,
        declared: Mapping[str, TableInfo],
        *,
        system: bool,
        open: bool,
        others: Mapping[str, TableInfo] | None = None,
        waiting: Set[str] = frozenset(),
    ) -> None:
        self._all = declared
        self._declared = {name: info for name, info in declared.items() if name not in waiting}
        self._waiting = waiting
        self._others = others or {}
        self._system = system
        self._open = open

    def __iter__(self) -> Iterator[TableInfo]:
        return iter(self._all.values())

    def check_side(self, id: str, operation: str) -> None:
        """Refuse the id of a system table where the user's are, and the other way round, as Convex does.

        Raises:
            DocumentError: naming where it belongs.
            TableNotReadyError: for the id of a table that waits.
        """
        table = ids.table_of(id)
        if (table is not None and table[0] == "_") is self._system:
            if table in self._waiting:
                raise _not_ready(table)
            return
        if self._system:
            message = f"db.system.{operation} takes the id of a system table, not {show(id)}."
        elif operation == "get":
            message = f"System tables can only be accessed from db.system.{operation}(): {show(id)}."
        else:
            message = "System tables (prefixed with `_`) are read-only."
        raise DocumentError("InvalidTable", message).refusing(id)

    def others(self) -> list[TableInfo]:
        """Tables that are not declared and have indexes all the same."""
        return list(self._others.values())

    def admits(self, name: str) -> bool:
        """Whether a document of that table may be seen here."""
        return name in self._declared if self._system else not name.startswith("_")

    def named(self, name: object) -> TableInfo:
        """The table of that name; one that does not exist is empty where no schema is enforced.

        Raises:
            DocumentError: for what cannot be a table of this view, or is not in the schema.
            TableNotReadyError: for one that waits.
        """
        found = self._declared.get(name) if isinstance(name, str) else None
        return found or self._undeclared(name)

    def writable(self, name: object) -> TableInfo:
        """As `named`, for writing."""
        found = self._declared.get(name) if isinstance(name, str) else None
        if found is None and isinstance(name, str) and name.startswith("_"):
            raise DocumentError("InvalidTable", "System tables (prefixed with `_`) are read-only.")
        return found or self._undeclared(name)

    def _undeclared(self, name: object) -> TableInfo:
        if isinstance(name, str) and name in self._waiting:
            raise _not_ready(name)
        if not (self._open or self._system or str(name).startswith("_")):
            near = did_you_mean(str(name), self._declared, show)
            raise DocumentError("InvalidTable", f"Table {show(name)} is not in the schema{near or '.'}")
        try:
            table = check_table_name(name)
        except SchemaError as error:
            raise DocumentError("InvalidTable", str(error)) from None
        if table.startswith("_") and not self._system:
            raise DocumentError(
                "InvalidTable", f"System tables can only be accessed from db.system: {show(table)}."
            )
        if self._system:
            raise DocumentError("InvalidTable", f"There is no system table {show(table)} here.")
        return self._others.get(table) or TableInfo(table)


def _not_ready(name: object) -> TableNotReadyError:
    return TableNotReadyError(f"Table {show(name)} is being compared with its new schema; try again later")


class Catalog:
    """All that a transaction has to know of its database.

    Attributes:
        user: the tables of `ctx.db`.
        system: the framework's own.
        public_system: those of them that `ctx.db.system` shows.
        ids: makes new ones.
        secret: 32 random bytes, made once per database, for cursors and signed URLs.
        guard: the document that says which indexes there are; another text of it is another catalog.
    """

    __slots__ = ("guard", "ids", "public_system", "secret", "system", "user")

    def __init__(
        self,
        user: Tables,
        system: Tables,
        public_system: Tables,
        make_id: ids.IdMaker,
        secret: bytes,
        guard: Guard,
    ) -> None:
        self.user, self.system, self.public_system = user, system, public_system
        self.ids, self.secret, self.guard = make_id, secret, guard

    def tables(self) -> list[TableInfo]:
        """Every declared table, the framework's too."""
        return [*self.user, *self.system]

    def indexed_tables(self) -> list[TableInfo]:
        """Every declared table and those that have indexes of another version of the app."""
        return [*self.tables(), *self.user.others(), *self.system.others()]
