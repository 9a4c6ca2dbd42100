# SPDX-License-Identifier: MIT
from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minihttp.errors import HTTPError
from minihttp.http.fields import Fields, PathParams, QueryParams, parse_form, parse_query


def parse(text: str, max_fields: int = 1000) -> list[tuple[str, str]]:
    return parse_query(text, max_fields)


MANY = "&" * 9  # so many fields are decoded together


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
    assert parse(text) == parse(text + MANY) == pairs


@pytest.mark.parametrize("text", ["a=%", "a=%zz", "%f=1", "a=%FF", "a=%F8", "\xff=1", "\xf8=1"])
def test_broken_encoding_is_400(text: str) -> None:
    with pytest.raises(HTTPError, match=r"query field .* not percent-encoded UTF-8"):
        parse(text)
    with pytest.raises(HTTPError, match=r"query has a field that is not percent-encoded UTF-8"):
        parse(text + MANY)


@pytest.mark.parametrize(
    ("body", "pairs"),
    [
        (b"a=1&b=c+d%2B", [("a", "1"), ("b", "c d+")]),
        (b"name=J%F6rg&raw=J\xf6rg", [("name", "J\ufffdrg"), ("raw", "J\ufffdrg")]),
        (b"a=100%&b=%zz&%=%4", [("a", "100%"), ("b", "%zz"), ("%", "%4")]),
        (b"n=%C3%A9%ff", [("n", "é\ufffd")]),
        (b"\xef\xbb\xbfa=1&b=2", [("a", "1"), ("b", "2")]),
        (b"%EF%BB%bfa=%EF%BB%BF1", [("a", "\ufeff1")]),  # only the one at the start is a mark
    ],
)
def test_a_form_is_read_as_browsers_do(body: bytes, pairs: list[tuple[str, str]]) -> None:
    assert parse_form(body, 1000, 1000) == parse_form(body + MANY.encode(), 1000, 1000) == pairs


def test_a_form_in_another_encoding() -> None:
    assert parse_form(b"a=J%F6rg&b=\x80", 9, 99, "cp1252") == [("a", "Jörg"), ("b", "€")]
    assert parse_form(b"a=%83n%83%8D%81%5B+b", 9, 99, "cp932") == [("a", "ハロー b")]


ODD = st.lists(
    st.sampled_from([b"%", b"f8", b"F9", b"%3D", b"%26", b"\xf8", b"\xf9", b"\n", b"=", b"&", b"+"])
)


@given(st.binary(max_size=60) | ODD.map(b"".join))
def test_no_form_is_too_odd(body: bytes) -> None:
    pairs = parse_form(body, 1000, 1000)
    assert parse_form(body + MANY.encode(), 1000, 1000) == pairs
    for name, value in pairs:
        (name + value).encode()  # there is no lone surrogate


@given(st.text("%\r\n=+&4aFz", max_size=40))
def test_what_stands_for_itself_does_as_in_the_standard_library(text: str) -> None:
    wanted = parse_qsl(text, keep_blank_values=True, max_num_fields=None)
    assert parse_form(text.encode(), 1000, 1000) == wanted


def test_a_thousand_percent_signs_may_stand_for_themselves() -> None:
    assert parse_form(b"a=" + b"%zz" * 1_000, 9, 9_999) == [("a", "%zz" * 1_000)]
    for broken in (b"a=" + b"%zz" * 1_001, b"a=" + b"%" * 1_001, b"&".join([b"a=%g"] * 1_001)):
        with pytest.raises(HTTPError, match="more than 1000 '%' without two hex digits") as caught:
            parse_form(broken, 9_999, 9_999)
        assert caught.value.status == 400


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


def test_typed_parameters() -> None:
    query = QueryParams([("limit", "5"), ("limit", "7"), ("q", "x"), ("bad", "0x1")])
    assert query.get("limit", default=10, type=int, min=0, max=100) == 5
    assert query.get("page", default=10, type=int, min=0, max=100) == 10
    assert query.get("page", type=int) is None
    assert query.get_all("limit", type=int) == [5, 7] and query.get_all("none", type=int) == []
    assert query["q"] == "x" and query.get("q", max=3) == "x"
    for wrong in (
        lambda: query.get("bad", type=int),
        lambda: query.get("limit", type=int, max=4),
        lambda: query.get("q", min=2),
        lambda: query.get_all("limit", type=int, max=6),
    ):
        with pytest.raises(HTTPError, match=r"^The query parameter '(bad|limit|q)' must be ") as caught:
            wrong()
        assert caught.value.status == 400
    with pytest.raises(HTTPError, match=r"^Missing required query parameter: none$"):
        query["none"]
    with pytest.raises(KeyError):
        query["none"]


def test_typed_path_parameters() -> None:
    parameters = PathParams(number="7", name="x")
    assert parameters == {"number": "7", "name": "x"} and parameters["name"] == "x"
    assert parameters.get("number", type=int, min=1) == 7 and parameters.get("name") == "x"
    assert parameters.get("none") is None and parameters.get("none", "y") == "y"
    with pytest.raises(HTTPError, match=r"^The path parameter 'name' must be an integer, not 'x'$"):
        parameters.get("name", type=int)
    with pytest.raises(KeyError):
        parameters.get("none", type=int)
