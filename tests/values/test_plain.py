# SPDX-License-Identifier: MIT
"""Int64, UNSET, and how any object is shown."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from minihttp.errors import ValidationError
from minihttp.values import UNSET, Int64, show


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
