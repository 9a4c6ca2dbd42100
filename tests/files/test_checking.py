# SPDX-License-Identifier: MIT
"""`check` of files: a flipped bit, a lost blob and one cut short are found, and name the file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from minihttp import App
from minihttp.files.checking import check_files


def blob_path(folder: Path, key: str) -> Path:
    return folder / "files" / key[:2] / key


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda path: path.write_bytes(b"bites"), "have the SHA-256"),
        (lambda path: path.unlink(), "are missing"),
        (lambda path: os.truncate(path, 2), "cannot be read"),
        (lambda path: path.write_bytes(b"bytes and more"), None),
    ],
)
def test_damage_is_found(tmp_path: Path, damage: object, expected: str | None) -> None:
    with App(data=str(tmp_path), workers=0) as app:
        ids = [app.files.outside().store(b"bytes") for _ in range(300)]
        assert list(check_files(app.files)) == []
        [victim] = [
            r
            for r in app.database.read(lambda t: t.system.query("_storage").collect())
            if r["_id"] == ids[270]
        ]
        damage(blob_path(tmp_path, victim["key"]))  # type: ignore[operator]
        found = list(check_files(app.files))
    if expected is None:
        assert found == [], "what is behind the end is never served"
    else:
        assert [id for id, _ in found] == [ids[270]] and expected in found[0][1]
