# SPDX-License-Identifier: MIT
"""Int64, UNSET, and how any object is shown."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from minihttp.errors import ValidationError
from minihttp.values import UNSET, Int64, show
from tests.values.world import circle


def test_an_int64_is_one_within_its_range() -> None:
    for number in (-(2**63), 0, 2**63 - 1):
        assert Int64(number) == number and repr(Int64(number)) == f"Int64({number})"
    for number in (-(2**63) - 1, 2**63):
        with pytest.raises(ValidationError, match="does not fit into a 64-bit"):
            Int64(number)


def test_unset_is_one_object_however_it_travels() -> None:
    assert copy.deepcopy(UNSET) is UNSET and pickle.loads(pickle.dumps(UNSET)) is UNSET
    assert not UNSET and repr(UNSET) == "UNSET"


class Odd:
    def __repr__(self) -> str:
        return "odd \ud800"


CIRCLE: list[Any] = []
CIRCLE.append(CIRCLE)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("é", '"é"'),
        (1, "1"),
        (Int64(1), "Int64(1)"),
        (None, "null"),
        (b"x", "\"b'x'\""),
        (Odd(), '"odd \\ud800"'),
        (CIRCLE, "a list"),
        ({(1, 2): 3}, "a dict"),
    ],
)
def test_anything_is_shown(value: Any, shown: str) -> None:
    assert show(value) == shown


def test_what_is_long_is_cut() -> None:
    assert len(show("x" * 10_000)) == 241


def test_int64() -> None:
    assert repr(Int64(5)) == "Int64(5)"
    assert f"{Int64(5)} {Int64(5)!s}" == "5 5"
    assert pickle.loads(pickle.dumps(Int64(5))) == copy.copy(Int64(5)) == 5
    for number in (2**63, -(2**63) - 1, 10**5000):
        with pytest.raises(ValidationError, match="does not fit into a 64-bit signed integer"):
            Int64(number)


def test_unset_is_one_and_false() -> None:
    assert copy.deepcopy(UNSET) is pickle.loads(pickle.dumps(UNSET)) is UNSET
    assert not UNSET
    assert repr(UNSET) == "UNSET"


@pytest.mark.parametrize(
    "value", [circle(), 10**5000, {1: 2}, object(), "\ud800", b"\xff", "x" * 999], ids=range(7)
)
def test_show_never_raises(value: object) -> None:
    assert len(show(value).encode()) < 1000


def test_show_tells_an_int64_from_a_float64() -> None:
    assert (show(Int64(1)), show(1)) == ("Int64(1)", "1")
