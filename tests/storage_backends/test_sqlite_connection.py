# SPDX-License-Identifier: MIT
"""The file and the connections to it: whose it is, who else has it open, and whether it is sound."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from storage_backends import sqlite
from storage_backends.sqlite import DocumentBackend
from tests.contracts.documents import ROOT, put
from tests.storage_backends.sqlite_world import backend, path, refused

__all__ = ["backend", "path"]


def test_the_file_is_its_owner_s_only(backend: DocumentBackend, path: str) -> None:
    put(backend, "a", "")
    for suffix in ("", "-wal", "-shm", ".lock"):
        assert os.stat(path + suffix).st_mode & 0o077 == 0


def test_the_directory_is_its_owner_s_only(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        DocumentBackend(str(tmp_path / "above" / "data" / "app.db")).close()
    finally:
        os.umask(before)
    for name, mode in (("data", 0o700), ("data/app.db", 0o600), ("data/app.db.lock", 0o600)):
        assert stat.S_IMODE(os.stat(tmp_path / "above" / name).st_mode) == mode, name


@pytest.mark.parametrize("name", ["app.db", "app.db.lock", "app.db-wal", "app.db-shm", "app.db-journal"])
@pytest.mark.parametrize("there", [True, False])
def test_a_link_in_the_place_of_a_file_is_refused(tmp_path: Path, name: str, there: bool) -> None:
    victim = tmp_path / "victim"
    if there:
        victim.write_bytes(b"precious")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / name).symlink_to(victim)
    with pytest.raises(DocumentBackend.Fault, match=f"{name} is a symbolic link: put the file itself there"):
        DocumentBackend(str(tmp_path / "data" / "app.db"))
    assert victim.read_bytes() == b"precious" if there else not victim.exists()


@pytest.mark.parametrize("name", ["app.db", "app.db.lock"])
def test_a_pipe_in_the_place_of_a_file_holds_up_nobody(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(DocumentBackend.Fault, match=f"{name} is no plain file"):
        DocumentBackend(str(tmp_path / "app.db"))


def test_every_connection_is_set_up_for_durability(backend: DocumentBackend) -> None:
    settings = ("journal_mode", "synchronous", "query_only", "wal_autocheckpoint")
    read = lambda engine: [engine.execute(f"PRAGMA {name}")[0][0] for name in settings]
    with backend.read(None) as reading:
        assert read(reading) == ["wal", 2, 1, 0]
    assert backend.write(read, None) == ["wal", 2, 0, 1000]


def test_a_second_process_is_refused_by_name(backend: DocumentBackend, path: str) -> None:
    program = "import sys; from storage_backends.sqlite import DocumentBackend; DocumentBackend(sys.argv[1])"
    child = subprocess.run(
        [sys.executable, "-c", program, path],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.returncode == 1
    assert f"directory {Path(path).parent} is in use by process {os.getpid()}" in child.stderr
    assert f"is in use by process {os.getpid()}" in refused(errno.EAGAIN, lambda: DocumentBackend(path))
    put(backend, "a", "unharmed")
    backend.close()
    DocumentBackend(path).close()


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b"SQLite format 3\0" + b"\xee" * 5000])
def test_a_file_that_is_no_database(path: str, content: bytes) -> None:
    Path(path).write_bytes(content)
    with pytest.raises(DocumentBackend.Fault):
        DocumentBackend(path)
    assert Path(path).read_bytes() == content


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("CREATE TABLE theirs (x)", "of another program"),
        ("PRAGMA user_version = 99", "of another program or a newer version (format 99, not 1)"),
    ],
)
def test_a_database_of_another_program_or_a_newer_version(path: str, statement: str, message: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.close()
    assert refused(errno.EILSEQ, lambda: DocumentBackend(path)).endswith(f"app.db is the database {message}")


def test_a_damaged_page(backend: DocumentBackend, path: str) -> None:
    backend.write(lambda w: [w.put(f"{n:04}", "t", "x" * 500, (), ()) for n in range(500)], None)
    backend.close()
    damaged = DocumentBackend(path)
    with open(path, "r+b") as file:
        file.seek(3 * 4096)
        file.write(b"\xee" * 20 * 4096)
    with damaged.read(None) as reading:
        refused(errno.EILSEQ, lambda: reading.scan("", "~", reverse=False, limit=1000))
    problems, is_whole = damaged.problems(10.0)
    assert problems and is_whole
    damaged.close()
    os.utime(path)
    assert "put a backup in its place" in refused(errno.EILSEQ, lambda: DocumentBackend(path))


def test_a_database_that_was_closed_and_left_alone_is_not_looked_at_again(
    backend: DocumentBackend, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []
    monkeypatch.setattr(sqlite, "problems", lambda path, limit_seconds: (looks.append(path) or [], True))
    put(backend, "a", "1")
    backend.close()
    DocumentBackend(path).close()
    assert not looks
    with open(path, "r+b"):
        os.utime(path, ns=(1, 1))
    DocumentBackend(path).close()
    assert looks == [path], "somebody has changed it since"


def test_a_copy_of_a_database_in_use_is_looked_at(
    backend: DocumentBackend, path: str, tmp_path: Path
) -> None:
    put(backend, "a", "1")
    backend.close()
    shutil.copytree(tmp_path, tmp_path / "copy")
    with open(tmp_path / "copy" / "app.db", "r+b") as file:
        file.seek(4096)
        file.write(b"\xee" * 4096)
    shutil.copystat(path, tmp_path / "copy" / "app.db")  # as `cp -a` does
    refused(errno.EILSEQ, lambda: DocumentBackend(str(tmp_path / "copy" / "app.db")))


@pytest.mark.parametrize("place", ["file/app.db", "/proc/nowhere/app.db", "\0/app.db"])
def test_a_place_that_cannot_be(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises((DocumentBackend.Fault, ValueError)):
        DocumentBackend(str(tmp_path / place))
