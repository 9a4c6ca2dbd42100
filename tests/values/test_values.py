# SPDX-License-Identifier: MIT
"""The properties of values that indexes and storage rest on."""

from __future__ import annotations

import json
import math

from hypothesis import given, settings
from hypothesis import strategies as st

from minihttp.values import (
    UNSET,
    Int64,
    compare,
    copy,
    decode,
    dumps,
    encode_clean,
    encode_wire,
    index_key,
    loads,
    size_bytes,
)
from tests.values.world import VECTORS

ORDERED = [
    *[UNSET, None, Int64(-(2**63)), Int64(-1), Int64(0), Int64(1), Int64(2**63 - 1)],
    *[-math.inf, -1, -0.0, 0.0, 5e-324, 1, math.inf, math.nan, False, True],
    *["", "A", "a", "a\0", "aa", "b", "é", "\ufffd", "😀", b"", b"\0", b"\0\0", b"\1", b"\xff"],
    *[[], [None], [Int64(1)], [1], [1, 1], [2], ["a"], [[]]],
    *[{}, {"a": None}, {"a": 1}, {"a": 1, "b": 1}, {"a": 2}, {"b": 0}],
]


def test_order_as_convex() -> None:
    assert len(ORDERED) == len(VECTORS["compareOrder"]) == 45
    for i, a in enumerate(ORDERED):
        for j, b in enumerate(ORDERED):
            assert compare(a, b) == (i > j) - (i < j), (a, b)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(
    ["\0", "a\0", "\0\xff", "😀"]
)
field_names = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=4).filter(
    lambda n: n[:1] != "$"
)
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.integers(-(2**63), 2**63 - 1).map(Int64)
    | st.floats().map(lambda x: math.copysign(math.nan, x) if math.isnan(x) else x)
    | texts
    | st.binary(max_size=4)
)
values = st.recursive(
    leaves, lambda v: st.lists(v, max_size=3) | st.dictionaries(field_names, v, max_size=3), max_leaves=8
)
RANKS = (type(None), Int64, (float, int), bool, str, bytes, list, dict)


def _rank(value: object) -> int:
    if isinstance(value, bool):
        return 3
    return next(i for i, kind in enumerate(RANKS) if isinstance(value, kind))


def order(a: object, b: object) -> int:
    """The order of values written down a second time, without keys."""
    if _rank(a) != _rank(b):
        return -1 if _rank(a) < _rank(b) else 1
    if a is None:
        return 0
    if isinstance(a, list):
        for x, y in zip(a, b, strict=False):
            if order(x, y):
                return order(x, y)
        return (len(a) > len(b)) - (len(a) < len(b))
    if isinstance(a, dict):
        return order([[k, a[k]] for k in sorted(a)], [[k, b[k]] for k in sorted(b)])
    if _rank(a) == 2:
        a, b = _float_rank(a), _float_rank(b)
    elif isinstance(a, str):
        a, b = a.encode(), b.encode()
    return (a > b) - (a < b)


def _float_rank(value: float) -> tuple[float, float, float]:
    sign = math.copysign(1, value)
    return (sign if math.isnan(value) else 0, 0 if math.isnan(value) else float(value), sign)


@given(values, values)
@settings(max_examples=400)
def test_keys_sort_as_values(a: object, b: object) -> None:
    assert compare(a, b) == order(a, b)
    assert compare(b, a) == -order(a, b)


@given(st.lists(values, min_size=1, max_size=3), st.lists(values, min_size=1, max_size=3))
@settings(max_examples=200)
def test_composite_keys_sort_field_by_field(a: list[object], b: list[object]) -> None:
    shared = min(len(a), len(b))
    wanted = order(a[:shared], b[:shared])
    if wanted:
        assert (index_key(a) > index_key(b)) is (wanted > 0)


@given(st.lists(values, max_size=3), values)
@settings(max_examples=200)
def test_a_prefix_is_bounded_by_ff(prefix: list[object], more: object) -> None:
    key = index_key(prefix)
    assert key < index_key([*prefix, more]) < key + b"\xff"


def test_a_text_that_goes_on_after_nul_is_another_text() -> None:
    assert index_key(["a"]) + b"\xff" < index_key(["a\0"]) < index_key(["a\0\0"]) < index_key(["aa"])
    assert compare(["a", "z"], ["a\0"]) == compare(["\0", 1], ["\0\0"]) == compare([b"a", 1], [b"a\0"]) == -1


@given(values)
@settings(max_examples=200)
def test_every_format_keeps_the_value(value: object) -> None:
    assert compare(loads(dumps(value)), copy(value)) == 0
    assert compare(decode(json.loads(json.dumps(encode_wire(value)))), copy(value)) == 0
    json.dumps(encode_clean(value), allow_nan=False)
    assert size_bytes(value) > 0
