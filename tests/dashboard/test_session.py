# SPDX-License-Identifier: MIT
"""Sessions: who comes in, and for how long."""

from __future__ import annotations

import pytest

from minihttp.dashboard.session import SESSION_SECONDS, Sessions

KEY = "an admin key of some length"


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(clock: Clock) -> Sessions:
    return Sessions(KEY, clock)


def test_a_session_ends_after_twelve_hours(sessions: Sessions, clock: Clock) -> None:
    cookie = sessions.new()
    clock.now += SESSION_SECONDS - 1
    assert sessions.is_valid(cookie)
    clock.now += 1
    assert not sessions.is_valid(cookie)


def test_any_changed_character_ends_it(sessions: Sessions) -> None:
    cookie = sessions.new()
    for n in range(len(cookie)):
        changed = cookie[:n] + ("1" if cookie[n] != "1" else "2") + cookie[n + 1 :]
        assert not sessions.is_valid(changed), changed


@pytest.mark.parametrize("cookie", ["", ".", "..", "x", "1.a", "9999999999.a.b", "ü.ü.ü", "9" * 5000])
def test_what_is_no_cookie(sessions: Sessions, cookie: str) -> None:
    assert not sessions.is_valid(cookie)


def test_another_key_opens_nothing(sessions: Sessions, clock: Clock) -> None:
    assert not Sessions(KEY + "x", clock).is_valid(sessions.new())


def test_another_app_of_the_same_host_has_a_cookie_of_its_own(sessions: Sessions, clock: Clock) -> None:
    assert sessions.cookie_name == Sessions(KEY, clock).cookie_name
    assert sessions.cookie_name != Sessions(KEY + "x", clock).cookie_name


def test_a_form_belongs_to_its_session(sessions: Sessions) -> None:
    one, two = sessions.new(), sessions.new()
    assert sessions.is_form_token(one, sessions.form_token(one))
    assert not sessions.is_form_token(two, sessions.form_token(one))
    assert not sessions.is_form_token(one, "")
    assert not sessions.is_form_token(one, "ü")
    assert sessions.form_token(one) not in one


def test_a_link_opens_once_and_for_ten_minutes(sessions: Sessions, clock: Clock) -> None:
    code = sessions.make_link()
    assert sessions.take_link(code)
    assert not sessions.take_link(code)
    late = sessions.make_link()
    clock.now += 600
    assert not sessions.take_link(late)
    assert not sessions.take_link("")
