# SPDX-License-Identifier: MIT
"""Cursors as texts: what they hide, and that nothing but themselves opens."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode

from hypothesis import given
from hypothesis import strategies as st

from minihttp.data.cursors import seal, unseal

SECRET = bytes(32)


@given(st.binary(max_size=200), st.binary(max_size=40))
def test_a_cursor_opens_where_it_was_made_and_nowhere_else(position: bytes, bound_to: bytes) -> None:
    cursor = seal(SECRET, bound_to, position)
    assert unseal(SECRET, bound_to, cursor) == position
    assert cursor == seal(SECRET, bound_to, position)
    assert unseal(SECRET, bound_to + b"x", cursor) is None
    assert unseal(b"1" * 32, bound_to, cursor) is None


@given(st.binary(min_size=8, max_size=100))
def test_nothing_of_a_position_is_in_its_cursor(position: bytes) -> None:
    assert position not in urlsafe_b64decode(seal(SECRET, b"a", position))


def test_values_of_similar_length_have_cursors_of_one_length() -> None:
    assert len({len(seal(SECRET, b"", bytes(size))) for size in range(32, 63)}) == 1


@given(st.integers(0, 63), st.integers(1, 255))
def test_a_changed_cursor_is_none(place: int, change: int) -> None:
    sealed = bytearray(urlsafe_b64decode(seal(SECRET, b"a", bytes(range(40)))))
    sealed[place] ^= change
    assert unseal(SECRET, b"a", urlsafe_b64encode(bytes(sealed)).decode()) is None


@given(st.one_of(st.text(), st.binary().map(lambda data: urlsafe_b64encode(data).decode())))
def test_anything_else_is_none(text: str) -> None:
    assert unseal(SECRET, b"a", text) is None


def test_a_cursor_has_one_spelling() -> None:
    cursor = seal(SECRET, b"a", b"b")
    for other in (cursor + "\n", " " + cursor, cursor[:5] + "!" + cursor[5:], cursor + "="):
        assert unseal(SECRET, b"a", other) is None
