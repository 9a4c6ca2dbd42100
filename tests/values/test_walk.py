# SPDX-License-Identifier: MIT
"""What is no value, where in it, and the bounds of a document."""

from __future__ import annotations

import datetime

import pytest

from minihttp.errors import ValidationError
from minihttp.limits import Limits
from minihttp.values import copy, dumps, encode_clean, encode_wire, show
from tests.values.world import circle


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (2**53 + 1, "beyond ±2^53"),
        (10**5000, "beyond ±2^53"),
        ("\ud800", "unpaired surrogate"),
        ({"a": [{"b": "\udfff"}]}, "(present at path .a[0].b)"),
        ({1: 2}, "Field name 1 is not a string"),
        ({"\ud800": 1}, "invalid character"),
        (circle(), "nested too deeply (maximum nesting 64)"),
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
