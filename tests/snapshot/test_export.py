# SPDX-License-Identifier: MIT
"""What an export holds, and in which layout."""

from __future__ import annotations

import base64
import hashlib
import json
import zipfile
from pathlib import Path

from minihttp import App
from tests.snapshot.filled import _closed, exported, imported, source, target
from tests.snapshot.world import is_clean, make_app

__all__ = ["_closed", "source", "target"]


def test_the_layout_is_convex_s(tmp_path: Path, source: App) -> None:
    archive = exported(source, tmp_path / "s.zip")
    lines = [json.loads(line) for line in archive.lines("users/documents.jsonl")]
    assert [line["_id"] for line in lines] == sorted(line["_id"] for line in lines)
    assert lines[0]["big"] == {"$integer": base64.b64encode((2**60).to_bytes(8, "little")).decode()}
    [metadata] = [json.loads(line) for line in archive.lines("_storage/documents.jsonl")]
    assert metadata["sha256"] == base64.b64encode(hashlib.sha256(b"picture" * 1_000).digest()).decode()
    assert metadata["contentType"] == "image/png" and metadata["size"] == 7_000
    assert b"".join(archive.chunks("_storage/" + metadata["_id"])) == b"picture" * 1_000
    assert [json.loads(line)["name"] for line in archive.lines("_tables/documents.jsonl")] == [
        "empty", "posts", "users"
    ]  # fmt: skip
    assert not any(name.startswith("_minihttp/tables") for name in zipfile.ZipFile(archive.path).namelist())


def test_a_backup_has_jobs_and_the_secret(tmp_path: Path, source: App, target: App) -> None:
    imported(exported(source, tmp_path / "s.zip", system=True), target, system=True)
    jobs = [app.run_query("_jobs:list") for app in (source, target)]
    assert len(jobs[0]) == 1 and jobs[0] == jobs[1]
    target.close()
    with make_app(tmp_path / "target") as again:
        assert again.database.secret == source.database.secret
        assert is_clean(again)
