# SPDX-License-Identifier: MIT
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minihttp.auth.token import decode_base64url, decode_object, encode_base64url, parse, sign
from minihttp.errors import AuthError


@given(st.binary())
def test_base64url_has_one_spelling(data: bytes) -> None:
    text = encode_base64url(data)
    assert decode_base64url(text) == data


@given(st.text(alphabet="AB_-/+=\n Éw", max_size=9))
def test_what_decodes_is_what_would_be_encoded(text: str) -> None:
    try:
        data = decode_base64url(text)
    except ValueError:
        return
    assert encode_base64url(data) == text


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with pytest.raises(AuthError):
        parse(text)


@pytest.mark.parametrize(
    "data", [b"", b"7", b"[]", b'{"a":1,"a":1}', b'{"a":NaN}', b'{"a":"\\ud800"}', b"\xff", b"{}x"]
)
def test_what_is_no_object(data: bytes) -> None:
    with pytest.raises(ValueError):
        decode_object(data)


def test_an_object() -> None:
    assert decode_object('{"a": ["é", "\\ud83d\\ude00"]}'.encode()) == {"a": ["é", "😀"]}


def test_a_token_of_ones_own() -> None:
    token = parse(sign({"sub": "é"}, "secret", kid="k"))
    assert token.header == {"alg": "HS256", "typ": "JWT", "kid": "k"} and token.claims == {"sub": "é"}
