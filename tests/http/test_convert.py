# SPDX-License-Identifier: MIT
from __future__ import annotations

import uuid
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minihttp.errors import HTTPError
from minihttp.http.convert import convert


@pytest.mark.parametrize(
    ("text", "type", "value"),
    [
        ("7", int, 7),
        ("-007", int, -7),
        ("+1", int, 1),
        ("1.5", float, 1.5),
        (".5e3", float, 500.0),
        ("3", float, 3.0),
        ("true", bool, True),
        ("0", bool, False),
        ("é", str, "é"),
        ("", str, ""),
        ("2026-11-30", date.fromisoformat, date(2026, 11, 30)),
        (
            "12345678-1234-5678-1234-567812345678",
            uuid.UUID,
            uuid.UUID("12345678-1234-5678-1234-567812345678"),
        ),
    ],
)
def test_values(text: str, type: Any, value: Any) -> None:
    assert convert("query parameter", "n", text, type) == value


@pytest.mark.parametrize(
    ("text", "type"),
    [
        *[
            (text, int)
            for text in ("", " 1", "1 ", "1.0", "1e3", "1_000", "٣", "0x10", "--1", "9" * 101, "true")
        ],
        *[
            (text, float)
            for text in ("", "nan", "inf", "-Infinity", "1_0.5", "1e999", "1,5", "0x1p3", ".", "e5")
        ],
        *[(text, bool) for text in ("", "True", "yes", "on", "2", "null")],
        ("tomorrow", date.fromisoformat),
        ("x", uuid.UUID),
    ],
)
def test_a_wrong_value_is_a_400_with_name_value_and_rule(text: str, type: Any) -> None:
    with pytest.raises(HTTPError) as caught:
        convert("query parameter", "limit", text, type)
    assert caught.value.status == 400
    assert caught.value.message.startswith("The query parameter 'limit' must be ")
    assert caught.value.message.endswith(f", not {text[:100]!r}")


@pytest.mark.parametrize(
    ("type", "low", "high", "bad", "rule"),
    [
        (int, 0, 100, "101", "an integer of 0 to 100, not '101'"),
        (int, 0, 100, "-1", "an integer of 0 to 100, not '-1'"),
        (int, 1, None, "0", "an integer of 1 or more, not '0'"),
        (float, None, 0.5, "0.6", "a number of at most 0.5, not '0.6'"),
        (str, 1, 3, "", "a text of 1 to 3 characters, not ''"),
        (str, None, 3, "éééé", "a text of at most 3 characters, not 'éééé'"),
    ],
)
def test_bounds(type: Any, low: Any, high: Any, bad: str, rule: str) -> None:
    with pytest.raises(HTTPError, match=f"The form field 'n' must be {rule}"):
        convert("form field", "n", bad, type, low, high)


def test_bounds_belong_to_the_range() -> None:
    assert [convert("query parameter", "n", text, int, 0, 9) for text in "09"] == [0, 9]


def test_a_file_is_no_value() -> None:
    with pytest.raises(HTTPError, match=r"The form field 'age' must be an integer, not a file"):
        convert("form field", "age", object(), int)


@given(st.text(max_size=30), st.sampled_from([int, float, bool, str]))
def test_any_text_is_a_value_or_a_400(text: str, type: Any) -> None:
    try:
        assert isinstance(convert("query parameter", "n", text, type), type)
    except HTTPError as error:
        assert error.status == 400
