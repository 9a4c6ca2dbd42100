# SPDX-License-Identifier: MIT
from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minihttp.data.validators import Validator, v
from minihttp.errors import ValidationError

PERSON = v.object(
    {
        "name": v.string(),
        "age": v.number(),
        "nick": v.optional(v.string()),
        "tags": v.array(v.object({"t": v.string()})),
        "role": v.union(v.literal("admin"), v.literal("user")),
    }
)
GOOD = {"name": "Ada", "age": 36, "tags": [{"t": "x"}], "role": "admin"}


def test_every_field_is_named() -> None:
    wrong = {"age": "x", "nick": 7, "tags": [{"t": 1}, {}, {"t": "ok", "u": 1}], "role": "root", "more": 1}
    assert PERSON.problems(wrong) == [
        "`name` is missing",
        '`age` must be v.number(), not "x"',
        "`nick` must be v.string(), not 7",
        "`tags[0].t` must be v.string(), not 1",
        "`tags[1].t` is missing",
        "`tags[2].u` is not one of its fields",
        '`role` must be v.union(v.literal("admin"), v.literal("user")), not "root"',
        "`more` is not one of its fields",
    ]
    assert PERSON.problems(GOOD) == [] and PERSON.problems({**GOOD, "nick": None}) == []
    assert PERSON.problems([]) == [f"it must be {PERSON}, not []"]


def test_there_are_20_at_most() -> None:
    assert len(v.array(v.string()).problems([1] * 100_000)) == 20
    assert len(v.object({}).problems({str(n): n for n in range(1_000)})) == 20


VALIDATORS = [PERSON, v.array(v.string()), v.optional(v.number()), v.any(), v.record(v.string(), v.number())]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.sampled_from(["admin", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*GOOD, "t"]), inner, max_size=5)
    ),
    max_leaves=8,
)


@given(st.sampled_from(VALIDATORS), VALUES)
def test_problems_and_check_agree(validator: Validator, value: Any) -> None:
    try:
        validator.check(value)
    except ValidationError:
        assert validator.problems(value)
    else:
        assert validator.problems(value) == []


def test_an_optional_any_whose_default_is_none_is_not_stored() -> None:
    """As in TypeScript, where the argument that was not given is undefined."""
    stored = v.object({"x": v.optional(v.any()), "y": v.optional(v.nullable(v.string()))})
    assert stored.check({"x": None, "y": None}) == {"y": None}
    assert stored.check({"x": {"a": None}}) == {"x": {"a": None}}
    with pytest.raises(ValidationError):
        v.object({"x": v.string()}).check({"x": None})
