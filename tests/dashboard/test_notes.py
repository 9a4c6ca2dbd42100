# SPDX-License-Identifier: MIT
"""Notes: what a change says on the next page, and to nobody else."""

from __future__ import annotations

from minihttp.dashboard.html import Safe
from minihttp.dashboard.notes import Notes


def test_a_note_is_shown_once() -> None:
    notes = Notes()
    id = notes.keep("session", Safe("<p>done</p>"))
    assert notes.take("another", id) is None
    assert notes.take("session", id) == "<p>done</p>"
    assert notes.take("session", id) is None
    assert notes.take("session", "") is None


def test_a_result_stays_for_the_next_look() -> None:
    notes = Notes()
    id = notes.keep("session", Safe("result"), is_once=False)
    assert [notes.take("session", id) for _ in range(2)] == ["result", "result"]


def test_only_so_many_are_kept() -> None:
    notes = Notes()
    kept = [notes.keep("session", Safe(str(n)), is_once=False) for n in range(60)]
    assert [notes.take("session", id) for id in (kept[9], kept[10], kept[59])] == [None, "10", "59"]
