# SPDX-License-Identifier: MIT
"""The dates of HTTP, both ways."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from minihttp.files.http_dates import http_date, parse_http_date


@given(st.integers(0, 253_402_300_799))
def test_dates_both_ways(unix_seconds: int) -> None:
    assert parse_http_date(http_date(unix_seconds)) == unix_seconds


def test_a_date_of_the_rfc() -> None:
    assert http_date(784_111_777.9) == "Sun, 06 Nov 1994 08:49:37 GMT"
    assert time.gmtime(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"))[:3] == (1994, 11, 6)


@given(
    st.text()
    | st.from_regex(r"Sun, [0-9]{2} (Nov|Feb) [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT", fullmatch=True)
)
def test_any_text_is_a_date_or_none(text: str) -> None:
    assert parse_http_date(text) is None or parse_http_date(text) >= 0  # type: ignore[operator]
