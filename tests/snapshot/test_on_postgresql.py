# SPDX-License-Identifier: MIT
"""Snapshots, check and backups by the narrow waist: out of SQLite, into PostgreSQL, and back."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from minihttp import App
from minihttp.app.backends import open_documents
from minihttp.snapshot.archive import Archive
from minihttp.snapshot.export import export_snapshot
from minihttp.snapshot.importing import import_snapshot
from minihttp.snapshot.move import digest
from tests.live import PATIENCE_SECONDS, ROOT
from tests.postgresql_server import VERSIONS, postgresql, schema_for
from tests.snapshot.moved import app_at, fill
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


def test_a_move_there_that_is_killed_goes_on_and_comes_back_the_same(tmp_path: Path) -> None:
    server, schema = postgresql(), schema_for(tmp_path)
    (tmp_path / "app.py").write_text("from minihttp import HttpRouter\nhttp = HttpRouter()\n")
    with app_at(tmp_path / "old") as app:
        for _ in range(8):
            app.run_mutation(fill, count=5_000)
    places = [f"sqlite:{tmp_path}/old/app.db", f"postgresql:{server.location(schema)}"]
    places.append(f"sqlite:{tmp_path}/back/app.db")

    def move(source: str, target: str, *options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "minihttp", "move", f"{tmp_path}/app.py", "--data", source]
        return subprocess.Popen([*command, "--to", target, "-y", *options], cwd=ROOT)

    def arrived() -> int:
        try:
            [(count,)] = server.execute(f'SELECT count(*) FROM "{schema}".documents')
        except Exception:  # the tables are not there yet
            return 0
        return int(count)

    child, end = move(*places[:2]), time.monotonic() + PATIENCE_SECONDS
    while not arrived() and child.poll() is None:
        assert time.monotonic() < end
    child.kill()
    assert child.wait() == -9
    assert 0 < arrived() < 40_000
    assert move(*places[:2], "--resume").wait(PATIENCE_SECONDS) == 0
    assert move(*places[1:], "--live").wait(PATIENCE_SECONDS) == 0
    digests = []
    for place in places:
        with closing(open_documents(place)) as there:
            digests.append(digest(there, lambda what, done, total: None, ""))
    assert digests[0].documents > 40_000
    assert len(set(digests)) == 1
