# SPDX-License-Identifier: MIT
"""What is read off a validator beside checking: its form as Convex's JSON and for people, and where ids stand
in a value."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import ValidationError
from ..values import encode_wire
from .validators import Array, Id, Literal, Object, Optional, Record, Union, Validator

Change = Callable[["str | None", str], str]


def convex_json(validator: Validator | None) -> dict[str, Any]:
    """A validator in the JSON form of Convex's function specs: `{"type": "id", "tableName": "users"}`."""
    if isinstance(validator, Optional):
        return convex_json(validator.inner)
    if isinstance(validator, Id):
        return {"type": "id", "tableName": validator.table}
    if isinstance(validator, Literal):
        return {"type": "literal", "value": encode_wire(validator.value)}
    if isinstance(validator, Array):
        return {"type": "array", "value": convex_json(validator.element)}
    if isinstance(validator, Object):
        return {"type": "object", "value": {n: _field(field) for n, field in validator.fields.items()}}
    if isinstance(validator, Record):
        return {"type": "record", "keys": convex_json(validator.keys), "values": _field(validator.values)}
    if isinstance(validator, Union):
        return {"type": "union", "value": [convex_json(member) for member in validator.members]}
    name = "any" if validator is None else validator.text[2:-2]  # of v.string()
    return {"type": {"int64": "bigint"}.get(name, name)}


def _field(validator: Validator) -> dict[str, Any]:
    return {"fieldType": convex_json(validator), "optional": validator.is_optional}


def fields_of(kind: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a validator in that form; none where it is not one of objects."""
    return dict(kind["value"]) if kind["type"] == "object" else {}


def type_text(kind: Mapping[str, Any]) -> str:
    """`id<users>`, `array<string>`, `"open" | "paid"`, `{name: string, note?: string}`."""
    value = kind.get("value")
    match kind["type"]:
        case "id":
            return f"id<{kind['tableName']}>"
        case "literal":
            return json.dumps(value, ensure_ascii=False)
        case "array":
            return f"array<{type_text(kind['value'])}>"
        case "union":
            return " | ".join(map(type_text, kind["value"])) or "never"
        case "record":
            return f"record<{type_text(kind['keys'])}, {type_text(kind['values']['fieldType'])}>"
        case "object":
            fields = [
                f"{name}{'?' if field['optional'] else ''}: {type_text(field['fieldType'])}"
                for name, field in kind["value"].items()
            ]
            return f"{{{', '.join(fields)}}}"
    return {"bigint": "int64"}.get(kind["type"], str(kind["type"]))


def map_ids(validator: Validator | None, value: Any, change: Change) -> Any:
    """The same value with another text wherever an id may stand.

    Args:
        validator: says where; without one, or for `v.any()`, any text may be an id.
        change: (table name or None, text) -> text. The table is None where the validator names none.
    """
    if isinstance(validator, Optional):
        return map_ids(validator.inner, value, change)
    if isinstance(validator, Union):
        return _map_union(validator, value, change)
    if isinstance(value, str):
        table = validator.table if isinstance(validator, Id) else None
        return change(table, value) if table or _is_any(validator) else value
    if isinstance(value, (list, tuple)):
        element = validator.element if isinstance(validator, Array) else None
        known = element is not None or _is_any(validator)
        return [map_ids(element, item, change) for item in value] if known else value
    if isinstance(value, dict):
        return dict(_map_field(validator, name, item, change) for name, item in value.items())
    return value


def _map_field(validator: Validator | None, name: str, item: Any, change: Change) -> tuple[str, Any]:
    if isinstance(validator, Object):
        field = validator.fields.get(name)
        return name, item if field is None else map_ids(field, item, change)
    if isinstance(validator, Record):
        return map_ids(validator.keys, name, change), map_ids(validator.values, item, change)
    if _is_any(validator):
        return change(None, name), map_ids(None, item, change)
    return name, item


def _map_union(validator: Union, value: Any, change: Change) -> Any:
    """By the first member that the changed value matches; unchanged where none does."""
    for member in validator.members:
        changed = map_ids(member, value, change)
        try:
            member.match(changed)
        except ValidationError:
            continue
        return changed
    return value


def _is_any(validator: Validator | None) -> bool:
    return validator is None or validator.text == "v.any()"
