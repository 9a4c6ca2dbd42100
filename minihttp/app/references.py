# SPDX-License-Identifier: MIT
"""Which documents refer to others, by the ids in their fields: found along indexes, else among the newest.

Never a scan of a whole table: of fields that no index begins with, only so many documents are looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..data import ids
from ..data.validators import Id, Optional, Validator
from ..data.walks import convex_json, map_ids

if TYPE_CHECKING:
    from ..data.catalog import Document, TableInfo
    from ..data.documents import Transaction

_FOUND = 20  # of one field, for one id
_LOOKED_AT = 200  # documents of a table


def references(transaction: Transaction, wanted: list[str]) -> dict[str, Any]:
    """The documents of the app's tables that refer to any of some ids.

    Args:
        wanted: ids of one table.

    Returns:
        `rows` of `id` (which of those), `table`, `document` (who refers to it) and `field`; and `partial`:
        the tables of which not every document was looked at.
    """
    rows: list[dict[str, Any]] = []
    partial: list[str] = []
    table = _table_of(transaction, wanted)
    for info in transaction.catalog.tables() if table else ():
        if not info.name.startswith("_") and _may_refer(convex_json(info.validator), table):
            found, is_whole = _in_table(transaction, info, table, wanted)
            rows += found
            partial += [] if is_whole else [info.name]
    return {"rows": rows, "partial": partial}


def _table_of(transaction: Transaction, wanted: list[str]) -> str:
    row = transaction.engine.get(wanted[0]) if wanted and ids.is_id(wanted[0]) else None
    return row[0] if row else ""


def _in_table(
    transaction: Transaction, info: TableInfo, table: str, wanted: list[str]
) -> tuple[list[dict[str, Any]], bool]:
    fields = getattr(info.validator, "fields", {})
    firsts = {index.fields[0]: name for name, index in info.indexes.items()}
    indexed = {field: name for field, name in firsts.items() if _is_id_of(fields.get(field), table)}
    rows: list[dict[str, Any]] = []
    is_whole = True
    for field, name in indexed.items():
        for id in wanted:
            query = transaction.reader.query(info.name).with_index(name, _equal(field, id))
            found = query.take(_FOUND + 1)
            is_whole &= len(found) <= _FOUND
            rows += [_row(id, info.name, document, field) for document in found[:_FOUND]]
    others = {field: kind for field, kind in fields.items() if field not in indexed}
    if not fields or any(_may_refer(convex_json(kind), table) for kind in others.values()):
        newest = transaction.reader.query(info.name).order("desc").take(_LOOKED_AT + 1)
        is_whole &= len(newest) <= _LOOKED_AT
        for document in newest[:_LOOKED_AT]:
            rows += _in_document(info, document, others, indexed, set(wanted))
    return rows, is_whole


def _equal(field: str, id: str) -> Callable[[Any], Any]:
    return lambda q: q.eq(field, id)


def _in_document(
    info: TableInfo,
    document: Document,
    validators: Mapping[str, Validator],
    indexed: Mapping[str, str],
    wanted: set[str],
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for field, value in document.items():
        if field in indexed or field.startswith("_"):
            continue
        seen: dict[str, None] = {}

        def note(_: str | None, text: str, seen: dict[str, None] = seen) -> str:
            seen[text] = None
            return text

        map_ids(validators.get(field), value, note)
        rows += [_row(id, info.name, document, field) for id in seen if id in wanted]
    return rows


def _row(id: str, table: str, document: Document, field: str) -> dict[str, Any]:
    return {"id": id, "table": table, "document": document["_id"], "field": field}


def _is_id_of(validator: Validator | None, table: str) -> bool:
    inner = validator.inner if isinstance(validator, Optional) else validator
    return isinstance(inner, Id) and inner.table == table


def _may_refer(validator: Any, table: str) -> bool:
    """Whether a validator, in Convex's JSON form, allows an id of the table somewhere."""
    if isinstance(validator, list):
        return any(_may_refer(part, table) for part in validator)
    if not isinstance(validator, dict):
        return False
    if validator.get("type") == "id":
        return bool(validator["tableName"] == table)
    return validator.get("type") == "any" or any(_may_refer(part, table) for part in validator.values())
