# SPDX-License-Identifier: MIT
"""The numbers of JSON, and what Python's decoder would take for one."""

from __future__ import annotations

import json

import pytest

from minihttp.json_numbers import STRICT

DECODE = json.JSONDecoder(**STRICT).decode


@pytest.mark.parametrize("text", ["NaN", "Infinity", "[-Infinity]", "1e400", "-1e999", "1" * 400 + ".0"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not JSON|is out of range") as caught:
        DECODE(text)
    assert len(str(caught.value)) < 80


def test_numbers_are_what_they_were() -> None:
    assert DECODE("[0, -1, 1.5, 1e300, 5e-324, 1e-400]") == [0, -1, 1.5, 1e300, 5e-324, 0.0]
