# SPDX-License-Identifier: MIT
"""Validators as Convex's JSON (`values/validators.ts` of its client), and ids found by them."""

from __future__ import annotations

from typing import Any

import pytest

from minihttp import v
from minihttp.data.walks import convex_json, map_ids, type_text


def test_every_kind_as_convex_writes_it() -> None:
    validator = v.object(
        {
            "a": v.string(),
            "b": v.optional(v.int64()),
            "c": v.array(v.id("users")),
            "d": v.record(v.string(), v.number()),
            "e": v.union(v.literal("x"), v.null(), v.boolean(), v.bytes(), v.any()),
        }
    )
    assert convex_json(validator) == {
        "type": "object",
        "value": {
            "a": {"fieldType": {"type": "string"}, "optional": False},
            "b": {"fieldType": {"type": "bigint"}, "optional": True},
            "c": {
                "fieldType": {"type": "array", "value": {"type": "id", "tableName": "users"}},
                "optional": False,
            },
            "d": {
                "fieldType": {
                    "type": "record",
                    "keys": {"type": "string"},
                    "values": {"fieldType": {"type": "number"}, "optional": False},
                },
                "optional": False,
            },
            "e": {
                "fieldType": {
                    "type": "union",
                    "value": [
                        {"type": "literal", "value": "x"},
                        {"type": "null"},
                        {"type": "boolean"},
                        {"type": "bytes"},
                        {"type": "any"},
                    ],
                },
                "optional": False,
            },
        },
    }
    assert convex_json(None) == {"type": "any"}


def change(table: str | None, text: str) -> str:
    return f"{table}!" if text in (f"id of {table}", "any id") else text


@pytest.mark.parametrize(
    ("validator", "value", "expected"),
    [
        (v.id("a"), "id of a", "a!"),
        (v.string(), "id of a", "id of a"),
        (v.optional(v.array(v.id("a"))), ["id of a", 1], ["a!", 1]),
        (v.array(v.string()), ["any id"], ["any id"]),
        (v.record(v.string(), v.id("a")), {"any id": "id of a"}, {"any id": "a!"}),
        (v.object({"x": v.id("a")}), {"x": "id of a", "y": "any id"}, {"x": "a!", "y": "any id"}),
        (v.any(), {"x": ["any id", {"y": "any id"}]}, {"x": ["None!", {"y": "None!"}]}),
        (None, ["any id"], ["None!"]),
        (v.union(v.literal("b!"), v.string()), "any id", "any id"),
        (v.union(v.null(), v.literal("a!"), v.number()), "id of a", "id of a"),
        (v.union(v.number(), v.any()), "any id", "None!"),
        (v.number(), 5, 5),
    ],
)
def test_ids_are_changed_where_they_may_stand(validator: Any, value: Any, expected: Any) -> None:
    assert map_ids(validator, value, change) == expected


@pytest.mark.parametrize(
    ("validator", "text"),
    [
        (v.id("users"), "id<users>"),
        (v.array(v.int64()), "array<int64>"),
        (v.union(v.literal("open"), v.literal(1), v.null()), '"open" | 1.0 | null'),
        (v.record(v.string(), v.number()), "record<string, number>"),
        (v.object({"name": v.string(), "note": v.optional(v.any())}), "{name: string, note?: any}"),
    ],
)
def test_a_type_in_a_line(validator: Any, text: str) -> None:
    assert type_text(convex_json(validator)) == text
