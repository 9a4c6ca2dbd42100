# SPDX-License-Identifier: MIT
"""Ids: their form, their order, what they carry."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minihttp.data import ids


def test_an_id_carries_its_table_and_its_time() -> None:
    id = ids.IdMaker(lambda: 1_700_000_000.25, lambda n: b"\xff" * n).make(ids.table_tag("users"))
    assert ids.is_id(id)
    assert id[:6] == ids.table_tag("users") != ids.table_tag("posts")
    assert ids.microseconds(id) == 1_700_000_000_250_000
    assert id[17:] == "v" * 15


def test_times_strictly_increase_whatever_the_clock_does() -> None:
    clock = iter([5.0, 5.0, 4.0, 6.0])
    maker = ids.IdMaker(lambda: next(clock))
    made = [maker.make("000000") for _ in range(4)]
    assert [ids.microseconds(id) for id in made] == [5_000_000, 5_000_001, 5_000_002, 6_000_000]
    assert made == sorted(made)


def test_a_forked_child_makes_other_ids() -> None:
    maker = ids.IdMaker(lambda: 5.0)
    maker.make("000000")
    receiver, sender = os.pipe()
    child = os.fork()
    if not child:
        os.write(sender, maker.make("000000").encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(receiver, 100).decode()
    os.close(receiver)
    os.close(sender)
    ours = maker.make("000000")
    assert ids.microseconds(ours) == ids.microseconds(theirs)
    assert ours != theirs


@given(st.integers(0, ids.MAX_MICROSECONDS - 1), st.integers(0, ids.MAX_MICROSECONDS - 1))
def test_time_text_sorts_as_time(a: int, b: int) -> None:
    assert (ids.time_text(a) < ids.time_text(b)) is (a < b)
    assert int(ids.time_text(a), 32) == a


@pytest.mark.parametrize(
    "text", ["", "a" * 31, "a" * 33, "w" * 32, "A" * 32, "a" * 31 + "\n", "٣" * 32, 5, None, b"a" * 32]
)
def test_what_is_no_id(text: object) -> None:
    assert not ids.is_id(text)
