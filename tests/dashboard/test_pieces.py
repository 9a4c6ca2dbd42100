# SPDX-License-Identifier: MIT
"""The pieces of pages: numbers and values for people, and what is masked."""

from __future__ import annotations

from typing import Any

import pytest

from minihttp import Int64
from minihttp.dashboard import pieces
from minihttp.errors import HTTPError


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "less than 1 s"), (1, "1 s"), (59.9, "59 s"), (60, "1 min"), (7_200, "2 h"), (200_000, "2 d")],
)
def test_a_duration_has_its_largest_unit(seconds: float, said: str) -> None:
    assert pieces.span(seconds) == said


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 B"), (1_023, "1023 B"), (1_536, "1.5 KiB"), (5 * 2**20, "5.0 MiB"), (2**41, "2048.0 GiB")],
)
def test_bytes_for_people(count: float, said: str) -> None:
    assert pieces.size(count) == said


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("x" * 60, "x" * 60),
        ("x" * 61, "x" * 59 + "…"),
        (Int64(5), "5"),
        (b"abc", "3 bytes"),
        ({"a": 1}, '{"a": 1}'),
    ],
)
def test_a_value_on_one_line(value: Any, shown: str) -> None:
    assert pieces.preview(value) == shown


def test_what_is_edited_comes_back_as_it_was() -> None:
    value = {"n": Int64(5), "b": b"\0", "list": [1, None, "é"]}
    assert pieces.parse_fields(pieces.fields(value)) == value
    assert pieces.parse_value("[1]") == [1] and pieces.parse_value("[1") == "[1"
    for text in ("{", "NaN", f'{{"a": "{pieces.MASK}"}}'):
        with pytest.raises(HTTPError):
            pieces.parse_fields(text)


def test_credentials_are_masked_however_deep() -> None:
    row = {"headers": [{"Authorization": "Bearer x", "Accept": "a"}], "api_token": "x", "tokens": 5}
    masked = pieces.without_credentials(row)
    assert masked == {
        "headers": [{"Authorization": pieces.MASK, "Accept": "a"}],
        "api_token": pieces.MASK,
        "tokens": 5,
    }
    assert "Bearer" not in pieces.headers({"authorization": "Bearer x"})


def test_a_table_without_rows_says_what_to_do() -> None:
    assert pieces.table(("A",), [], "Make <one>.") == '<p class="empty">Make &lt;one&gt;.</p>'
    assert "<td>&lt;b&gt;</td>" in pieces.table(("A",), [("<b>",)], "")


def test_a_long_text_is_cut() -> None:
    assert "… 5 characters more" in pieces.code("x" * 20_005)
    assert pieces.first_line("ValueError: x\n  File") == "ValueError: x"
    assert (pieces.short("0123456789"), pieces.short("01")) == ("…23456789", "01")
