# SPDX-License-Identifier: MIT
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minihttp.http.headers import Headers, RequestHeaders, parse_media_type, parse_parameters


def test_names_have_no_case_and_repeats_keep_their_order() -> None:
    headers = Headers([("Set-Cookie", "a=1"), ("X-One", "1"), ("set-cookie", "b=2")])
    assert headers.get("SET-COOKIE") == "a=1"
    assert headers.get_all("Set-Cookie") == ["a=1", "b=2"]
    assert "x-ONE" in headers and "X-Two" not in headers
    assert headers.get("X-Two") is None and headers.get("X-Two", "none") == "none"


def test_set_replaces_append_adds_delete_removes() -> None:
    headers = Headers({"A": "1"})
    headers.append("a", "2")
    headers.set("A", "3")
    assert headers.items() == [("A", "3")]
    headers.delete("a")
    headers.delete("a")
    assert not headers.items() and len(headers) == 0


def test_square_brackets_read_the_first_and_replace_all() -> None:
    headers = Headers([("A", "1"), ("a", "2")])
    assert headers["a"] == "1"
    headers["a"] = "3"
    assert headers.items() == [("a", "3")]
    with pytest.raises(KeyError, match="X-Two"):
        headers["X-Two"]
    with pytest.raises(ValueError, match="header X"):
        headers["X"] = "a\r\nSet-Cookie: x=1"


def test_a_copy_does_not_share() -> None:
    first = Headers({"A": "1"})
    Headers(first).set("B", "2")
    assert "B" not in first


@pytest.mark.parametrize(
    "bad", ["a\rb", "a\nb", "a\r\nSet-Cookie: x=1", "a\0", "a\x1fb", "a\tb", "a\x7f", "ĉ", "€"]
)
@pytest.mark.parametrize("add", ["set", "append"])
def test_a_value_that_could_forge_a_field_is_refused(bad: str, add: str) -> None:
    headers = Headers({"X": "kept"})
    with pytest.raises(ValueError, match="header X"):
        getattr(headers, add)("X", bad)
    with pytest.raises(ValueError):
        Headers([("X", bad)])
    assert headers.items() == [("X", "kept")]


@pytest.mark.parametrize("bad", ["", "a b", "a:b", "a\r\n", "é", "a\0", 'a"', "(x)"])
def test_a_name_that_is_no_token_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="not a token"):
        Headers().set(bad, "1")


def test_a_value_that_is_no_text_is_refused() -> None:
    with pytest.raises(ValueError, match="header Content-Length"):
        Headers().set("Content-Length", 5)  # type: ignore[arg-type]


def test_request_headers_read_the_environ() -> None:
    headers = RequestHeaders(
        {"HTTP_X_API_KEY": "k", "CONTENT_TYPE": "text/plain", "CONTENT_LENGTH": "", "PATH_INFO": "/"}
    )
    assert headers["x-api-key"] == headers.get("X-API-Key") == "k"
    assert headers.get("content-type") == "text/plain"
    assert "Content-Length" not in headers and headers.get_all("Content-Length") == []
    assert dict(headers) == {"X-Api-Key": "k", "Content-Type": "text/plain"} and len(headers) == 2
    assert headers.get_all("X-Api-Key") == ["k"] and "Path-Info" not in headers


def test_a_content_type_has_one_place_in_an_environ() -> None:
    headers = RequestHeaders({"HTTP_CONTENT_TYPE": "a/b", "HTTP_X": "", "CONTENT_TYPE": "", "X": "y"})
    assert "Content-Type" not in headers
    assert list(headers.items()) == [("X", "")] == list(dict(headers).items())


def test_an_underscore_is_no_hyphen() -> None:
    headers = RequestHeaders({"HTTP_X_API_KEY": "k"})
    assert "X_API_Key" not in headers and headers.get("X_API_Key") is None


@pytest.mark.parametrize(
    ("value", "media_type", "parameters"),
    [
        ("text/html", "text/html", {}),
        ('Text/HTML; Charset="UTF-8"', "text/html", {"charset": "UTF-8"}),
        ("multipart/form-data;boundary=a=b/c?;x=1", "multipart/form-data", {"boundary": "a=b/c?", "x": "1"}),
        ('multipart/form-data; boundary="a b,c;d"', "multipart/form-data", {"boundary": "a b,c;d"}),
        ("text/plain ; ; charset=utf-8 ; ", "text/plain", {"charset": "utf-8"}),
        (r'a/b; x="c\"', "a/b", {"x": "c\\"}),
        ("", "", {}),
        ("text", "", {}),
        ("text/plain, application/json", "", {}),
        ("text/plain; charset=utf-8, application/json", "", {}),
        ('text/plain; charset="utf-8', "", {}),
        ('text/plain; charset="a"b', "", {}),
        ("text/plain; a=1; A=2", "", {}),
        ("text/plain; charset=", "", {}),
        ("text/pläin", "", {}),
    ],
)
def test_media_types(value: str, media_type: str, parameters: dict[str, str]) -> None:
    assert parse_media_type(value) == (media_type, parameters)


@pytest.mark.parametrize(
    "hostile", ["\\" * 5000, " " * 100_000, ";" * 100_000, ";a" * 50_000, "; a=b" * 50_000]
)
def test_hostile_parameters_cost_one_pass(hostile: str) -> None:
    assert parse_media_type(f'a/b; x="{hostile}')[0] == ""
    # Whatever it says, it ends: a quadratic parser would not within the suite
    parse_media_type(f"a/b{hostile}")


def test_sixteen_parameters_are_enough() -> None:
    value = "a/b" + "".join(f"; n{number}=1" for number in range(16))
    assert len(parse_media_type(value)[1]) == 16
    assert parse_media_type(value + "; z=1") == parse_media_type("a/b" + ";" * 17) == ("", {})
    assert parse_media_type('a/b; x="' + ";" * 100 + '"')[1] == {"x": ";" * 100}


def test_escapes_of_a_quoted_value() -> None:
    for written, meant in (('a\\"b', 'a"b'), ('a\\\\\\"b', 'a\\"b'), ('\\"\\x\\\\', '"\\x\\')):
        assert parse_parameters(f'a; x="{written}"')[1] == {"x": meant}


@given(st.text(st.characters(max_codepoint=255)))
def test_any_value_parses_or_is_a_value_error(value: str) -> None:
    try:
        parse_parameters(value)
    except ValueError:
        pass
    parse_media_type(value)
