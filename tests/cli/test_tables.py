# SPDX-License-Identifier: MIT
"""Tables: whole in a pipe, cut to the width of a terminal, sentences wrapped, else blocks."""

from __future__ import annotations

import pytest

from minihttp.cli._tables import table

ID = "bsu4v11j1flhtc1p3g2alugt0uokrj19"
ROWS = [
    {"_id": ID, "text": "a" * 60, "n": 1},
    {"_id": ID, "text": "short", "n": None},
]


def test_a_pipe_gets_every_cell_whole() -> None:
    lines = list(table(ROWS, None))
    assert lines[1] == f"{ID}  {'a' * 60}  1" and lines[2].split() == [ID, "short", "-"]


def test_the_widest_cells_are_cut_but_never_an_id() -> None:
    lines = list(table(ROWS, 60))
    assert max(map(len, lines)) == 60
    assert lines[1] == f"{ID}  {'a' * 22}…  1"


def test_a_terminal_that_is_too_narrow_gets_a_block_a_row() -> None:
    assert list(table(ROWS, 30))[:5] == [f"_id:  {ID}", f"text: {'a' * 60}", "n:    1", "", f"_id:  {ID}"]


def test_a_sentence_at_the_end_is_wrapped_below_itself() -> None:
    rows = [{"check": "sqlite", "detail": "let no other program write to app.db, never, not once at all"}]
    assert "\n".join(table(rows, 46)).split("\n") == [
        "check   detail",
        "sqlite  let no other program write to app.db,",
        "        never, not once at all",
    ]


@pytest.mark.parametrize(
    ("text", "shown"), [("水" * 20, "水" * 8 + "…   "), ("e\u0301" * 40, "e\u0301" * 17 + "…  ")]
)
def test_wide_and_combining_characters_are_measured(text: str, shown: str) -> None:
    [_, line] = table([{"a": text, "b": "x" * 10}], 30)
    assert line == shown + "x" * 10


def test_control_characters_are_escaped() -> None:
    assert list(table([{"a": "\x1b[2J"}], None))[1] == r"\x1b[2J"
