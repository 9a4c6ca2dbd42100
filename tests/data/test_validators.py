# SPDX-License-Identifier: MIT
"""Every `v.*`: what it takes, in which form it gives it back, and the sentence when it refuses."""

from __future__ import annotations

import datetime
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minihttp.data.ids import IdMaker, table_tag
from minihttp.data.validators import Validator, owned, v
from minihttp.errors import SchemaError, ValidationError
from minihttp.values import UNSET, Int64

MAKER = IdMaker(lambda: 1_700_000_000.0, lambda n: bytes(n))
USER_ID, POST_ID = MAKER.make(table_tag("users")), MAKER.make(table_tag("posts"))
BIG = 2**53 + 1
PERSON = v.object(
    {"name": v.string(), "nick": v.optional(v.string()), "age": v.optional(v.nullable(v.number()))}
)


@pytest.mark.parametrize(
    ("validator", "value", "stored"),
    [
        (v.null(), None, None),
        (v.number(), 1, 1),
        (v.float64(), math.inf, math.inf),
        (v.int64(), Int64(5), Int64(5)),
        (v.bigint(), BIG, Int64(BIG)),
        (v.boolean(), True, True),
        (v.string(), "é", "é"),
        (v.bytes(), bytearray(b"x"), b"x"),
        (v.literal("a"), "a", "a"),
        (v.literal(1), 1.0, 1),
        (v.literal(Int64(1)), Int64(1), Int64(1)),
        (v.array(v.int64()), (1, 2), [Int64(1), Int64(2)]),
        (v.id("users"), USER_ID, USER_ID),
        (v.union(v.string(), v.int64()), 7, Int64(7)),
        (v.nullable(v.string()), None, None),
        (v.record(v.string(), v.number()), {"a": 1, "gone": UNSET}, {"a": 1}),
        (v.any(), {"a": (1, {"b": UNSET})}, {"a": [1, {}]}),
        (PERSON, {"name": "A", "nick": None, "age": None}, {"name": "A", "age": None}),
        (PERSON, {"name": "A", "nick": UNSET, "age": UNSET}, {"name": "A"}),
    ],
    ids=str,
)
def test_what_is_taken(validator: Validator, value: object, stored: object) -> None:
    checked = validator.check(value)
    assert checked == stored
    assert type(checked) is type(stored)


@pytest.mark.parametrize(
    ("validator", "value"),
    [
        (v.null(), 0),
        (v.number(), True),
        (v.number(), Int64(1)),
        (v.number(), "1"),
        (v.number(), BIG),
        (v.int64(), True),
        (v.int64(), 1.0),
        (v.int64(), 2**63),
        (v.boolean(), 1),
        (v.string(), None),
        (v.string(), b"x"),
        (v.bytes(), "x"),
        (v.literal("a"), "b"),
        (v.literal(1), True),
        (v.literal(True), 1),
        (v.literal(1), Int64(1)),
        (v.array(v.number()), {"0": 1}),
        (v.array(v.number()), [1, None]),
        (v.union(), None),
        (v.union(v.string(), v.number()), None),
        (v.id("users"), POST_ID),
        (v.id("users"), USER_ID.upper()),
        (v.id("users"), 5),
        (v.record(v.string(), v.number()), {"a": "b"}),
        (v.record(v.string(), v.number()), {"_a": 1}),
        (v.record(v.string(), v.number()), {1: 1}),
        (v.record(v.id("users"), v.number()), {POST_ID: 1}),
        (v.any(), datetime.date(2026, 1, 1)),
        (v.any(), UNSET),
        (PERSON, None),
        (PERSON, [("name", "A")]),
    ],
    ids=str,
)
def test_what_is_refused(validator: Validator, value: object) -> None:
    with pytest.raises(ValidationError):
        validator.check(value)


NESTED = v.object(
    {
        "a": v.array(v.object({"b": v.number()})),
        "r": v.optional(v.record(v.string(), v.string())),
        "x": v.optional(v.any()),
    }
)


@pytest.mark.parametrize(
    ("value", "lines"),
    [
        ({"a": [{"b": 1}, {"b": "x"}]}, ["Value does not match validator.", "Path: .a[1].b", 'Value: "x"']),
        ({"a": [{}]}, ["Object is missing the required field `b`.", "Path: .a[0]", "Object: {}"]),
        ({"a": [{"b": None}]}, ["Value does not match validator.", "Path: .a[0].b", "Value: null"]),
        ({"a": [], "z": 1}, ["Object contains extra field `z` that is not in the validator.", "Object: {"]),
        ({"a": [], "r": {"k": 1}}, ["Path: .r.values()", "Value: 1", "Validator: v.string()"]),
        ({"a": [], "r": {"$k": "x"}}, ["Path: .r.keys()"]),
        ({"a": [], "x": [{"b": {"$c": 1}}]}, ["name $c starts with a '$'", "path [0].b.$c", "Path: .x"]),
    ],
    ids=lambda value: str(value)[:30],
)
def test_messages_name_path_value_and_validator(value: object, lines: list[str]) -> None:
    with pytest.raises(ValidationError) as caught:
        NESTED.check(value)
    for line in lines:
        assert line in str(caught.value)
    assert "Validator: v." in str(caught.value) or "Record key" in str(caught.value)


def test_messages_of_literals_ids_and_large_numbers() -> None:
    stranger = MAKER.make(table_tag("neverDeclared"))
    rest = 'which does not match the table name in validator `v.id("users")`.'
    for validator, value, message in (
        (v.literal("a"), "x", '`"x"` does not match literal validator `v.literal("a")`.'),
        (v.id("users"), stranger, f'Found ID "{stranger}" from another table, {rest}'),
        (v.number(), BIG, "beyond ±2^53, where a number is not exact; use v.int64() for it."),
    ):
        with pytest.raises(ValidationError) as caught:
            validator.check(value)
        assert message in str(caught.value)
    v.id("posts")  # what the app's code names can be named
    with pytest.raises(ValidationError, match="from table `posts`"):
        v.id("users").check(POST_ID)


def test_a_path_can_be_given() -> None:
    with pytest.raises(ValidationError, match=r"Path: \.args\[0\]"):
        v.array(v.string()).check([1], ".args")


def test_texts() -> None:
    validator = v.object(
        {"b": v.optional(v.union(v.string(), v.null())), "a": v.record(v.string(), v.int64())}
    )
    assert str(validator) == (
        "v.object({a: v.record(v.string(), v.int64()), b: v.optional(v.union(v.string(), v.null()))})"
    )
    assert validator == v.object(dict(reversed(validator.fields.items())))


def test_derived_objects() -> None:
    assert str(PERSON.pick("name")) == "v.object({name: v.string()})"
    assert set(PERSON.omit("name").fields) == {"nick", "age"}
    assert PERSON.partial().check({}) == {}
    assert PERSON.extend({"name": v.number()}).check({"name": 1}) == {"name": 1}
    assert v.string().as_optional() == v.optional(v.string()) == v.optional(v.optional(v.string()))
    with pytest.raises(SchemaError, match='has no field "nmae"'):
        PERSON.omit("nmae")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: v.id(5), "v.id(tableName) requires a string"),
        (lambda: v.literal(None), "v.literal(value) must be a string, number, or boolean"),
        (lambda: v.object({"a": str}), 'v.object() entries must be validators (field "a")'),
        (lambda: v.object({"a": {"b": v.string()}}), "v.object() entries must be validators"),
        (lambda: v.object({"$a": v.string()}), 'field name "$a" must be printable ASCII'),
        (lambda: v.object({"é": v.string()}), "must be printable ASCII"),
        (lambda: v.array(None), "v.array() entries must be validators"),
        (lambda: v.array(v.optional(v.string())), "v.array() entries cannot be optional"),
        (lambda: v.union(v.optional(v.string())), "v.union() entries cannot be optional"),
        (
            lambda: v.record(v.string(), v.optional(v.string())),
            "Record validator cannot have optional values",
        ),
        (lambda: v.optional("string"), "v.optional() entries must be validators"),
    ],
    ids=range(11),
)
def test_mistakes_in_declarations(make: object, message: str) -> None:
    with pytest.raises(SchemaError) as caught:
        make()  # type: ignore[operator]
    assert message in str(caught.value)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.just(UNSET),
    lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=3), x, max_size=3) | st.tuples(x),
    max_leaves=6,
)
VALIDATORS = [NESTED, PERSON, v.any(), v.union(v.id("users"), v.int64(), v.literal(3)), v.array(v.any())]


@given(st.sampled_from(VALIDATORS), anything | st.fixed_dictionaries({"a": anything, "name": anything}))
@settings(max_examples=300)
def test_nothing_else_is_raised_and_checking_twice_changes_nothing(
    validator: Validator, value: object
) -> None:
    try:
        checked = validator.check(value)
    except ValidationError as error:
        str(error).encode()
    else:
        assert repr(validator.check(checked)) == repr(checked)


ELEMENTS = [
    *(
        v.null(),
        v.number(),
        v.int64(),
        v.boolean(),
        v.string(),
        v.bytes(),
        v.any(),
        v.literal("a"),
        v.id("users"),
    ),
    *(v.nullable(v.string()), v.union(v.literal(1), v.number()), v.array(v.number()), PERSON),
]
ITEMS: list[object] = [
    *(
        None,
        1,
        2.5,
        math.nan,
        True,
        "a",
        "\udfff",
        b"x",
        bytearray(b"x"),
        Int64(1),
        BIG,
        -BIG,
        UNSET,
        [1],
        {},
    ),
    *([BIG], {"name": "x"}, {"$a": 1}, datetime.date.min, USER_ID),
]


def outcome(validator: Validator, value: object) -> str:
    """What becomes of a value, with its types."""
    try:
        return repr(validator.check(value))
    except ValidationError as error:
        return f"refused: {error}"


@given(st.sampled_from(ELEMENTS), st.sampled_from(ITEMS), st.lists(st.sampled_from(ITEMS), max_size=3))
def test_many_values_are_taken_as_each_of_them(
    element: Validator, most: object, others: list[object]
) -> None:
    values = [most, *others, most]
    each = [outcome(element, value) for value in values]
    together = outcome(v.array(element), values)
    refused = [place for place, text in enumerate(each) if text.startswith("refused")]
    if refused:
        first_line = each[refused[0]].partition("\n")[0]
        assert together.startswith(first_line) and f"Path: [{refused[0]}]" in together
    else:
        assert together == f"[{', '.join(each)}]"


@pytest.mark.parametrize("name", ["$a", "_a", 1, USER_ID])
def test_the_names_of_a_record_are_looked_at_whatever_its_values_are(name: object) -> None:
    for values in (v.any(), v.number(), v.int64()):
        assert ".keys()" in outcome(v.record(v.id("posts"), values), {name: 1})
        taken = outcome(v.record(v.string(), values), {"a": 1, name: 1})
        assert (".keys()" in taken) == (name != USER_ID)


def test_what_is_owned_is_not_copied() -> None:
    rule = v.object({"a": v.any(), "b": v.optional(v.array(v.any())), "c": v.record(v.string(), v.any())})
    own = owned(rule)
    assert own == rule and owned(PERSON) is PERSON and owned(v.nullable(v.any())) == v.nullable(v.any())
    value: dict[str, list[object]] = {"a": [1], "b": [[2]], "c": {"x": [3]}}  # type: ignore[dict-item]
    assert own.check(value) == rule.check(value) == value
    assert own.check(value)["a"] is value["a"] and rule.check(value)["a"] is not value["a"]
    assert own.check(value)["b"][0] is value["b"][0]
    for wrong in ({"a": {1}, "c": {}}, {"a": UNSET, "c": {}}, {"a": 1, "b": [datetime.date.min], "c": {}}):
        assert outcome(own, wrong) == outcome(rule, wrong)
