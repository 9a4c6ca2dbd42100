# SPDX-License-Identifier: MIT
"""What is declared, bound to what is stored: tables with their numbered indexes, and how a changed schema is
taken in.

Index definitions, the checked validators and the database's secret are documents of three system tables, so
an engine needs nothing of them. Taking in a schema is one transaction: it is either wholly in force,
documents checked and indexes filled, or not at all. Knows no transactions of users.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from secrets import token_bytes
from typing import Any

from ..errors import DocumentError, SchemaError, StorageUnavailableError, ValidationError
from ..values import UNSET, Int64, copy, dumps, index_key, loads, show
from . import ids
from .backend import Entry, Reading, Writing
from .schema import Table, check_table_name
from .validators import Validator

Document = dict[str, Any]
_INDEXES, _CHECKED, _SETTINGS = "_indexes", "_checked", "_settings"
_SCAN_ROWS = 256
_FILL_ROWS = 1_024


def make_document(id: str, json: str) -> Document:
    """A document as users see it, with `_id` and `_creationTime` (milliseconds since the epoch)."""
    try:
        return {"_id": id, "_creationTime": ids.microseconds(id) / 1000, **loads(json)}
    except ValueError as error:
        raise StorageUnavailableError(f"The stored text of document {id} is damaged: {error}") from None


def field_value(document: Any, path: tuple[str, ...]) -> Any:
    """The value at a field path, UNSET where there is none."""
    for name in path:
        document = document.get(name, UNSET) if isinstance(document, dict) else UNSET
    return document


_LEAVES = frozenset([str, float, int, bool, bytes, Int64, type(None), type(UNSET)])


def _as_stored(value: Any) -> Any:
    return value if type(value) in _LEAVES else copy(value)


class Index:
    """An index: its number among the entries, and the field paths that make its keys."""

    __slots__ = ("fields", "name", "number", "paths")

    def __init__(self, number: int, name: str, fields: tuple[str, ...]) -> None:
        self.number = number
        self.name = name
        self.fields = fields
        self.paths = tuple(tuple(field.split(".")) for field in fields)

    def key(self, document: Document) -> bytes:
        """The key of a document, stored or fit to be."""
        return index_key([_as_stored(field_value(document, path)) for path in self.paths])


class TableInfo:
    """A table as the database knows it. `validator` is None where documents are not checked."""

    __slots__ = ("_by_time", "indexes", "name", "tag", "validator")

    def __init__(
        self, name: str, validator: Validator | None = None, indexes: Mapping[str, Index] | None = None
    ):
        self.name = name
        self.tag = ids.declare(name) if validator else ids.table_tag(name)
        ours = name.startswith("_") and str(validator) == "v.any()"  # writing such a row checks enough
        self.validator = None if ours else validator
        self.indexes = indexes or {}
        self._by_time = any(("_creationTime",) in index.paths for index in self.indexes.values())

    def entries(self, id: str, fields: Document) -> list[Entry]:
        """The index entries of a document, from its fields as they are stored or are fit to be."""
        if self._by_time:
            fields = {**fields, "_creationTime": ids.microseconds(id) / 1000}
        return [(index.number, index.key(fields)) for index in self.indexes.values()]


class Tables:
    """The tables that one view of the database may name.

    Args:
        declared: by name.
        system: whether this is the view of tables whose names begin with `_`.
        open: whether a table comes into being by being named.
    """

    def __init__(self, declared: Mapping[str, TableInfo], *, system: bool, open: bool) -> None:
        self._declared = declared
        self._system = system
        self._open = open

    def admits(self, name: str) -> bool:
        """Whether a document of that table may be seen here."""
        return name in self._declared if self._system else not name.startswith("_")

    def named(self, name: object) -> TableInfo:
        """The table of that name; one that does not exist is empty.

        Raises:
            DocumentError: for what cannot be a table of this view.
        """
        found = self._declared.get(name) if isinstance(name, str) else None
        return found or self._undeclared(name)

    def writable(self, name: object) -> TableInfo:
        """As `named`, for writing: an undeclared table is refused where a schema is enforced."""
        found = self._declared.get(name) if isinstance(name, str) else None
        if found is None and isinstance(name, str) and name.startswith("_"):
            raise DocumentError("InvalidTable", "System tables (prefixed with `_`) are read-only.")
        if found is None and not self._open:
            raise DocumentError("InvalidTable", f"Table {show(name)} is not in the schema.")
        return found or self._undeclared(name)

    def _undeclared(self, name: object) -> TableInfo:
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
        return TableInfo(table)


# ---------------------------------------------------------------- taking in a schema


def stored_documents(engine: Reading, table: str) -> Iterator[tuple[str, str]]:
    """Every (id, JSON text) of a table in the order of creation."""
    tag = ids.table_tag(table)
    start, stop = tag, tag + ids.ABOVE
    while rows := engine.scan(start, stop, reverse=False, limit=_SCAN_ROWS):
        yield from rows
        start = rows[-1][0] + "0"


class Migration:
    """Brings a database in line with a schema, inside one write transaction.

    Args:
        engine: the transaction.
        make_id: a table's tag -> a new id.
    """

    def __init__(self, engine: Writing, make_id: ids.IdMaker) -> None:
        self._engine = engine
        self._make_id = make_id

    def run(self, tables: Mapping[str, Table], unchecked: frozenset[str]) -> dict[str, TableInfo]:
        """Check documents against changed validators, drop and fill indexes.

        Args:
            tables: every declared table, system tables too.
            unchecked: the names of those whose documents are not checked.

        Raises:
            SchemaError: naming the first document that does not match, and why; nothing is changed then.
        """
        self._refuse_collisions(tables)
        checked = {name: table.validator for name, table in tables.items() if name not in unchecked}
        self._check_documents(checked)
        indexes = self._settle_indexes(tables)
        return {name: TableInfo(name, checked.get(name), indexes[name]) for name in tables}

    def _refuse_collisions(self, tables: Mapping[str, Table]) -> None:
        by_tag: dict[str, str] = {}
        for name in (*tables, _INDEXES, _CHECKED, _SETTINGS):
            other = by_tag.setdefault(ids.table_tag(name), name)
            if other != name:
                raise SchemaError(
                    f"Tables {show(other)} and {show(name)} would share their ids; rename one of them"
                )

    def _check_documents(self, validators: Mapping[str, Validator]) -> None:
        before = {row["table"]: row for row in self._rows(_CHECKED)}
        for name, validator in validators.items():
            row = before.pop(name, None)
            if row is None or row["validator"] != str(validator):
                self._check_table(name, validator)
                self._replace(_CHECKED, row, {"table": name, "validator": str(validator)})
        for row in before.values():
            self._replace(_CHECKED, row, None)

    def _check_table(self, name: str, validator: Validator) -> None:
        for id, json in stored_documents(self._engine, name):
            try:  # what `check` has to change (a null it drops, an int it widens) does not match as it is
                if dumps(validator.check(loads(json))) == json:
                    continue
                reason = f"its stored form is not that of {validator}"
            except ValidationError as error:
                reason = str(error)
            raise SchemaError(
                f'Document with ID "{id}" in table "{name}" does not match the schema: {reason}'
            )

    def _settle_indexes(self, tables: Mapping[str, Table]) -> dict[str, dict[str, Index]]:
        rows = self._rows(_INDEXES)
        number = max((row["number"] for row in rows), default=0)
        kept: dict[tuple[str, str], Index] = {}
        for row in rows:
            table, fields = tables.get(row["table"]), tuple(row["fields"])
            if table is not None and table.indexes.get(row["name"]) == fields:
                kept[row["table"], row["name"]] = Index(row["number"], row["name"], fields)
            else:
                self._engine.drop_index(row["number"])
                self._replace(_INDEXES, row, None)
        out: dict[str, dict[str, Index]] = {}
        for table_name, table in tables.items():
            out[table_name] = {}
            new = []
            for name, fields in table.indexes.items():
                index = kept.get((table_name, name))
                if index is None:
                    number += 1
                    index = Index(number, name, fields)
                    new.append(index)
                out[table_name][name] = index
            self._fill(table_name, new)
        return out

    def _fill(self, table: str, new: list[Index]) -> None:
        for index in new:
            row = {"table": table, "name": index.name, "fields": list(index.fields), "number": index.number}
            self._replace(_INDEXES, None, row)
        rows: list[tuple[int, bytes, str]] = []
        for id, json in stored_documents(self._engine, table) if new else ():
            document = make_document(id, json)
            rows += [(index.number, index.key(document), id) for index in new]
            if len(rows) >= _FILL_ROWS:
                self._engine.add_entries(rows)
                rows = []
        self._engine.add_entries(rows)

    def secret(self) -> bytes:
        """The database's 32 random bytes, made the first time."""
        for row in self._rows(_SETTINGS):
            if row["name"] == "secret":
                found: bytes = row["value"]
                return found
        secret = token_bytes(32)
        self._replace(_SETTINGS, None, {"name": "secret", "value": secret})
        return secret

    def _rows(self, table: str) -> list[Document]:
        return [make_document(id, json) for id, json in stored_documents(self._engine, table)]

    def _replace(self, table: str, row: Document | None, fields: Document | None) -> None:
        """Delete the row, or write one with these fields in its place."""
        if row is not None:
            self._engine.delete(row["_id"], ())
        if fields is not None:
            self._engine.put(self._make_id.make(ids.table_tag(table)), table, dumps(fields), (), ())
