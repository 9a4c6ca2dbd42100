# SPDX-License-Identifier: MIT
"""Snapshots, check and backups by the narrow waist: out of SQLite, into PostgreSQL, and back."""

from __future__ import annotations

from pathlib import Path

import pytest

from minihttp import App
from minihttp.snapshot.archive import Archive
from minihttp.snapshot.export import export_snapshot
from minihttp.snapshot.importing import import_snapshot
from tests.postgresql_server import VERSIONS, postgresql, schema_for
from tests.snapshot.world import documents, files, is_clean, make_app


def moved(source: App, target: App, path: Path) -> None:
    with open(path, "wb") as out:
        export_snapshot(source.database, source.files, out, version="1", system=True)
    import_snapshot(Archive(str(path)), target.database, target.files, system=True)


@pytest.mark.parametrize("version", VERSIONS[-1:], ids=str)
def test_there_and_back(tmp_path: Path, version: str) -> None:
    location = postgresql(version).location(schema_for(tmp_path))
    options = {"files": f"filesystem:{tmp_path / 'files'}"}
    with make_app(tmp_path / "first") as first, make_app(f"postgresql:{location}", **options) as middle:
        first.run_mutation("tests/snapshot/world:fill", count=20)
        expected = documents(first), files(first), first.run_query("_jobs:list")
        moved(first, middle, tmp_path / "a.zip")
        assert (documents(middle), files(middle), middle.run_query("_jobs:list")) == expected
        assert is_clean(middle) and middle.run_action("_app:check") == []
        assert middle.run_query("_app:tables")[2]["documents"] == 20
        with make_app(tmp_path / "last") as last:
            moved(middle, last, tmp_path / "b.zip")
            assert (documents(last), files(last), last.run_query("_jobs:list")) == expected
            assert is_clean(last)
