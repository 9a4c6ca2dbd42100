# SPDX-License-Identifier: MIT
from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minihttp.data.json_schema import json_schema
from minihttp.data.validators import Validator, v
from minihttp.errors import ValidationError

CASES: list[tuple[Validator, dict[str, Any]]] = [
    (v.null(), {"type": "null"}),
    (v.number(), {"type": "number"}),
    (v.boolean(), {"type": "boolean"}),
    (v.string(), {"type": "string"}),
    (v.any(), {}),
    (v.literal("a"), {"const": "a"}),
    (v.array(v.string()), {"type": "array", "items": {"type": "string"}}),
    (v.record(v.string(), v.number()), {"type": "object", "additionalProperties": {"type": "number"}}),
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
    assert json_schema(validator) == schema


def test_ids_int64s_and_bytes_are_texts() -> None:
    for validator in (v.id("users"), v.int64(), v.bytes()):
        assert json_schema(validator)["type"] == "string"
    assert json_schema(None) == {}


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
    taken = jsonschema.Draft202012Validator(json_schema(validator)).is_valid(value)
    try:
        validator.check(value)
    except ValidationError:
        assert not taken
    else:
        assert taken or _has_absent_none(value)


def _has_absent_none(value: Any) -> bool:
    """None for an optional field is taken as absent, which JSON Schema cannot say."""
    return isinstance(value, dict) and None in value.values()
