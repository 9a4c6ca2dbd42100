# SPDX-License-Identifier: MIT
from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minihttp.data import ids
from minihttp.data.json_schema import OF_ARGUMENTS, OF_RESULTS, OF_ROUTES, json_schema
from minihttp.data.validators import Validator, v
from minihttp.errors import ValidationError
from minihttp.values import Int64, encode_clean, encode_wire

CASES: list[tuple[Validator, dict[str, Any]]] = [
    (v.null(), {"type": "null"}),
    (v.number(), {"type": "number"}),
    (v.boolean(), {"type": "boolean"}),
    (v.string(), {"type": "string"}),
    (v.any(), {}),
    (v.literal("a"), {"const": "a"}),
    (v.array(v.string()), {"type": "array", "items": {"type": "string"}}),
    (
        v.record(v.string(), v.number()),
        {
            "type": "object",
            "propertyNames": {"type": "string", "pattern": "^(?![$_])"},
            "additionalProperties": {"type": "number"},
        },
    ),
    (v.bytes(), {"not": {}}),
    (v.nullable(v.string()), {"anyOf": [{"type": "string"}, {"type": "null"}]}),
    (v.union(), {"not": {}}),
    (
        v.object({"a": v.string(), "b": v.optional(v.number())}),
        {
            "type": "object",
            "properties": {"a": {"type": "string"}, "b": {"type": "number"}},
            "additionalProperties": False,
            "required": ["a"],
        },
    ),
    (v.object({}), {"type": "object", "properties": {}, "additionalProperties": False}),
]


@pytest.mark.parametrize(("validator", "schema"), CASES, ids=lambda case: str(case)[:40])
def test_schemas(validator: Validator, schema: dict[str, Any]) -> None:
    assert json_schema(validator, OF_ROUTES) == schema


def test_ids_and_anything() -> None:
    for writing in (OF_ROUTES, OF_ARGUMENTS, OF_RESULTS):
        assert json_schema(v.id("users"), writing)["type"] == "string"
        assert json_schema(None, writing) == {}
    assert json_schema(v.int64(), OF_ROUTES) == {"type": "integer", "format": "int64"}


EVERYTHING = v.object(
    {
        "int": v.int64(),
        "bytes": v.bytes(),
        "number": v.number(),
        "id": v.id("users"),
        "which": v.union(v.literal(Int64(7)), v.literal(7), v.literal("seven")),
        "ids": v.record(v.id("users"), v.array(v.int64())),
    }
)
ID = ids.derived("users", 0, b"x")


def test_int64s_bytes_and_odd_numbers_are_written_as_the_function_api_writes_them() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    for number, which in ((float("nan"), Int64(7)), (-0.0, 7), (1, "seven"), (float("-inf"), 7.0)):
        value = {"int": Int64(-5), "bytes": b"\0\xff", "number": number, "id": ID, "which": which}
        value["ids"] = {ID: [Int64(2**62)]}
        EVERYTHING.check(value)
        result = jsonschema.Draft202012Validator(json_schema(EVERYTHING, OF_RESULTS))
        assert result.is_valid(encode_clean(value))
        if number == 1:  # what clients of plain JSON can say
            arguments = jsonschema.Draft202012Validator(json_schema(EVERYTHING, OF_ARGUMENTS))
            assert arguments.is_valid(encode_wire(value)) and not arguments.is_valid(encode_clean(value))


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["a", "b", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from([validator for validator, _ in CASES]), VALUES)
def test_a_schema_takes_what_its_validator_takes(validator: Validator, value: Any) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    taken = jsonschema.Draft202012Validator(json_schema(validator, OF_ROUTES)).is_valid(value)
    try:
        validator.check(value)
    except ValidationError:
        assert not taken
    else:
        assert taken or _has_absent_none(value)


def _has_absent_none(value: Any) -> bool:
    """None for an optional field is taken as absent, which JSON Schema cannot say."""
    return isinstance(value, dict) and None in value.values()
