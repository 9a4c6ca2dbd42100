# SPDX-License-Identifier: MIT
"""`Schema` and `Table`: which tables there are, what their documents look like, and what is indexed.

Every mistake in a declaration is found here, when the module that declares it is imported. Knows no database:
what a changed schema does to stored documents is in `catalog.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import SchemaError, did_you_mean
from ..values import show
from .validators import Object, Validator, check_tables

MAX_INDEXES = 32  # of a table; Convex's limit, as the next two
MAX_INDEX_FIELDS = 16
RESERVED_INDEXES = ("by_id", "by_creation_time")
_is_name = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}", re.ASCII).fullmatch
_is_table_name = re.compile(r"_?[A-Za-z][A-Za-z0-9_]{0,63}", re.ASCII).fullmatch


def check_table_name(name: object) -> str:
    """The name, if a table can be called that (a leading `_` marks a system table).

    Raises:
        SchemaError: otherwise.
    """
    if isinstance(name, str) and _is_table_name(name):
        return name
    raise SchemaError(
        f"Table name {show(name)} must be 1 to 64 letters, digits and underscores and begin with a letter"
    )


class Table:
    """The documents of one table.

    Args:
        fields: a mapping of field names to validators, or a validator: `v.object(…)`, a `v.union` of them,
            `v.any()`.
    """

    def __init__(self, fields: Mapping[str, Validator] | Validator) -> None:
        self.validator: Validator = fields if isinstance(fields, Validator) else Object(fields)
        self.indexes: dict[str, tuple[str, ...]] = {}
        if isinstance(self.validator, Object):
            for name in self.validator.fields:
                if name.startswith("_"):
                    raise SchemaError(
                        f"Field name {show(name)} begins with '_', which is reserved for system fields"
                    )

    def index(self, name: str, fields: Sequence[str]) -> Table:
        """Declare an index; returns the table, so that declarations chain.

        Args:
            name: unique in the table.
            fields: 1 to 16 field paths such as `"author"` or `"address.city"`; `_creationTime` and `_id`
                follow of
                themselves.

        Raises:
            SchemaError: for a name or field that cannot be.
        """
        where = f"Index {show(name)}"
        if not isinstance(name, str) or not _is_name(name):
            raise SchemaError(f"{where} must be named with 1 to 64 letters, digits and underscores")
        if name in RESERVED_INDEXES or name in self.indexes:
            raise SchemaError(
                f"{where} is already defined" if name in self.indexes else f"{where} is a reserved name"
            )
        if isinstance(fields, str) or not 1 <= len(fields) <= MAX_INDEX_FIELDS:
            raise SchemaError(
                f"{where} must have a list of 1 to {MAX_INDEX_FIELDS} fields, not {show(fields)}"
            )
        if len(self.indexes) == MAX_INDEXES:
            raise SchemaError(f"{where} would be one more than the {MAX_INDEXES} indexes a table may have")
        if len(set(fields)) < len(fields):
            raise SchemaError(f"{where} names a field twice: {show(list(fields))}")
        if fields[-1] in ("_creationTime", "_id"):
            raise SchemaError(
                f"{where} must not end with {fields[-1]}: every index ends with _creationTime and _id"
            )
        for field in fields:
            self._check_field(where, field)
        self.indexes[name] = tuple(fields)
        return self

    def _check_field(self, where: str, field: Any) -> None:
        if not isinstance(field, str) or not all(field.split(".")) or field == "_id":
            raise SchemaError(f"{where} has the field {show(field)}, which is not a field path")
        root = field.split(".")[0]
        if (
            isinstance(self.validator, Object)
            and root not in self.validator.fields
            and root != "_creationTime"
        ):
            hint = did_you_mean(root, self.validator.fields, show)
            raise SchemaError(f"{where} has the field {show(field)}, which the table does not have{hint}")


class Schema:
    """The tables of an app: `Schema(items=Table({...}).index("by_name", ["name"]))`.

    Args:
        schema_validation: False declares indexes only: documents are not checked and undeclared tables are
            allowed.
        tables: each table by its name.
    """

    def __init__(self, *, schema_validation: bool = True, **tables: Table) -> None:
        for name, table in tables.items():
            check_table_name(name)
            if name.startswith("_"):
                raise SchemaError(
                    f"Table name {show(name)} begins with '_', which is reserved for system tables"
                )
            if not isinstance(table, Table):
                raise SchemaError(f"Schema table {show(name)} must be a Table, not {show(table)}")
            if schema_validation:
                check_tables(table.validator, tables, f"Table {show(name)}")
        self.tables = dict(tables)
        self.schema_validation = schema_validation

    def __repr__(self) -> str:
        return f"<Schema of {', '.join(self.tables) or 'no tables'}>"
