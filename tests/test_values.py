# SPDX-License-Identifier: MIT
"""Values against Convex's vectors, and the properties that indexes and storage rest on."""

from __future__ import annotations

import copy as copy_module
import datetime
import enum
import json
import math
import pickle
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minihttp.errors import ValidationError
from minihttp.limits import Limits
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
    show,
    size_bytes,
)

VECTORS = json.loads((Path(__file__).parent / "data" / "values.json").read_text())

# ---------------------------------------------------------------- Convex's vectors

LABELS = {
    "0": 0,
    "-0": -0.0,
    "1": 1,
    "1.5": 1.5,
    "1e21": 1e21,
    "5e-324": 5e-324,
    "NaN": math.nan,
    "Infinity": math.inf,
    "-Infinity": -math.inf,
    "0n": Int64(0),
    "1n": Int64(1),
    "-1n": Int64(-1),
    "2^63-1": Int64(2**63 - 1),
    "-2^63": Int64(-(2**63)),
    "bytes()": b"",
    "bytes(0,255)": b"\x00\xff",
    "null": None,
    "undefined": UNSET,
    "[undefined]": [UNSET],
    "{a:undefined,b:1}": {"a": UNSET, "b": 1},
    "nested undefined in array": {"a": [1, UNSET]},
    "Date": datetime.datetime(1970, 1, 1),
    "Set": {1},
    "function": print,
    "class instance": object(),
    "{$a:1}": {"$a": 1},
    "{_a:1}": {"_a": 1},
    "{'':1}": {"": 1},
    "{'a b':1}": {"a b": 1},
    "{'é':1}": {"é": 1},
    "{'a\\n':1}": {"a\n": 1},
    "{z,a} sorted": {"z": 1, "a": 2, "B": 3},
    "key len 1024": {"k" * 1024: 1},
    "key len 1025": {"k" * 1025: 1},
}
# Not values of Python, or decided otherwise: bytearrays are bytes, unpaired surrogates are refused.
NOT_HERE = {"2^63", "-2^63-1", "Uint8Array", "Map", "symbol", "lone surrogate"}


@pytest.mark.parametrize(
    "row",
    [row for row in VECTORS["encode"] if row["label"] not in NOT_HERE],
    ids=lambda row: row["label"][:20],
)
def test_encode_as_convex(row: dict[str, str]) -> None:
    value = LABELS[row["label"]]
    if "error" in row:
        with pytest.raises(ValidationError) as caught:
            encode_wire(value)
        first = row["error"].split(" (present")[0]
        if row["label"] in ("Date", "Set", "function", "class instance"):
            first = "is not a supported Convex type."
        assert first.split(". To learn")[0] in str(caught.value)
    else:
        assert json.loads(json.dumps(encode_wire(value))) == json.loads(row["json"])


def test_every_encode_vector_is_used() -> None:
    assert {row["label"] for row in VECTORS["encode"]} == set(LABELS) | NOT_HERE


DECODED = {"1n": Int64(1), "-1n": Int64(-1), "bytes(1,2,3)": b"\x01\x02\x03", "bytes()": b"", "-0": -0.0}


@pytest.mark.parametrize(  # there are no commit timestamps here
    "row",
    [row for row in VECTORS["decode"] if "$commitTs" not in row["json"]],
    ids=lambda row: row["json"][:30],
)
def test_decode_as_convex(row: dict[str, object]) -> None:
    data = json.loads(str(row["json"]))
    if "error" in row:
        with pytest.raises(ValidationError) as caught:
            decode(data)
        wanted = str(row["error"]).replace("[object Object]", '{"')
        if wanted.startswith("Invalid string"):
            wanted = 'Invalid base64 string "***"'
        assert wanted in str(caught.value)
    elif row["value"] == "NaN":
        assert math.isnan(decode(data))
    else:
        wanted_value = _named(row["value"])
        assert decode(data) == wanted_value
        assert type(decode(data)) is type(float(wanted_value) if type(wanted_value) is int else wanted_value)


def _named(value: object) -> object:
    if isinstance(value, dict):
        return {name: _named(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_named(item) for item in value]
    return DECODED.get(value, value) if isinstance(value, str) else value


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


# ---------------------------------------------------------------- properties

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


json_data = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda v: (
        st.lists(v, max_size=3)
        | st.dictionaries(
            st.text(max_size=4) | st.sampled_from(["$integer", "$float", "$bytes", "$set"]), v, max_size=2
        )
    ),
    max_leaves=8,
)


@given(json_data)
@settings(max_examples=300)
def test_decode_raises_nothing_else(data: object) -> None:
    try:
        decode(data)
    except ValidationError as error:
        str(error).encode()


# ---------------------------------------------------------------- single rules


class Color(str, enum.Enum):
    RED = "red"


def test_copy_gives_plain_types() -> None:
    given_value = {
        "t": (1, 2),
        "e": Color.RED,
        "s": enum.IntEnum("N", "ONE").ONE,
        "gone": UNSET,
        "b": bytearray(b"x"),
    }
    plain = copy(given_value)
    assert plain == {"t": [1, 2], "e": "red", "s": 1, "b": b"x"}
    assert [type(item) for item in plain.values()] == [bytes, str, int, list]  # sorted by name


def test_an_int_stays_an_int_in_storage_and_is_a_float_on_the_wire() -> None:
    assert dumps({"n": 1}) == '{"n":1}'
    assert json.dumps(encode_wire({"n": 1})) == '{"n": 1.0}'
    assert type(decode(1)) is float


def test_the_clean_format() -> None:
    value = {"i": Int64(1), "f": 1, "n": math.nan, "inf": -math.inf, "z": -0.0, "b": b"\1\2\3"}
    assert json.dumps(encode_clean(value), sort_keys=True) == (
        '{"b": "AQID", "f": 1.0, "i": "1", "inf": "-Infinity", "n": "NaN", "z": -0.0}'
    )


def _circle() -> list[object]:
    circle: list[object] = []
    circle.append(circle)
    return circle


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (2**53 + 1, "beyond ±2^53"),
        (10**5000, "beyond ±2^53"),
        ("\ud800", "unpaired surrogate"),
        ({"a": [{"b": "\udfff"}]}, "(present at path .a[0].b)"),
        ({1: 2}, "Field name 1 is not a string"),
        ({"\ud800": 1}, "invalid character"),
        (_circle(), "nested too deeply (maximum nesting 64)"),
        (datetime.date(2026, 1, 1), "is not a supported Convex type"),
    ],
    ids=show,
)
def test_what_is_no_value(value: object, message: str) -> None:
    for refuse in (copy, encode_wire, encode_clean, dumps):
        with pytest.raises(ValidationError) as caught:
            refuse(value)
        assert message in str(caught.value)
        str(caught.value).encode()


@pytest.mark.parametrize(
    "data", [math.nan, math.inf, 10**400, "\ud800", {"$integer": "AQAAAAAAAAB="}], ids=show
)
def test_what_the_wire_may_not_carry(data: object) -> None:
    with pytest.raises(ValidationError):
        decode(data)


def test_the_bounds_of_a_document() -> None:
    bounds = Limits(max_document_depth=3, max_document_fields=2, max_array_length=2)
    assert dumps({"a": [[1, 2]]}, bounds) == '{"a":[[1,2]]}'
    for value, message in (
        ({"a": [[[]]]}, "nested too deeply (maximum nesting 3)"),
        ({"a": 1, "b": 1, "c": 1}, "too many fields (3 > maximum number 2)"),
        ({"a": [1, 2, 3]}, "too long (3 > maximum length 2)"),
    ):
        with pytest.raises(ValidationError, match=message.replace("(", r"\(").replace(")", r"\)")):
            dumps(value, bounds)


def test_int64() -> None:
    assert repr(Int64(5)) == "Int64(5)"
    assert f"{Int64(5)} {Int64(5)!s}" == "5 5"
    assert pickle.loads(pickle.dumps(Int64(5))) == copy_module.copy(Int64(5)) == 5
    for number in (2**63, -(2**63) - 1, 10**5000):
        with pytest.raises(ValidationError, match="does not fit into a 64-bit signed integer"):
            Int64(number)


def test_unset_is_one_and_false() -> None:
    assert copy_module.deepcopy(UNSET) is pickle.loads(pickle.dumps(UNSET)) is UNSET
    assert not UNSET
    assert repr(UNSET) == "UNSET"


@pytest.mark.parametrize(
    "value", [_circle(), 10**5000, {1: 2}, object(), "\ud800", b"\xff", "x" * 999], ids=range(7)
)
def test_show_never_raises(value: object) -> None:
    assert len(show(value).encode()) < 1000


def test_show_tells_an_int64_from_a_float64() -> None:
    assert (show(Int64(1)), show(1)) == ("Int64(1)", "1")


def test_sizes_are_convex_s() -> None:
    value = {"name": "é", "n": 1, "list": [None, True, b"abc"]}
    assert size_bytes(value) == 2 + (4 + 1 + 4) + (1 + 1 + 9) + (4 + 1 + 2 + 1 + 1 + 5)
    with pytest.raises(ValidationError):
        size_bytes([object()])
