# SPDX-License-Identifier: MIT
"""Validators as JSON Schema (2020-12, which OpenAPI 3.1 uses), as clients of plain JSON see their values.

How an int64, bytes and a number that is not finite are written depends on where: see `values/formats.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ..values import encode_clean, encode_wire
from .validators import Array, Id, Literal, Object, Optional, Record, Union, Validator

Schema = dict[str, Any]

_NEVER: Schema = {"not": {}}
_SCALARS: dict[str, Schema] = {
    "v.null()": {"type": "null"},
    "v.boolean()": {"type": "boolean"},
    "v.string()": {"type": "string"},
}
_NUMBER: Schema = {"type": "number"}


def _tagged(tag: str) -> Schema:
    text = {"type": "string", "contentEncoding": "base64"}
    return {"type": "object", "properties": {tag: text}, "required": [tag], "additionalProperties": False}


class Writing(NamedTuple):
    """How values are written somewhere: the schemas of those that JSON has no form for."""

    scalars: Mapping[str, Schema]
    encode: Callable[[Any], Any]


OF_ROUTES = Writing(
    {
        **_SCALARS,
        "v.number()": _NUMBER,
        "v.int64()": {"type": "integer", "format": "int64"},
        "v.bytes()": _NEVER,  # `Response.json` refuses them, and no JSON is bytes
    },
    lambda value: value,
)
"""JSON as routes take and give it."""
OF_ARGUMENTS = Writing(
    {**_SCALARS, "v.number()": _NUMBER, "v.int64()": _tagged("$integer"), "v.bytes()": _tagged("$bytes")},
    encode_wire,
)
"""Arguments of the function API, in each of its formats."""
OF_RESULTS = Writing(
    {
        **_SCALARS,
        "v.number()": {"anyOf": [_NUMBER, {"enum": ["NaN", "Infinity", "-Infinity"]}]},
        "v.int64()": {"type": "string", "pattern": "^-?[0-9]+$", "description": "A 64-bit integer"},
        "v.bytes()": {"type": "string", "contentEncoding": "base64"},
    },
    encode_clean,
)
"""Results of the function API in format `json`."""


def json_schema(validator: Validator | None, writing: Writing) -> Schema:
    """The JSON Schema of a validator; of None, which takes anything, `{}`."""
    make = _MAKERS.get(type(validator))
    return make(validator, writing) if make else dict(writing.scalars.get(str(validator), {}))


def _object(validator: Any, writing: Writing) -> Schema:
    fields = validator.fields.items()
    schema: Schema = {
        "type": "object",
        "properties": {name: json_schema(field, writing) for name, field in fields},
        "additionalProperties": False,
    }
    required = [name for name, field in fields if not field.is_optional]
    return {**schema, "required": required} if required else schema


def _record(validator: Any, writing: Writing) -> Schema:
    key: Schema = {**json_schema(validator.keys, writing), "pattern": "^(?![$_])"}
    if isinstance(validator.keys, Id):
        key = json_schema(validator.keys, writing)
    return {
        "type": "object",
        "propertyNames": key,
        "additionalProperties": json_schema(validator.values, writing),
    }


_MAKERS: dict[Any, Callable[[Any, Writing], Schema]] = {
    Array: lambda it, writing: {"type": "array", "items": json_schema(it.element, writing)},
    Id: lambda it, writing: {
        "type": "string",
        "pattern": "^[0-9a-v]{32}$",
        "description": f"The id of a document of {it.table!r}",
    },
    Literal: lambda it, writing: {"const": writing.encode(it.value)},
    Object: _object,
    Optional: lambda it, writing: json_schema(it.inner, writing),
    Record: _record,
    Union: lambda it, writing: (
        {"anyOf": [json_schema(member, writing) for member in it.members]} if it.members else _NEVER
    ),
}
