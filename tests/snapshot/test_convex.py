# SPDX-License-Identifier: MIT
"""Convex's ids and encodings, by the examples of its own tests and by round trips."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minihttp import Int64
from minihttp.errors import SnapshotError
from minihttp.snapshot.convex import decoder, read_id, read_shape, write_id


def test_the_id_of_convex_own_test() -> None:
    """`test_document_id_stability` in crates/value/src/id_v6.rs."""
    internal = bytearray([251] * 16)
    for place in range(1, 16):
        internal[place] = internal[place - 1] * 251 % 256
    assert write_id(1017, bytes(internal)) == "z43zp6c3e75gkmz1kfwj6mbbx5sw281h"
    assert read_id("z43zp6c3e75gkmz1kfwj6mbbx5sw281h") == (1017, bytes(internal))


@given(st.integers(1, 2**32 - 1), st.binary(min_size=16, max_size=16))
def test_ids_come_back(number: int, internal: bytes) -> None:
    assert read_id(write_id(number, internal)) == (number, internal)


@given(st.one_of(st.text(alphabet="0123456789abcdefghjkmnpqrstvwxyz", min_size=30, max_size=38), st.text()))
def test_any_text_is_an_id_or_is_not(text: str) -> None:
    found = read_id(text)
    assert found is None or write_id(*found) == text


@pytest.mark.parametrize(
    "text", ["z43zp6c3e75gkmz1kfwj6mbbx5sw281j", "sssswsgggggggggsgcsssfafffsffks", "", None, 5, "i" * 32]
)
def test_what_is_no_id(text: Any) -> None:
    assert read_id(text) is None


def decoded(schema: list[Any] | None, *documents: Any) -> list[Any]:
    lines = None if schema is None else [json.dumps(line).encode() for line in schema]
    read = decoder(lines)
    return [read(d.encode() if isinstance(d, str) else json.dumps(d).encode()) for d in documents]


def test_without_a_schema_values_are_encoded_json() -> None:
    line = '{"n":1,"big":{"$integer":"AQAAAAAAAAA="},"raw":{"$bytes":"AAE="}}'
    assert decoded(None, line) == [{"n": 1, "big": Int64(1), "raw": b"\0\x01"}]
    assert type(decoded(None, line)[0]["n"]) is int


def test_uniform_tells_int64_from_float64_by_the_point() -> None:
    [value] = decoded(
        ["uniform"], '{"a":1,"b":1.0,"c":-0.0,"d":{"$float":"AAAAAAAA8H8="},"e":[9007199254740993]}'
    )
    assert value == {"a": Int64(1), "b": 1.0, "c": 0.0, "d": math.inf, "e": [Int64(9007199254740993)]}
    assert type(value["a"]) is Int64 and type(value["b"]) is float and math.copysign(1, value["c"]) == -1


def test_a_shape_says_what_a_string_is() -> None:
    shape = '{"_id": "a", "big": int64, "f": inf | normalfloat64, "list": array<bytes>, "t": field_name}'
    assert decoded([shape], {"_id": "a", "big": "5", "f": "Infinity", "list": ["AAE="], "t": "5"}) == [
        {"_id": "a", "big": Int64(5), "f": math.inf, "list": [b"\0\x01"], "t": "5"}
    ]


def test_an_override_says_it_where_the_shape_does_not() -> None:
    shape = '{"x": int64 | string, "y": float64, "z": array<unknown>}'
    nan = {"$float64NaN": "AAAAAAAA+H8="}
    overrides = [{"a": {"x": "int64"}}, {"b": {"y": nan, "z": ["infer", "bytes"]}}]
    a, b, c = decoded(
        [shape, *overrides],
        {"_id": "a", "x": "5", "y": 1},
        {"_id": "b", "x": "5", "y": "NaN", "z": ["AAE=", "AAE="]},
        {"_id": "c", "x": "5", "y": 2.5, "z": []},
    )
    assert a["x"] == Int64(5) and type(a["x"]) is Int64
    assert b["x"] == "5" and math.isnan(b["y"]) and b["z"] == ["AAE=", b"\0\x01"]
    assert c == {"_id": "c", "x": "5", "y": 2.5, "z": []}


@pytest.mark.parametrize(
    "shape",
    [
        "never",
        "-inf | NaN | -0",
        'record<field_name | id<5>, record<"a", int64>>',
        '{"location": {"city": string, "country"?: string} | {"country": string}} | {"name": id<10001>}',
        "map<string, set<int64>> | boolean | null",
        "{}",
    ],
)
def test_shapes_that_can_be_read(shape: str) -> None:
    assert read_shape(shape)


@pytest.mark.parametrize(
    "shape", ["", "{", "array<", "array<int64", "{a: b}", "int64 |", "a b", 5, None, '{"a" b}']
)
def test_shapes_that_cannot(shape: Any) -> None:
    with pytest.raises(SnapshotError, match="shape that cannot be read"):
        read_shape(shape)


def test_a_union_of_records_and_objects() -> None:
    shape = '{"a": {"k": int64} | record<string, bytes>}'
    assert decoded([shape], {"a": {"other": "AAE="}}) == [{"a": {"other": b"\0\x01"}}]
