# SPDX-License-Identifier: MIT
from __future__ import annotations

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minihttp.errors import HTTPError
from minihttp.http.fields import Fields, QueryParams, parse_urlencoded


def parse(text: str, max_fields: int = 1000) -> list[tuple[str, str]]:
    return parse_urlencoded(text, "query", max_fields)


def test_look_up() -> None:
    query = QueryParams([("a", "1"), ("b", ""), ("a", "2")])
    assert query.get("a") == "1" and query.get("c") is None and query.get("c", "d") == "d"
    assert query.get_all("a") == ["1", "2"] and query.get_all("c") == []
    assert "b" in query and "c" not in query and list(query) == ["a", "b"] and len(query) == 2
    assert query.items() == [("a", "1"), ("a", "2"), ("b", "")]
    assert repr(Fields([("a", 1)])) == "Fields([('a', 1)])"


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("", []),
        ("a=1&b=2", [("a", "1"), ("b", "2")]),
        ("a=1;b=2", [("a", "1;b=2")]),  # one field: CVE-2021-23336
        ("a+b=c+d%2B", [("a b", "c d+")]),
        ("a", [("a", "")]),
        ("=1", [("", "1")]),
        ("&&a=1&", [("a", "1")]),
        ("a=b=c", [("a", "b=c")]),
        ("n=%C3%A9&m=\xc3\xa9", [("n", "é"), ("m", "é")]),
    ],
)
def test_urlencoded(text: str, pairs: list[tuple[str, str]]) -> None:
    assert parse(text) == pairs


@pytest.mark.parametrize("text", ["a=%", "a=%zz", "%f=1", "a=%FF", "\xff=1"])
def test_broken_encoding_is_400(text: str) -> None:
    with pytest.raises(HTTPError, match=r"query field .* not percent-encoded UTF-8"):
        parse(text)


def test_the_number_of_fields_is_limited() -> None:
    assert len(parse("a=1&b=2", 2)) == 2
    with pytest.raises(HTTPError, match="more than 2 fields"):
        parse("a=1&b=2&c=3", 2)
    assert len(parse("a;" * 100_000)) == 1


@given(
    st.lists(st.tuples(st.text(st.characters(exclude_categories=["Cs"])), st.text(max_size=5)), max_size=5)
)
def test_what_urlencode_writes_comes_back(pairs: list[tuple[str, str]]) -> None:
    assert parse(urlencode(pairs)) == pairs
