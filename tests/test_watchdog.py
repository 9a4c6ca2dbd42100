# SPDX-License-Identifier: MIT
"""The watchdog: code that does not end is ended, wherever it catches; what ends in time hears nothing."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from minihttp.errors import DeadlineError
from minihttp.watchdog import Watchdog, watchdog

LIMIT_SECONDS = 0.05
HANGS_SECONDS = 30.0


def spin() -> None:
    while True:
        pass


def spin_on_calls() -> None:
    while True:
        sum(range(50))


def sleep_in_short_pieces() -> None:
    while True:
        time.sleep(0.005)


def swallow_exceptions() -> None:
    while True:
        with contextlib.suppress(Exception):
            time.sleep(0.005)


def swallow_everything() -> None:
    while True:
        try:
            time.sleep(0.005)
        except BaseException:
            continue


def swallow_everything_twice() -> None:
    while True:
        try:
            swallow_everything()
        except BaseException:
            len([])


def spin_in_finally() -> None:
    try:
        spin()
    finally:
        spin()


def recurse() -> None:
    while True:
        with contextlib.suppress(RecursionError):
            recurse_for_ever()


def recurse_for_ever() -> None:
    recurse_for_ever()


def in_the_standard_library() -> None:
    while True:
        json.loads(json.dumps(list(range(100)), indent=1))


def in_a_key_function() -> None:
    sorted(range(10_000), key=lambda n: spin())


def in_a_generator() -> None:
    def numbers() -> Any:
        while True:
            yield 1

    sum(numbers())


def waiting_with_a_timeout() -> None:
    while True:
        threading.Event().wait(0.005)


def logging_all_the_time() -> None:
    quiet = logging.getLogger("tests.quiet")
    quiet.propagate = False
    quiet.addHandler(logging.NullHandler())
    while True:
        quiet.error("again")


ENDLESS = [
    spin,
    spin_on_calls,
    sleep_in_short_pieces,
    swallow_exceptions,
    swallow_everything,
    swallow_everything_twice,
    spin_in_finally,
    recurse,
    in_the_standard_library,
    in_a_key_function,
    in_a_generator,
    waiting_with_a_timeout,
    logging_all_the_time,
]


def in_a_thread(run: Callable[[], Any]) -> Any:
    """What `run` returns or raises, in a thread of its own; a test that hangs fails."""
    outcome: list[Any] = []

    def catch() -> None:
        try:
            outcome.append(run())
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=catch, daemon=True)
    thread.start()
    thread.join(HANGS_SECONDS)
    assert outcome, "it does not end"
    return outcome[0]


# What is thrown while a callback of the garbage collector runs is shown, not raised; it is thrown again.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("endless", ENDLESS)
def test_code_that_does_not_end_is_ended(endless: Callable[[], None]) -> None:
    error = in_a_thread(lambda: watchdog.run(LIMIT_SECONDS, endless.__name__, endless))
    assert type(error) is DeadlineError
    assert "timed out" in str(error)
    assert not watchdog.calls()


def test_the_log_names_the_call_and_the_place(caplog: pytest.LogCaptureFixture) -> None:
    in_a_thread(lambda: watchdog.run(LIMIT_SECONDS, "shop:spin", spin))
    [line] = [r.getMessage() for r in caplog.records]
    assert line.startswith("shop:spin ran longer than 0.05 s")
    assert f"spin ({__file__}:" in line


def test_an_app_that_is_installed_like_a_library_is_ended_too(tmp_path: Path) -> None:
    file = tmp_path / "site-packages" / "shop.py"
    names: dict[str, Any] = {}
    exec(compile("def spin():\n    while True: pass\n", str(file), "exec"), names)
    error = in_a_thread(lambda: watchdog.run(LIMIT_SECONDS, "shop:spin", names["spin"]))
    assert type(error) is DeadlineError


def test_a_caught_deadline_lets_the_call_end_in_its_own_way() -> None:
    def tidy() -> str:
        try:
            spin()
        except DeadlineError:
            return "tidied up"

    assert in_a_thread(lambda: watchdog.run(LIMIT_SECONDS, "it", tidy)) == "tidied up"


def test_an_outer_limit_ends_the_inner_call_too() -> None:
    def outer() -> None:
        watchdog.run(HANGS_SECONDS, "inner", spin)

    assert type(in_a_thread(lambda: watchdog.run(LIMIT_SECONDS, "outer", outer))) is DeadlineError


def test_an_inner_limit_leaves_the_outer_call_alone() -> None:
    def outer() -> str:
        with pytest.raises(DeadlineError):
            watchdog.run(LIMIT_SECONDS, "inner", swallow_everything)
        assert sys.gettrace() is None
        assert sys.getprofile() is None
        return "goes on"

    assert in_a_thread(lambda: watchdog.run(HANGS_SECONDS, "outer", outer)) == "goes on"


def test_nothing_arrives_after_the_end_of_a_call() -> None:
    """Calls that end at the very moment at which they are late: what comes after them is never hit."""
    hit = 0

    def at_the_limit() -> None:
        until = time.monotonic() + 0.27  # the limit and the grace
        while time.monotonic() < until:
            pass

    def many() -> int:
        nonlocal hit
        for _ in range(10):
            try:
                watchdog.run(0.02, "short", at_the_limit)
            except DeadlineError:
                hit += 1
            for _ in range(1000):
                len([])
        return hit

    assert isinstance(in_a_thread(many), int)


def test_a_call_in_c_code_is_stuck_until_it_ends(caplog: pytest.LogCaptureFixture) -> None:
    dog, may_end, inside = Watchdog(), threading.Lock(), threading.Event()
    may_end.acquire()

    def wait_in_c() -> None:
        inside.set()
        may_end.acquire()  # no exception comes in here

    outcome: list[Any] = []

    def call() -> None:
        try:
            dog.run(LIMIT_SECONDS, "shop:wait", wait_in_c)
        except DeadlineError as error:
            outcome.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    assert inside.wait(HANGS_SECONDS)
    until = time.monotonic() + HANGS_SECONDS
    while not dog.stuck() and time.monotonic() < until:
        threading.Event().wait(0.02)
    assert dog.stuck() == ["shop:wait"]
    assert dog.oldest_seconds() > LIMIT_SECONDS
    may_end.release()
    thread.join(HANGS_SECONDS)
    assert not dog.stuck()
    assert outcome
    told = [r.getMessage() for r in caplog.records if "cannot be ended" in r.getMessage()]
    assert len(told) == 1
    assert "wait_in_c" in told[0]


def test_code_that_is_mostly_in_a_room_that_only_computes_is_ended() -> None:
    from minihttp import values

    def work() -> None:
        big = {"a": [list(range(50))] * 50}
        while True:
            values.dumps(big)

    assert type(in_a_thread(lambda: watchdog.run(LIMIT_SECONDS, "busy", work))) is DeadlineError


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_after_a_fork_the_child_has_a_watchdog_of_its_own() -> None:
    watchdog.run(1.0, "parent", lambda: None)
    child = os.fork()
    if child == 0:
        try:
            watchdog.run(LIMIT_SECONDS, "child", spin)
        except DeadlineError:
            os._exit(7)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_a_frozen_process_ends_and_says_where() -> None:
    code = (
        "import re, threading, time\n"
        "from minihttp.watchdog import watchdog\n"
        "watchdog.end_frozen_process(1)\n"
        "def catastrophe(): re.match(r'(a+)+$', 'a' * 60 + 'b')\n"
        "threading.Thread(target=lambda: watchdog.run(0.1, 'it', catastrophe)).start()\n"
        "time.sleep(60)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, timeout=HANGS_SECONDS, check=False
    )
    assert done.returncode == -signal.SIGPROF
    assert b"catastrophe" in done.stderr
