# SPDX-License-Identifier: MIT
"""Damage as it was found in the field: a torn copy, a missing index entry, a flipped bit in a file."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
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


def truncated(database: Path) -> None:
    os.truncate(database, database.stat().st_size // 2 + 1)


def emptied(database: Path) -> None:
    os.truncate(database, 0)


def lost(database: Path) -> None:
    database.unlink()


def foreign(database: Path) -> None:
    database.write_text("a text file that somebody called app.db\n" * 100)


def of_another_program(database: Path) -> None:
    database.unlink()
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE songs (title)")
        connection.commit()


def with_the_log_of_another(database: Path) -> None:
    other = database.with_name("other.db")
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE songs (title)")
        connection.executemany("INSERT INTO songs VALUES (?)", [("y" * 500,)] * 2_000)
        connection.commit()
        shutil.copyfile(f"{other}-wal", f"{database}-wal")
    other.unlink()


def a_folder(database: Path) -> None:
    database.unlink()
    database.mkdir()


def in_no_folder(database: Path) -> None:
    shutil.rmtree(database.parent)
    database.parent.write_text("a file")


DAMAGE: list[tuple[Callable[[Path], None], str, str]] = [
    (truncated, "is damaged", "is damaged"),
    (emptied, "knows nothing of", "is an empty file: was the database lost?"),
    (lost, "knows nothing of", "there is nothing at"),
    (foreign, "app.db is not a database: move it away", "app.db is not a database"),
    (of_another_program, "database of another program", "it is the database of another program"),
    (with_the_log_of_another, "app.db is", "app.db"),
    (a_folder, "Is a directory", "app.db"),
    (in_no_folder, "data is not a directory", "Not a directory"),
]


@pytest.mark.parametrize(("damage", "message", "of_backup"), DAMAGE, ids=lambda x: getattr(x, "__name__", ""))
def test_what_is_no_database_of_this_app_is_refused(
    filled: Shell, damage: Callable[[Path], None], message: str, of_backup: str
) -> None:
    """By every verb in one sentence; and no backup is made of it, which would push out a good one."""
    damage(filled.folder / "data" / "app.db")
    done = filled("backup", "backups", code=1)
    assert of_backup in done.err and done.err.count("\n") == 1
    assert not (filled.folder / "backups").exists() or not os.listdir(filled.folder / "backups")
    for argv in (("doctor",), ("serve", "--port", "0"), ("check",), ("data",), ("export", "s.zip")):
        done = filled(*argv, code=1)
        assert message in (done.out if argv == ("doctor",) else done.err), argv
        assert argv == ("doctor",) or done.err.splitlines()[-1].startswith("minihttp: ")
        assert "Traceback" not in done.err
    assert not (filled.folder / "s.zip").exists()


def test_a_database_that_was_made_anew_beside_its_files_is_not_backed_up(filled: Shell) -> None:
    (filled.folder / "data" / "app.db").unlink()
    assert "knows nothing of" in filled("data", code=1).err  # which has made an empty database
    assert "knows nothing of" in filled("backup", "backups", code=1).err


AS_NOBODY = """
import os, sys
from minihttp.cli import main
place, mode = sys.argv[1], int(sys.argv[2], 8)
for argv in (["data"], ["doctor"], ["backup", "there"]):
    main(argv, {})  # as root, which imports all that is needed
os.chmod(place, mode)
os.setuid(65534)
print("AS NOBODY", flush=True)
for argv in (["data"], ["doctor"], ["backup", "backups"]):
    print(main(argv, {}), flush=True)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize(
    ("place", "mode", "message"),
    [
        ("data", "000", "Permission denied"),
        ("data", "555", "data is not writable for this user"),
        ("data/app.db", "000", "Permission denied"),
        (".", "555", "cannot make a backup in backups: Permission denied"),
    ],
)
def test_what_a_user_may_not_write_is_not_called_damaged(
    filled: Shell, place: str, mode: str, message: str
) -> None:
    with tempfile.TemporaryDirectory() as above:  # that of pytest is its user's alone
        os.chmod(above, 0o755)
        folder = shutil.copytree(filled.folder, Path(above) / "app")
        for path in (folder, *folder.rglob("*")):
            os.chown(path, 65534, 65534)
        command = [sys.executable, "-c", AS_NOBODY, place, mode]
        pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        done = subprocess.run(command, cwd=folder, env=filled.environ, **pipe)  # type: ignore[call-overload]
    said = done.stdout.partition("AS NOBODY")[2]
    assert message in said and "1\n" in said and "Traceback" not in said, done.stdout
    assert "damaged" not in said
