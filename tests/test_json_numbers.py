# SPDX-License-Identifier: MIT
"""The numbers of JSON, and what Python's decoder would take for one."""

from __future__ import annotations

import json

import pytest

from minihttp import json_numbers
from minihttp.json_numbers import STRICT, compact

DECODE = json.JSONDecoder(**STRICT).decode


@pytest.mark.parametrize("text", ["NaN", "Infinity", "[-Infinity]", "1e400", "-1e999", "1" * 400 + ".0"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not JSON|is out of range") as caught:
        DECODE(text)
    assert len(str(caught.value)) < 80


def test_numbers_are_what_they_were() -> None:
    assert DECODE("[0, -1, 1.5, 1e300, 5e-324, 1e-400]") == [0, -1, 1.5, 1e300, 5e-324, 0.0]


def test_what_is_written() -> None:
    assert compact({"a": [1, 1.5, "é", None, True]}) == '{"a":[1,1.5,"é",null,true]}'
    for value in (float("nan"), [float("-inf")]):
        with pytest.raises(ValueError, match="not JSON compliant"):
            compact(value)


def test_without_the_encoder_in_c(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json.encoder, "c_make_encoder", None)
    assert "".join(json_numbers._make_chunks()({"a": [1, "é"]}, 0)) == '{"a":[1,"é"]}'
