# SPDX-License-Identifier: MIT
"""The last lines of the log in memory: which are kept, chosen and numbered."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest

from minihttp.app import log_ring
from minihttp.app.log_ring import LogRing
from minihttp.logs import AccessRecord, Served

SERVED = Served(1.0, "GET", "/items", "/items", 200, 0.25, 5, "req1", "10.0.0.1", True)


@pytest.fixture
def ring() -> LogRing:
    return LogRing(kept=5)


def log(
    ring: LogRing, text: str, level: int = logging.INFO, *args: Any, error: Exception | None = None
) -> None:
    exc_info = (type(error), error, None) if error else None
    ring.handle(logging.LogRecord("mine", level, "x.py", 1, text, args, exc_info))


def texts(found: dict[str, Any]) -> list[str]:
    return [line["message"] for line in found["lines"]]


def test_the_last_lines_are_kept(ring: LogRing) -> None:
    for number in range(8):
        log(ring, "line %d", logging.INFO, number)
    found = ring.after(-1)
    assert texts(found) == ["line 3", "line 4", "line 5", "line 6", "line 7"]
    assert texts(ring.after(-1, limit=2)) == ["line 6", "line 7"]
    assert ring.after(found["last"]) == {"lines": [], "last": 8}


def test_following_misses_nothing(ring: LogRing) -> None:
    seen: list[str] = []
    last = 0
    for number in range(12):
        log(ring, f"{number}")
        if number % 3 == 0:
            found = ring.after(last, limit=2)
            seen += texts(found)
            last = found["last"]
    while (found := ring.after(last, limit=2))["lines"]:
        seen += texts(found)
        last = found["last"]
    assert seen[-4:] == ["8", "9", "10", "11"]


def test_a_filter_does_not_stop_the_number(ring: LogRing) -> None:
    for _ in range(3):
        log(ring, "quiet", logging.DEBUG)
    assert ring.after(0, level="error") == {"lines": [], "last": 3}


def test_by_level_and_request(ring: LogRing) -> None:
    log(ring, "a")
    log(ring, "b request_id=req1", logging.WARNING)
    ring.handle(AccessRecord(SERVED))
    assert texts(ring.after(-1, level="warning")) == ["b request_id=req1"]
    warning, access = ring.after(-1, request_id="req1")["lines"]
    assert warning["logger"] == "mine"
    assert (access["status"], access["ms"], access["route"], access["requestId"]) == (
        200,
        250.0,
        "/items",
        "req1",
    )


def test_an_error_has_its_frames(ring: LogRing) -> None:
    log(ring, "it failed", logging.ERROR, error=ValueError("no luck"))
    [text] = texts(ring.after(-1))
    assert text.startswith("it failed\n") and "no luck" in text


def test_what_cannot_be_formatted_is_no_fault(ring: LogRing) -> None:
    log(ring, "%d", logging.INFO, "x")
    assert len(texts(ring.after(-1))) == 1


def test_lines_of_this_thread_are_kept_while_the_block_lasts() -> None:
    with log_ring.LogLines(lambda record: record.getMessage(), 2) as lines:
        other = threading.Thread(target=logging.getLogger("t").warning, args=("of another thread",))
        other.start()
        other.join()
        for n in range(3):
            logging.getLogger("t").warning("line %d", n)
    logging.getLogger("t").warning("afterwards")
    assert lines.lines == ["line 0", "line 1"]
