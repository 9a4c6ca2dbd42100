# SPDX-License-Identifier: MIT
"""Log lines: what they hold, and that nobody can forge one."""

from __future__ import annotations

import io
import json
import logging
import os
import select
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minihttp import logs
from minihttp.tracebacks import describe, is_users
from tests.live import PATIENCE_SECONDS

SERVED = logs.Served(1.0, "GET", "/a/{id}", "/a/7", 200, 0.0123, 42, "0123456789abcdef", "192.0.2.1", True)


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, put back afterwards with what `configure` changes."""
    logger = logging.getLogger()
    before = logger.handlers[:], logger.level
    yield logger
    for handler in logger.handlers:
        if handler not in before[0]:
            handler.close()
    logger.handlers[:], level = before
    logger.setLevel(level)


def written(root: logging.Logger, form: str, *calls: Any, level: str = "info") -> list[str]:
    stream = io.StringIO()
    logs.configure(form, level, stream)
    for call in calls:
        call()
    root.handlers[0].close()
    return stream.getvalue().splitlines()


def test_an_access_line_in_text(root: logging.Logger) -> None:
    (line,) = written(root, "text", lambda: logs.access_line(SERVED))
    assert line[8:] == " GET /a/{id} 200 12.3ms 42B 0123456789abcdef 192.0.2.1"


def test_an_access_line_in_json(root: logging.Logger) -> None:
    (line,) = written(root, "json", lambda: logs.access_line(SERVED))
    fields = json.loads(line)
    assert fields == {
        "time": "1970-01-01T00:00:01.012Z", "level": "info", "logger": "minihttp.access",
        "method": "GET", "route": "/a/{id}", "status": 200, "ms": 12.3, "bytes": 42,
        "request_id": "0123456789abcdef", "client": "192.0.2.1",
    }  # fmt: skip


def test_only_an_unrouted_path_is_logged_and_a_cut_reply_says_so(root: logging.Logger) -> None:
    odd = SERVED._replace(route=None, path="/" + "x" * 1000, request_id=None, complete=False)
    text = written(root, "text", lambda: logs.access_line(odd))[0]
    fields = json.loads(written(root, "json", lambda: logs.access_line(odd))[0])
    assert " 200 cut 12.3ms 42B - " in text and len(text) < 300
    assert fields["cut"] is True and len(fields["path"]) == 200


def test_a_record_suits_any_formatter(root: logging.Logger) -> None:
    fields = (
        "%(asctime)s %(name)s %(levelname)s %(threadName)s %(process)s %(pathname)s %(lineno)d %(message)s"
    )
    assert "route='/a/{id}'" in logging.Formatter(fields).format(logs.AccessRecord(SERVED))


def test_levels(root: logging.Logger) -> None:
    log = logging.getLogger("test")
    calls = (lambda: log.info("a"), lambda: log.warning("b"), lambda: logs.access_line(SERVED))
    assert [line[9:] for line in written(root, "text", *calls, level="warning")] == ["WARNING b"]
    assert len(written(root, "text", *calls)) == 3


@given(st.text())
def test_a_message_is_one_line(message: str) -> None:
    record = logging.LogRecord("test", logging.WARNING, "", 0, "%s", (message,), None)
    assert len(logs.TextFormatter().format(record).splitlines()) == 1
    assert logs.TextFormatter().format(record).encode("utf-8")
    assert json.loads(logs.JsonFormatter().format(record))["message"] == message


@given(st.text(), st.text())
def test_a_path_cannot_forge_a_line(method: str, path: str) -> None:
    odd = SERVED._replace(method=method, path=path, route=None)
    record = logs.AccessRecord(odd)
    assert len(logs.TextFormatter().format(record).splitlines()) == 1
    assert json.loads(logs.JsonFormatter().format(record))["path"] == path[:200]


def failing() -> None:
    try:
        json.loads("{")
    except ValueError as error:
        raise RuntimeError("first line\nFORGED 200") from error


def test_an_error_shows_the_users_frames_first(root: logging.Logger) -> None:
    try:
        failing()
    except RuntimeError:
        error = sys.exc_info()[1]
    log = logging.getLogger("test")
    lines = written(root, "text", lambda: log.error("it failed", exc_info=error))
    assert lines[0].endswith("ERROR it failed")
    assert all(line.startswith("    ") for line in lines[1:])
    text = "\n".join(lines)
    assert text.index("RuntimeError") < text.index("in failing") < text.index("caused by json")
    assert text.rindex("in failing") < text.index("through:") < text.index("decoder.py")
    assert describe(error, libraries=False).count("decoder.py") == 0  # type: ignore[arg-type]


def test_whose_code_it_is() -> None:
    assert is_users(__file__)
    assert not is_users(logs.__file__) and not is_users(json.__file__) and not is_users(pytest.__file__)
    assert not is_users("<frozen importlib._bootstrap>")


def test_a_stream_that_is_closed_breaks_nothing(root: logging.Logger) -> None:
    stream = io.StringIO()
    logs.configure("text", "info", stream)
    stream.close()
    logging.getLogger("test").warning("lost")


def test_a_warning_is_written_at_once(root: logging.Logger) -> None:
    stream = io.StringIO()
    logs.configure("text", "info", stream)
    logging.getLogger("test").info("before")
    logging.getLogger("test").warning("now")
    assert [line[9:] for line in stream.getvalue().splitlines()] == ["before", "WARNING now"]


def test_many_lines_are_written_before_their_time() -> None:
    reading, writing = os.pipe()
    with open(writing, "w") as stream:
        handler = logs.BatchingHandler(stream, delay_seconds=threading.TIMEOUT_MAX, max_pending=4)
        handler.setFormatter(logs.TextFormatter())
        for _ in range(3):
            handler.take_served(SERVED)
        ready, _, _ = select.select([reading], [], [], PATIENCE_SECONDS)
        assert ready, "half of the lines that may wait are there"
        handler.close()
    os.close(reading)


def test_a_message_is_made_when_it_is_logged(root: logging.Logger) -> None:
    log, fields = logging.getLogger("test"), {"n": 1}
    calls = (lambda: log.info("%s", fields), lambda: fields.update(n=2))
    assert [line[9:] for line in written(root, "text", *calls)] == ["{'n': 1}"]


@pytest.mark.parametrize("level", ["info", "warning"])
def test_a_message_that_cannot_be_formatted_costs_nothing_else(root: logging.Logger, level: str) -> None:
    log = getattr(logging.getLogger("test"), level)
    lines = written(root, "text", lambda: log("%d", "x"), lambda: log("after"))
    assert lines[0].endswith("cannot format what is logged here: TypeError") and __file__ in lines[0]
    assert lines[1].endswith(" after")
