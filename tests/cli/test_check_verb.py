# SPDX-License-Identifier: MIT
"""Damage as it was found in the field: a torn copy, a missing index entry, a flipped bit in a file."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.shell import Shell, shell

__all__ = ["shell"]


@pytest.fixture
def filled(shell: Shell) -> Shell:
    (shell.folder / "a.jsonl").write_text("".join(f'{{"name":"item {n}"}}\n' for n in range(300)))
    shell("data", "import", "items", "a.jsonl")
    shell("run", "app:keep", '{"data": {"$bytes": "AAEC"}}')
    return shell


def test_a_missing_index_entry_is_found_and_mended(filled: Shell) -> None:
    with closing(sqlite3.connect(filled.folder / "data" / "app.db")) as connection:
        first = "(SELECT min(id) FROM documents WHERE \"table\" = 'items')"
        connection.execute(f"DELETE FROM entries WHERE id = {first}")
        connection.commit()
    [row] = filled("check", "--json", code=1).rows
    assert row["kind"] == "index" and row["problem"].endswith("has no entry")
    done = filled("check", "--repair", "-y")
    assert done.err.startswith("rebuilt index ") and done.err.endswith("nothing is wrong\n")
    assert filled("check").err == "nothing is wrong\n"


def test_a_flipped_bit_in_a_file_is_found(filled: Shell) -> None:
    [blob] = [path for path in (filled.folder / "data" / "files").rglob("?" * 32) if path.stat().st_size == 3]
    blob.write_bytes(b"\0\1\3")
    [row] = filled("check", "--json", code=1).rows
    assert row["kind"] == "file" and "have the SHA-256" in row["problem"]
    assert "are damaged" in filled("export", "s.zip", code=1).err
    assert not (filled.folder / "s.zip").exists()


@pytest.mark.parametrize("argv", [("serve", "--port", "0"), ("doctor",), ("check",), ("data",), ("worker",)])
def test_a_torn_database_is_refused_with_one_sentence(filled: Shell, argv: tuple[str, ...]) -> None:
    path: Path = filled.folder / "data" / "app.db"
    data = bytearray(path.read_bytes())
    middle = len(data) // 4096 // 2 * 4096
    data[middle : middle + 8192] = data[4096 : 4096 + 8192]  # pages of another moment
    path.write_bytes(data)
    done = filled(*argv, code=1)
    said = done.out if argv == ("doctor",) else done.err
    assert "is damaged" in said and "restore" in said
    assert argv == ("doctor",) or said.count("\n") == 1
