# SPDX-License-Identifier: MIT
"""The formats of a value, against Convex's vectors."""

from __future__ import annotations

import datetime
import enum
import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minihttp.errors import ValidationError
from minihttp.values import UNSET, Int64, copy, decode, dumps, encode_clean, encode_wire, show
from tests.values.world import VECTORS

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


@pytest.mark.parametrize(
    "data", [math.nan, math.inf, 10**400, "\ud800", {"$integer": "AQAAAAAAAAB="}], ids=show
)
def test_what_the_wire_may_not_carry(data: object) -> None:
    with pytest.raises(ValidationError):
        decode(data)


LEAVES = [None, True, 0, -7, 2**53, 2**53 + 1, 10**400, 1.5, -0.0, 0.0, math.inf, math.nan, "", "é", "\ud800"]


@pytest.mark.parametrize(
    "convert", [copy, encode_wire, encode_clean, decode, dumps], ids=lambda f: f.__name__
)
@pytest.mark.parametrize("odd", [*LEAVES, Int64(7), b"x", UNSET, [], {}], ids=repr)
@pytest.mark.parametrize("usual", [None, True, 3, 2.5, "a"], ids=repr)
def test_many_values_become_what_each_becomes(convert: Any, odd: Any, usual: Any) -> None:
    """Whether the many are read one by one, as with a list in between, or at once."""
    if convert is decode and isinstance(odd, (Int64, bytes)):
        pytest.skip("is not JSON")

    def outcome(value: Any) -> Any:
        try:
            result = convert(value)
            return json.loads(result) if convert is dumps else result
        except ValidationError as error:
            return str(error).replace("[30][0]", "[30]").replace(".a[0]", ".a")

    def unwrapped(value: Any) -> Any:
        return [item[0] for item in value] if isinstance(value, list) else value

    many = [usual] * 30 + [odd]
    assert repr(outcome(many)) == repr(unwrapped(outcome([[item] for item in many])))
    fields = {f"k{n:02}": item for n, item in enumerate(many[:-1])} | {"a": odd}
    if odd is not UNSET:
        wrapped = outcome({name: [item] for name, item in fields.items()})
        alone = {name: item[0] for name, item in wrapped.items()} if isinstance(wrapped, dict) else wrapped
        assert repr(outcome(fields)) == repr(alone)


def test_many_names_are_checked() -> None:
    names = {f"k{n:02}": 1 for n in range(30)}
    assert list(copy(dict(reversed(names.items())))) == list(names)
    for bad in ("$a", "é", "a\n", "k" * 1_025):
        with pytest.raises(ValidationError, match="Field name"):
            copy({**names, bad: 1})
