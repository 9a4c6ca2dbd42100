# SPDX-License-Identifier: MIT
"""Validators as JSON Schema (2020-12, which OpenAPI 3.1 uses), as clients of plain JSON see their values.

An int64 is a text and bytes are base64 in format `json`, see `values/formats.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .validators import Array, Id, Literal, Object, Optional, Record, Union, Validator

Schema = dict[str, Any]

_SCALARS: dict[str, Schema] = {
    "v.null()": {"type": "null"},
    "v.number()": {"type": "number"},
    "v.int64()": {"type": "string", "pattern": "^-?[0-9]+$", "description": "A 64-bit integer"},
    "v.boolean()": {"type": "boolean"},
    "v.string()": {"type": "string"},
    "v.bytes()": {"type": "string", "contentEncoding": "base64"},
}


def json_schema(validator: Validator | None) -> Schema:
    """The JSON Schema of a validator; of None, which takes anything, `{}`."""
    make = _MAKERS.get(type(validator))
    return make(validator) if make else dict(_SCALARS.get(str(validator), {}))


def _object(validator: Any) -> Schema:
    fields = validator.fields.items()
    schema: Schema = {
        "type": "object",
        "properties": {name: json_schema(field) for name, field in fields},
        "additionalProperties": False,
    }
    required = [name for name, field in fields if not field.is_optional]
    return {**schema, "required": required} if required else schema


_MAKERS: dict[Any, Callable[[Any], Schema]] = {
    Array: lambda it: {"type": "array", "items": json_schema(it.element)},
    Id: lambda it: {"type": "string", "description": f"The id of a document of {it.table!r}"},
    Literal: lambda it: {"const": it.value},
    Object: _object,
    Optional: lambda it: json_schema(it.inner),
    Record: lambda it: {"type": "object", "additionalProperties": json_schema(it.values)},
    Union: lambda it: (
        {"anyOf": [json_schema(member) for member in it.members]} if it.members else {"not": {}}
    ),
}
