# SPDX-License-Identifier: MIT
from __future__ import annotations

import copy
import gc
import json
import math
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minihttp.errors import HTTPError, MissingFieldError
from minihttp.http.response import encode_json
from minihttp.http.strict_json import JSONObject, MostValues, parse_json


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


@pytest.mark.parametrize(
    "value",
    [
        {},
        [],
        {"a": [1, 2.5, None, True, "é😀"]},
        "text",
        0,
        -1,
        1e308,
        5e-324,
        2**63,
        10**999,
        None,
        False,
        [{}],
        "",
    ],
)
def test_json_comes_through(value: Any) -> None:
    assert parse_json(json.dumps(value).encode(), 64) == value
    assert parse_json(b" \r\n\t" + json.dumps(value, ensure_ascii=False).encode() + b" ", 64) == value


BAD = {
    b"": "Expecting value at line 1 column 1",
    b'{\n  "a": tru}': "Expecting value at line 2 column 8",
    b"{}x": "Extra data at line 1 column 3",
    b"{'a': 1}": "line 1 column 2",
    b'{"a": 1,}': "line 1",
    b'"\x01"': "control character",
    b'"\\x41"': "escape",
    b"NaN": "NaN is not JSON",
    b"[Infinity]": "Infinity is not JSON",
    b'{"a": -Infinity}': "-Infinity is not JSON",
    b"1e400": "out of range",
    b"[-1e999]": "out of range",
    b"1" * 400 + b".0": "out of range",
    b"1" * 1001: "more than 1000 digits",
    b"1" * 4301: "more than 1000 digits",
    b'"\\ud800"': "surrogate",
    b'["\\ude00\\ud83d"]': "surrogate",
    b'{"\\uDBFF": 1}': "surrogate",
    b"\xff": "byte 0 is not UTF-8",
    b'"\xed\xa0\x80"': "not UTF-8",
    '{"a": 1}'.encode("utf-16"): "UTF-8",
    '{"a": 1}'.encode("utf-16-le"): "line 1",
    '{"a": 1}'.encode("utf-32"): "UTF-8",
    b"\xef\xbb\xbf" + '{"a": 1}'.encode("utf-8-sig"): "Expecting value at line 1 column 1",
    nested(65): "deeper than 64",
    nested(990): "deeper than 64",
    nested(100_000): "deeper than 64",
    b'{"a":' * 65 + b"1" + b"}" * 65: "deeper than 64",
    b"[" * 100_000: "Invalid JSON",
}


@pytest.mark.parametrize("data", BAD, ids=lambda data: repr(data[:20]))
def test_bad_json_is_400(data: bytes) -> None:
    with pytest.raises(HTTPError, match=f"Invalid JSON: .*{BAD[data]}|{BAD[data]}") as caught:
        parse_json(data, 64)
    assert caught.value.status == 400


def test_a_byte_order_mark_is_ignored() -> None:
    assert parse_json('{"a": 1}'.encode("utf-8-sig"), 64) == {"a": 1}


def test_depth_is_counted_not_brackets() -> None:
    assert parse_json(nested(64), 64) is not None
    assert len(parse_json(b"[" + b"{}," * 999 + b"[[]]]", 3)) == 1000
    assert parse_json(b'["[[[[[["]', 1) == ["[[[[[["]
    with pytest.raises(HTTPError):
        parse_json(b"[" + b"{}," * 999 + b"[[]]]", 2)


@pytest.mark.parametrize("before", range(0, 1_100, 91))
def test_a_long_number_is_found_wherever_it_stands(before: int) -> None:
    for digits, is_good in ((1_000, True), (1_001, False), (2_000, False)):
        data = b'["' + b"x" * before + b'", ' + b"7" * digits + b"]"
        if is_good:
            assert parse_json(data, 64)[1] == int("7" * digits)
        else:
            with pytest.raises(HTTPError, match="more than 1000 digits"):
                parse_json(data, 64)
    digits_in_a_string = b'["' + b"x" * before + b"7" * 5_000 + b'"]'
    assert len(parse_json(digits_in_a_string, 64)[0]) == before + 5_000


@pytest.mark.parametrize("number", [b"1e400", b"-1E+999", b"7" * 400 + b".0", b"7" * 350 + b"e-9"])
def test_a_number_that_is_not_finite_is_found_among_many(number: bytes) -> None:
    many = b"[" + b"1.5,2e10,-3E-99," * 700
    with pytest.raises(HTTPError, match="out of range"):
        parse_json(many + number + b"]", 64)
    assert parse_json(many + b'1e100, "1e400", "%s"]' % number, 64)[-3:] == [1e100, "1e400", number.decode()]


def test_depth_is_told_wherever_it_is_reached() -> None:
    for before in range(70):
        flat = b"[" + b"[]," * before
        assert parse_json(flat + nested(63) + b"]", 64)
        with pytest.raises(HTTPError, match="deeper than 64"):
            parse_json(flat + nested(64) + b"]", 64)


def at_most(elements: int) -> MostValues:
    return elements, elements, elements


def costs(value: Any) -> tuple[int, int]:
    """How many elements a value has, and how deep it is."""
    if not isinstance(value, (dict, list)):
        return 0, 0
    inner = [costs(item) for item in (value.values() if isinstance(value, dict) else value)]
    elements = 1 + max(len(inner) - 1, 0) + sum(count for count, _ in inner)
    return elements, 1 + max((depth for _, depth in inner), default=0)


@given(
    st.recursive(
        st.integers() | st.text('[]{},:"\\/ a'),
        lambda inner: st.lists(inner) | st.dictionaries(st.text('[]{},:"\\/ a'), inner),
        max_leaves=60,
    ),
    st.sampled_from([None, 1]),
)
def test_elements_and_depth_are_counted_whatever_is_in_strings(value: Any, indent: int | None) -> None:
    data = json.dumps(value, indent=indent).encode()
    elements, depth = costs(value)
    assert parse_json(data, depth, most=at_most(max(elements, 1))) == value
    if elements > 1:
        with pytest.raises(HTTPError, match=f"more than {elements - 1} elements") as caught:
            parse_json(data, depth, most=at_most(elements - 1))
        assert caught.value.status == 413
    if depth:
        with pytest.raises(HTTPError, match=f"deeper than {depth - 1}"):
            parse_json(data, depth - 1, most=at_most(elements))


def test_a_broken_text_is_weighed_up_to_its_mistake() -> None:
    many = b"[" + b"[]," * 60_000
    for broken in (many, many + b'"', many + b'"\\', many + b"]" * 9, many + b'x "["'):
        with pytest.raises(HTTPError) as caught:
            parse_json(broken, 64)
        assert caught.value.status == 413


@pytest.mark.parametrize(("most", "what"), [((99, 2, 9), "2 arrays and objects"), ((99, 9, 1), "1 objects")])
def test_arrays_and_objects_have_limits_of_their_own(most: MostValues, what: str) -> None:
    with pytest.raises(HTTPError, match=f"more than {what}$") as caught:
        parse_json(b'[{},{},"[{"]', 2, most=most)
    assert caught.value.status == 413
    assert parse_json(b'[{},{},"[{"]', 2, most=(3 + 2, 3, 2)) == [{}, {}, "[{"]


def test_collecting_garbage_goes_on_after_a_large_body() -> None:
    assert gc.isenabled()
    parse_json(b"[" + b"[]," * 9_000 + b"0]", 64)
    with pytest.raises(HTTPError):
        parse_json(b"[" + b"[]," * 9_000 + b"x]", 64)
    assert gc.isenabled()
    gc.disable()
    try:
        parse_json(b"[" + b"[]," * 9_000 + b"0]", 64)
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_surrogate_pairs_are_characters() -> None:
    assert parse_json(b'"\\ud83d\\ude00"', 64) == "😀"
    assert parse_json(b'"\\\\ud800"', 64) == "\\ud800"


def test_a_missing_field_is_a_400() -> None:
    body = parse_json(b'{"a": {"b": 1}}', 64)
    assert type(body) is JSONObject and body["a"] == {"b": 1} and body.get("c") is None
    with pytest.raises(MissingFieldError, match="Missing required field: name"):
        body["name"]


@pytest.mark.parametrize(
    "take",
    [
        lambda body: body["a"],
        lambda body: body.get("a"),
        lambda body: body.pop("a"),
        lambda body: body.popitem()[1],
        lambda body: body.setdefault("a", {}),
        lambda body: body.copy()["a"],
        lambda body: next(iter(body.values())),
        lambda body: next(iter(body.items()))[1],
        lambda body: dict(body)["a"],
        lambda body: {**body}["a"],
        lambda body: (body | {"z": 1})["a"],
        lambda body: ({"z": 1} | body)["a"],
        lambda body: (lambda a: a)(**body),
        lambda body: copy.copy(body)["a"],
        lambda body: copy.deepcopy(body)["a"],
        lambda body: pickle.loads(pickle.dumps(body))["a"],
        lambda body: parse_json(b'[{"a": [{"b": {"c": {}}}]}]', 64)[0]["a"],
    ],
)
def test_however_an_inner_object_is_taken_a_field_that_it_lacks_is_a_400(take: Any) -> None:
    (inner,) = take(parse_json(b'{"a": [{"b": {"c": {}}}]}', 64))
    assert inner == {"b": {"c": {}}}
    for part in (inner, inner["b"], inner["b"]["c"]):
        with pytest.raises(MissingFieldError, match="Missing required field: name"):
            part["name"]


def test_an_inner_object_is_the_same_each_time() -> None:
    body = parse_json(b'{"a": {"b": []}}', 64)
    assert body["a"] is body["a"] and body["a"]["b"] is body["a"]["b"]
    body["a"]["b"].append(1)
    assert encode_json(body) == '{"a":{"b":[1]}}'


@pytest.mark.parametrize(
    "put",
    [
        lambda body, own: body.__setitem__("own", own),
        lambda body, own: body.update(own=own),
        lambda body, own: body.setdefault("own", own),
        lambda body, own: body.__ior__({"own": own}),
    ],
)
def test_what_is_put_into_a_body_stays_the_same_object(put: Any) -> None:
    body, own = parse_json(b'{"a": {"b": []}}', 64), {}
    put(body, own)
    assert body["own"] is own and encode_json(body) == '{"a":{"b":[]},"own":{}}'


@pytest.mark.parametrize(
    ("take", "left"),
    [
        (lambda body: body.__delitem__("a"), '{"c":[{"d":1}]}'),
        (lambda body: body.pop("a"), '{"c":[{"d":1}]}'),
        (lambda body: body.popitem(), '{"a":{"b":[]}}'),
        (lambda body: body["a"].clear(), '{"a":{},"c":[{"d":1}]}'),
        (lambda body: body["c"][0].clear(), '{"a":{"b":[]},"c":[{}]}'),
        (lambda body: body.clear(), "{}"),
    ],
)
def test_what_is_taken_out_of_a_body_is_not_encoded(take: Any, left: str) -> None:
    body = parse_json(b'{"a": {"b": []}, "c": [{"d": 1}]}', 64)
    take(body)
    assert encode_json(body) == left


@pytest.mark.parametrize(
    ("data", "expect", "message"),
    [
        (b"[]", dict, "Expected a JSON object, not array"),
        (b"{}", list, "Expected a JSON array, not object"),
        (b"null", dict, "Expected a JSON object, not null"),
        (b"true", int, "Expected a JSON integer, not boolean"),
        (b"1", bool, "Expected a JSON boolean, not integer"),
        (b"1.5", int, "Expected a JSON integer, not number"),
        (b'"1"', float, "Expected a JSON number, not string"),
    ],
)
def test_expectations(data: bytes, expect: type, message: str) -> None:
    with pytest.raises(HTTPError, match=message):
        parse_json(data, 64, expect)


@pytest.mark.parametrize(
    ("data", "expect"), [(b"{}", dict), (b"[]", list), (b"1", int), (b"1", float), (b'""', str)]
)
def test_met_expectations(data: bytes, expect: type) -> None:
    assert parse_json(data, 64, expect) == json.loads(data)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_agrees_with_json_wherever_json_is_strict(value: Any) -> None:
    data = json.dumps(value).encode()
    try:
        assert parse_json(data, 64) == json.loads(data)
    except HTTPError:
        text = json.dumps(value, ensure_ascii=False)
        assert any(word in text for word in ("NaN", "Infinity")) or not text.isprintable()


@given(st.binary() | st.text('[]{}",:0123456789.eE+-\\untrfalse \n', max_size=60).map(str.encode))
def test_anything_is_a_value_or_a_400(data: bytes) -> None:
    try:
        value = parse_json(data, 5)
    except HTTPError as error:
        assert error.status == 400
    else:
        assert not (isinstance(value, float) and not math.isfinite(value))
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
