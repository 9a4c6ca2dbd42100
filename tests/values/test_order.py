# SPDX-License-Identifier: MIT
"""The total order of values: across types, and its bytes."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from minihttp.values import UNSET, Int64, compare, index_key

ORDERED: list[Any] = [
    *(UNSET, None, Int64(-(2**63)), Int64(-1), Int64(0), Int64(2**63 - 1)),
    *(float("-inf"), -1e300, -1.5, -0.0, 0.0, 5e-324, 1.0, 2**53, float("inf"), float("nan")),
    *(False, True, "", "\0", "\0a", "a", "a\0", "aa", "b", "é", "🙂"),
    *(b"", b"\0", b"\0\xff", b"\x01", b"\xff", [], [None], [1.0], [1.0, None], ["a"]),
    *({}, {"a": 1.0}, {"a": 1.0, "b": None}, {"a": 2.0}, {"b": UNSET}),
]


@pytest.mark.parametrize(("lower", "higher"), list(pairwise(ORDERED)), ids=repr)
def test_each_is_below_the_next(lower: Any, higher: Any) -> None:
    assert (compare(lower, higher), compare(higher, lower), compare(lower, lower)) == (-1, 1, 0)


def test_an_integer_is_a_double_in_the_order() -> None:
    assert compare(1, 1.0) == 0


def test_a_key_with_more_fields_lies_between_its_prefix_and_the_end_of_it() -> None:
    prefix = index_key(["a"])
    for following in ORDERED:
        assert prefix <= index_key(["a", following]) < prefix + b"\xff" < index_key(["a\0"])


def test_what_is_no_value_has_no_key() -> None:
    with pytest.raises(KeyError):
        index_key([object()])
