# SPDX-License-Identifier: MIT
"""Notes of the jobs that run: what a process that died has left behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from minihttp.jobs.crash_notes import CrashNotes

ONE, TWO = ("0" * 31 + digit for digit in "12")


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "app.db.running")


def test_who_runs_when_the_process_dies_is_known_to_the_next(path: str) -> None:
    notes = CrashNotes(path)
    assert notes.left_behind() == []
    notes.begin(ONE)
    notes.end()
    assert CrashNotes(path).left_behind() == []
    notes.begin(TWO)
    assert CrashNotes(path).left_behind() == [TWO]
    notes.close()
    notes.begin(ONE)  # as workers that are started again do
    assert CrashNotes(path).left_behind() == [ONE]


def test_an_older_version_noted_several(path: str) -> None:
    Path(path).write_text(f"{ONE}\n{'-' * 32}\n{TWO}\n")
    assert CrashNotes(path).left_behind() == [ONE, TWO]


def test_what_was_taken_note_of_is_gone(path: str) -> None:
    CrashNotes(path).begin(ONE)
    following = CrashNotes(path)
    assert following.left_behind() == [ONE]
    following.clear()
    assert CrashNotes(path).left_behind() == []


def test_a_file_that_was_damaged_is_read_as_far_as_it_goes(path: str) -> None:
    Path(path).write_bytes(b"half of an id\n" + ONE.encode() + b"\n" + b"\xff" * 32 + b"\n" + b"-" * 32)
    assert CrashNotes(path).left_behind() == [ONE]


def test_only_its_owner_may_read_it(path: str) -> None:
    CrashNotes(path).begin(ONE)
    assert os.stat(path).st_mode & 0o777 == 0o600


@pytest.mark.parametrize("place", [None, "/dev/null/nowhere"])
def test_without_a_place_everything_runs_all_the_same(place: str | None) -> None:
    notes = CrashNotes(place)
    notes.begin(ONE)
    notes.end()
    notes.clear()
    notes.close()
    assert notes.left_behind() == []
