# SPDX-License-Identifier: MIT
"""How a changed schema is taken in.

Index definitions, the checked validators and the database's secret are documents of three system tables, so
an engine needs nothing of them. Taking in a schema is one transaction: it is either wholly in force,
documents checked and indexes filled, or not at all. Knows no transactions of users.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from secrets import token_bytes

from ..errors import SchemaError, ValidationError
from ..values import dumps, loads, show
from . import ids
from .backend import Reading, Writing
from .catalog import Document, Index, TableInfo, make_document
from .schema import Table
from .validators import Validator

_INDEXES, _CHECKED, _SETTINGS = "_indexes", "_checked", "_settings"
_SCAN_ROWS = 256
_FILL_ROWS = 1_024


def stored_documents(engine: Reading, table: str) -> Iterator[tuple[str, str]]:
    """Every (id, JSON text) of a table in the order of creation."""
    tag = ids.table_tag(table)
    start, stop = tag, tag + ids.ABOVE
    while rows := engine.scan(start, stop, reverse=False, limit=_SCAN_ROWS):
        yield from rows
        start = rows[-1][0] + "0"


def stored_tables(engine: Reading) -> list[str]:
    """The name of every table that has documents, system tables too; one look for each of them."""
    names, start = [], ""
    while rows := engine.scan(start, ids.ABOVE, reverse=False, limit=1):
        id = rows[0][0]
        found = engine.get(id)
        if found is not None:
            names.append(found[0])
        start = id[: ids.TAG_LENGTH] + ids.ABOVE
    return sorted(names)


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
        indexes = self._migrate_indexes(tables)
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

    def _migrate_indexes(self, tables: Mapping[str, Table]) -> dict[str, dict[str, Index]]:
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
