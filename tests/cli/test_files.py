# SPDX-License-Identifier: MIT
"""`python -m minihttp files copy`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from minihttp.app.backends import open_documents, open_files
from minihttp.cli import main
from minihttp.data.database import Database
from minihttp.files.storage import FILE_TABLES, FileStore


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with three files in a folder."""
    database = Database(open_documents(f"sqlite:{tmp_path}/app.db"), system=FILE_TABLES)
    store = FileStore(open_files(f"filesystem:{tmp_path}/files"), database)
    for content in (b"", b"one", b"x" * 2_000_000):
        store.outside().store(content)
    store.close()
    database.close()
    return tmp_path


def copy(data: Path, *more: str) -> int:
    source, target = f"filesystem:{data}/files", f"sqlite:{data}/files.db"
    return main(["files", "copy", "--from", source, "--to", target, *more], {})


def test_copy_and_copy_again(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert copy(data, "--documents", f"sqlite:{data}/app.db") == 0
    assert copy(data) == 0
    assert capsys.readouterr().out.splitlines() == [
        "3 copied (1.9 MiB), 0 already there, 0 damaged",
        "0 copied (0.0 MiB), 3 already there, 0 damaged",
    ]


def test_a_blob_that_is_not_what_the_database_says(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    [blob] = [path for path in (data / "files").rglob("*") if path.is_file() and path.stat().st_size == 3]
    blob.write_bytes(b"two")
    assert copy(data, "--documents", f"sqlite:{data}/app.db") == 1
    printed = capsys.readouterr()
    assert printed.out == "2 copied (1.9 MiB), 0 already there, 1 damaged\n"
    assert printed.err == f"damaged, not copied: {blob.name}\n"


def test_mistakes(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["files", "copy", "--from", "floppy:a", "--to", f"sqlite:{data}/files.db"], {}) == 1
    known = "there is no storage backend 'floppy'; there are: .*filesystem.*sqlite"
    assert re.fullmatch(f"minihttp: {known}.*\n", capsys.readouterr().err)
    for url in (f"filesystem:{data}/flies", f"{data}/flies"):
        assert main(["files", "copy", "--from", url, "--to", f"sqlite:{data}/files.db"], {}) == 1
        assert capsys.readouterr().err == f"minihttp: there is nothing at {url!r}\n"
    assert copy(data, "--documents", f"sqlite:{data}/ap.db") == 1
    assert "there is nothing at" in capsys.readouterr().err
    assert not (data / "flies").exists() and not (data / "ap.db").exists()
    running = open_files(f"sqlite:{data}/files.db")
    assert copy(data) == 1
    assert "is in use by process" in capsys.readouterr().err
    running.close()
