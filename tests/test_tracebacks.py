# SPDX-License-Identifier: MIT
"""The same traceback is logged once a second, and the others are counted."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import pytest

from minihttp import HTTPError, ValidationError
from minihttp.data.validators import v
from minihttp.http.hooks import as_response
from minihttp.tracebacks import RepeatFilter, error_text, is_on_purpose, shown_frames

log = logging.getLogger("minihttp.of_this_test")


class Later:
    """What is to be called later, called when the test says so."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], None]] = []

    def __call__(self, seconds: float, call: Callable[[], None]) -> None:
        assert seconds == 1.0
        self.calls.append(call)

    def pass_a_second(self) -> None:
        calls, self.calls = self.calls, []
        for call in calls:
            call()


def fail(kind: type[Exception], message: str) -> Exception:
    try:
        raise kind(message)
    except Exception as error:
        return error


def fail_elsewhere(message: str) -> Exception:
    try:
        raise ValueError(message)
    except Exception as error:
        return error


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_the_same_traceback_is_logged_once_and_then_counted(caplog: pytest.LogCaptureFixture) -> None:
    later = Later()
    failures = RepeatFilter(later)
    for number in range(500):
        failures.log(log, fail(ValueError, f"{number}"), "%s failed id=%s", "GET /x", number)
    assert logged(caplog) == ["GET /x failed id=0"]
    assert caplog.records[0].exc_info
    later.pass_a_second()
    assert logged(caplog)[1:] == ["GET /x failed id=0: 499 more of the same within 1 s"]
    assert not caplog.records[1].exc_info
    failures.log(log, fail(ValueError, "again"), "%s failed id=%s", "GET /x", "again")
    later.pass_a_second()
    assert logged(caplog)[2:] == ["GET /x failed id=again"]
    assert not later.calls


def test_other_types_and_other_lines_are_other_tracebacks(caplog: pytest.LogCaptureFixture) -> None:
    failures = RepeatFilter(Later())
    for _ in range(2):
        for error in (fail(ValueError, "x"), fail(KeyError, "x"), fail_elsewhere("x")):
            failures.log(log, error, "failed")
    assert logged(caplog) == ["failed"] * 3


def test_two_routes_that_fail_in_no_line_of_the_user_are_both_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    failures = RepeatFilter(Later())
    for route in ("/a", "/b", "/a"):
        try:
            as_response(None, route)
        except TypeError as error:
            error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next  # without this file
            failures.log(log, error, "%s %s failed: %s", "GET", route, "TypeError")
    assert logged(caplog) == ["GET /a failed: TypeError", "GET /b failed: TypeError"]


def test_many_threads_count_right(caplog: pytest.LogCaptureFixture) -> None:
    later = Later()
    failures = RepeatFilter(later)

    def run() -> None:
        for _ in range(200):
            failures.log(log, fail(ValueError, "x"), "failed")

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    later.pass_a_second()
    assert logged(caplog) == ["failed", "failed: 799 more of the same within 1 s"]


def test_the_count_comes_by_itself(caplog: pytest.LogCaptureFixture) -> None:
    said = threading.Event()

    class Said(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "1 more of the same" in record.getMessage():
                said.set()

    handler = Said()
    log.addHandler(handler)
    try:
        failures = RepeatFilter()
        for _ in range(2):
            failures.log(log, fail(ValueError, "x"), "failed")
        assert said.wait(60)
    finally:
        log.removeHandler(handler)


def test_on_purpose_is_what_the_users_own_code_raises() -> None:
    assert is_on_purpose(fail(ValidationError, "too short"))
    assert not is_on_purpose(fail(ValueError, "too short"))
    assert not is_on_purpose(ValidationError("never raised"))
    try:
        v.string().check(5)
    except ValidationError as error:
        assert not is_on_purpose(error)
    with pytest.raises(HTTPError) as caught:
        raise HTTPError(500, "oh")
    assert not is_on_purpose(caught.value)


def test_how_an_error_is_shown() -> None:
    class Odd(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert error_text(ValueError("x")) == "ValueError: x"
    assert error_text(ValueError()) == "ValueError"
    assert error_text(Odd()) == "Odd: (its message cannot be shown)"
    [frame] = shown_frames(fail_elsewhere("x"))
    assert frame.startswith("fail_elsewhere (test_tracebacks.py:")
