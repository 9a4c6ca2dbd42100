# SPDX-License-Identifier: MIT
"""Tokens of URLs: for one subject, until a moment, by one secret."""

from __future__ import annotations

import pytest

from minihttp.errors import HTTPError
from minihttp.files.signing import UPLOAD, check, sign

TOKEN = sign(b"secret", UPLOAD, 1_000)


def refusal(secret: bytes, subject: str, token: str | None, now: float = 0.0) -> tuple[int, str]:
    with pytest.raises(HTTPError) as caught:
        check(secret, subject, token, now)
    return caught.value.status, caught.value.code


def test_a_token_is_good_until_its_moment() -> None:
    assert check(b"secret", UPLOAD, TOKEN, 999.9) == 1_000
    assert refusal(b"secret", UPLOAD, TOKEN, 1_000) == (401, "StorageTokenExpired")


def test_it_is_good_for_nothing_else() -> None:
    for secret, subject in ((b"another", UPLOAD), (b"secret", "another")):
        assert refusal(secret, subject, TOKEN) == (401, "StorageTokenInvalid")


@pytest.mark.parametrize(
    "token", ["x", TOKEN[:-1], TOKEN + "0", TOKEN.upper(), "9" + TOKEN, TOKEN + "\n", "١" + TOKEN[1:]]
)
def test_no_character_of_it_may_change(token: str) -> None:
    assert refusal(b"secret", UPLOAD, token) == (401, "StorageTokenInvalid")


@pytest.mark.parametrize("token", [None, ""])
def test_without_one(token: str | None) -> None:
    assert refusal(b"secret", UPLOAD, token) == (400, "StorageTokenMissing")
