# SPDX-License-Identifier: MIT
"""Sizes by Convex's measure."""

from __future__ import annotations

from typing import Any

import pytest

from minihttp.errors import ValidationError
from minihttp.values import UNSET, Int64, largest_part, size_bytes


@pytest.mark.parametrize(
    ("value", "size"),
    [
        (None, 1),
        (True, 1),
        (UNSET, 1),
        (1, 9),
        (1.5, 9),
        (Int64(1), 9),
        ("", 2),
        ("abc", 5),
        ("é", 4),
        ("\ud800", 5),
        (b"abc", 5),
        (bytearray(b"abc"), 5),
        ([], 2),
        ([1, "a"], 14),
        ((1,), 11),
        ({}, 2),
        ({"ab": None}, 6),
        ({"a": {"b": [1]}}, 19),
    ],
)
def test_a_size(value: Any, size: int) -> None:
    assert size_bytes(value) == size


@pytest.mark.parametrize("value", [object(), {1: 2}, [{1, 2}], {"a": complex(1)}])
def test_what_is_no_value_has_none(value: Any) -> None:
    with pytest.raises(ValidationError):
        size_bytes(value)


def test_the_part_that_makes_it_large() -> None:
    big = "x" * 1_000
    assert largest_part({"a": 1, "b": {"c": ["small", big]}}) is big
    even = [big, "y" * 1_000]
    assert largest_part({"a": even}) is even, "none of two halves"
    assert largest_part([]) == []


def test_sizes_are_convex_s() -> None:
    value = {"name": "é", "n": 1, "list": [None, True, b"abc"]}
    assert size_bytes(value) == 2 + (4 + 1 + 4) + (1 + 1 + 9) + (4 + 1 + 2 + 1 + 1 + 5)
    with pytest.raises(ValidationError):
        size_bytes([object()])
