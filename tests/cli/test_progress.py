# SPDX-License-Identifier: MIT
"""Progress: silent at first, one line that is rewritten on a terminal, a line every 5 s elsewhere."""

from __future__ import annotations

import io
import logging

import pytest

from minihttp import logs
from minihttp.cli._progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_line_of_the_log_has_its_row_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    stream, clock = Terminal(), Clock()
    handler = logs.BatchingHandler(stream)
    with Progress("serve", stream, clock) as progress:
        clock.now = 2.0
        progress("items", 0, 9)
        handler.handle(logging.LogRecord("a", logging.WARNING, "", 0, "the disk is nearly full", (), None))
    assert stream.getvalue().startswith(f"\rserve: items 0 of 9\r{' ' * 19}\rthe disk is nearly full\n")
    handler.handle(logging.LogRecord("a", logging.WARNING, "", 0, "and now", (), None))
    handler.close()
    assert stream.getvalue().endswith("\rand now\n"), "without progress there is nothing to clear"


def test_on_a_terminal_one_line_is_rewritten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    stream, clock = Terminal(), Clock()
    with Progress("export", stream, clock) as progress:
        progress("items", 0, 10_000)
        clock.now = 0.9
        progress("items", 900, 10_000)
        assert stream.getvalue() == "", "what takes less than a second says nothing"
        clock.now = 2.0
        progress("items", 2_000, 10_000)
        assert stream.getvalue() == "\rexport: items 2,000 of 10,000, 1,000/s, 0:08 left"
        progress("items", 2_001, 10_000)
        assert stream.getvalue().count("\r") == 1, "ten times a second is enough"
        clock.now = 3.0
        progress("files", 3, 0)
        assert stream.getvalue().endswith("\rexport: files 3" + " " * 34), "no rest of the longer line stays"
    assert stream.getvalue().endswith("\r"), "at the end the line is cleared"


def test_the_line_is_cleared_when_all_is_done() -> None:
    stream, clock = Terminal(), Clock()
    progress = Progress("serve", stream, clock)
    clock.now = 2.0
    progress("filling", 1, 2)
    clock.now = 4.0
    progress("filling", 2, 2)
    shown = stream.getvalue().split("\r")
    assert shown[-2].strip() == shown[-1] == ""


def test_it_fits_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "24")
    stream, clock = Terminal(), Clock()
    progress = Progress("export", stream, clock)
    clock.now = 5.0
    progress("a_table_with_a_long_name", 5, 10)
    assert len(stream.getvalue().strip("\r")) == 23


def test_elsewhere_a_line_every_five_seconds() -> None:
    stream, clock = io.StringIO(), Clock()
    with Progress("import", stream, clock) as progress:
        for second in range(13):
            clock.now = float(second)
            progress("items", second * 100, 0)
    assert stream.getvalue() == "import: items 500, 100/s\nimport: items 1,000, 100/s\n"


def test_nobody_who_looks_is_no_fault() -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    clock = Clock()
    progress = Progress("import", Closed(), clock)
    clock.now = 9.0
    progress("items", 1, 2)
