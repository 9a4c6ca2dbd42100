# SPDX-License-Identifier: MIT
"""The ZIP file of a snapshot: what is written is read, and what is damaged is refused."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from minihttp.errors import SnapshotError
from minihttp.snapshot.archive import MANIFEST, Archive, ArchiveWriter
from tests.snapshot.world import write_zip


def written(path: Path, entries: dict[str, list[bytes]]) -> Archive:
    with open(path, "wb") as file:
        writer = ArchiveWriter(file)
        for name, chunks in entries.items():
            writer.add(name, chunks, compressed=not name.startswith("_storage/x"), documents=len(chunks))
        writer.close(minihttp="1", created=0)
    return Archive(str(path))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    archive = written(
        tmp_path / "s.zip",
        {
            "a/documents.jsonl": [b'{"x":1}\n', b'{"y"', b":2}\n"],
            "_storage/documents.jsonl": [],
            "_storage/x1": [b"\0"],
        },
    )
    assert list(archive.lines("a/documents.jsonl")) == [b'{"x":1}', b'{"y":2}']
    assert archive.tables == {"a": "a/documents.jsonl", "_storage": "_storage/documents.jsonl"}
    assert archive.files == {"x1": "_storage/x1"}
    assert archive.facts("a/documents.jsonl")["documents"] == 3
    assert zipfile.ZipFile(tmp_path / "s.zip").testzip() is None


def test_it_is_written_into_a_pipe(tmp_path: Path) -> None:
    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.data = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> int:
            self.data += data
            return len(data)

    pipe = Pipe()
    writer = ArchiveWriter(pipe)  # type: ignore[arg-type]
    writer.add("a/documents.jsonl", [b"{}\n"])
    writer.close()
    (tmp_path / "s.zip").write_bytes(pipe.data)
    assert list(Archive(str(tmp_path / "s.zip")).lines("a/documents.jsonl")) == [b"{}"]


def test_a_flipped_bit_is_found(tmp_path: Path) -> None:
    written(tmp_path / "s.zip", {"a/documents.jsonl": [b"{}\n"], "_storage/x1": [b"ABCDEFGH" * 100]})
    data = bytearray((tmp_path / "s.zip").read_bytes())
    data[data.index(b"ABCDEFGH") + 300] ^= 1
    (tmp_path / "s.zip").write_bytes(data)
    archive = Archive(str(tmp_path / "s.zip"))
    with pytest.raises(SnapshotError, match="_storage/x1 is damaged"):
        list(archive.chunks("_storage/x1"))


def test_an_entry_that_somebody_has_changed_is_found(tmp_path: Path) -> None:
    """Packed again by another program, its checksum is right and its SHA-256 is not the manifest's."""
    written(tmp_path / "s.zip", {"a/documents.jsonl": [b"{}\n"]})
    with zipfile.ZipFile(tmp_path / "s.zip") as source:
        entries = {name: source.read(name) for name in source.namelist()}
    path = write_zip(tmp_path / "t.zip", {**entries, "a/documents.jsonl": b'{"n":1}\n'})
    with pytest.raises(SnapshotError, match="not what the manifest says"):
        list(Archive(path).lines("a/documents.jsonl"))


@pytest.mark.parametrize("cut", [0, 1, 100, -1, -30])
def test_a_file_that_was_cut_short_is_no_snapshot(tmp_path: Path, cut: int) -> None:
    written(tmp_path / "s.zip", {"a/documents.jsonl": [b'{"x":1}\n' * 100]})
    data = (tmp_path / "s.zip").read_bytes()
    (tmp_path / "s.zip").write_bytes(data[: cut if cut > 0 else len(data) + cut if cut else 0])
    with pytest.raises(SnapshotError, match="no ZIP file"):
        Archive(str(tmp_path / "s.zip"))


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"readme.txt": b""}, "is no snapshot"),
        ({"a/documents.jsonl": [], MANIFEST: b"{"}, "a manifest of another version"),
        (
            {"a/documents.jsonl": [], MANIFEST: json.dumps({"format": 2, "entries": {}}).encode()},
            "another version",
        ),
        (
            {"a/documents.jsonl": [], MANIFEST: json.dumps({"format": 1, "entries": {"b": {}}}).encode()},
            "lacks b",
        ),
    ],
)
def test_what_is_no_snapshot(tmp_path: Path, entries: dict[str, Any], message: str) -> None:
    with pytest.raises(SnapshotError, match=message):
        Archive(write_zip(tmp_path / "s.zip", entries))


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="No such file"):
        Archive(str(tmp_path / "nowhere.zip"))


def test_the_layout_of_convex(tmp_path: Path) -> None:
    """A folder around it, extensions of files, components, a README."""
    archive = Archive(
        write_zip(
            tmp_path / "s.zip",
            {
                "README.md": b"",
                "snap/_tables/documents.jsonl": [],
                "snap/users/documents.jsonl": [],
                "snap/users/generated_schema.jsonl": ['"uniform"'],
                "snap/_storage/documents.jsonl": [],
                "snap/_storage/kg2.png": b"",
                "snap/_storage/kg3": b"",
                "snap/_components/mail/users/documents.jsonl": [],
            },
        )
    )
    assert archive.manifest is None
    assert set(archive.tables) == {"users", "_tables", "_storage"}
    assert archive.files == {"kg2": "snap/_storage/kg2.png", "kg3": "snap/_storage/kg3"}
    assert archive.skipped == ["snap/_components/mail/users/documents.jsonl"]
