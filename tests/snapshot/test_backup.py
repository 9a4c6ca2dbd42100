# SPDX-License-Identifier: MIT
"""Backup and restore: whole while the app writes and deletes, refused where damaged or unfinished."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from minihttp import App
from minihttp.app import backends
from minihttp.errors import SnapshotError
from minihttp.snapshot.backup import MANIFEST, back_up, backups_in, restore
from tests.snapshot.world import documents, files, is_clean, make_app

pytestmark = pytest.mark.sqlite  # a backup is of a local database; others are exported


def nothing(what: str, done: int, total: int) -> None:
    return None


@pytest.fixture(params=[None, "sqlite"])
def app(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[App]:
    with make_app(tmp_path / "data", files=request.param) as app:
        app.run_mutation("tests/snapshot/world:fill", count=20)
        yield app


def backed_up(app: App, target: Path, tick: Any = nothing) -> str:
    urls = backends.storage_urls(app.options.data, app.options.files)
    back_up(
        backends,
        *urls,
        str(target),
        version="1",
        tick=tick,
    )
    return str(target)


def restored(app: App, backup: str, folder: Path) -> App:
    restore(backends, backup, str(folder), replace=False, tick=nothing)
    return make_app(folder, files=app.options.files)


def test_a_round_trip_beside_the_running_app(tmp_path: Path, app: App) -> None:
    backup = backed_up(app, tmp_path / "backup")
    expected = documents(app), files(app), app.database.secret
    app.run_mutation("tests/snapshot/world:fill", count=1)
    with restored(app, backup, tmp_path / "again") as again:
        assert (documents(again), files(again), again.database.secret) == expected
        assert is_clean(again) and again.run_action("_app:check") == []
        assert len(again.run_query("_jobs:list")) == 1
    assert is_clean(app), "the app's own files are as they were"
    assert backups_in(str(tmp_path)) == [backup]


def test_under_load_a_restored_backup_is_whole(tmp_path: Path, app: App) -> None:
    """Writers insert, change and delete documents and files while backups are made."""
    stop = threading.Event()
    errors: list[BaseException] = []

    def write() -> None:
        storage = app.files.outside()
        try:
            while not stop.is_set():
                id = storage.store(os.urandom(5_000))
                app.run_mutation("tests/snapshot/world:fill", count=2)
                storage.delete(id)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        backups = []
        for number in range(4):
            acknowledged = len(documents(app)["users"])
            backups.append((acknowledged, backed_up(app, tmp_path / f"backup{number}")))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not errors
    for number, (acknowledged, backup) in enumerate(backups):
        with restored(app, backup, tmp_path / f"again{number}") as again:
            assert again.run_action("_app:check") == []
            assert len(documents(again)["users"]) >= acknowledged


def test_what_is_linked_is_not_copied_and_not_shared_with_a_restored_app(tmp_path: Path) -> None:
    with make_app(tmp_path / "data") as app:
        app.run_mutation("tests/snapshot/world:fill", count=1)
        backup = backed_up(app, tmp_path / "backup")
        with restored(app, backup, tmp_path / "again"):
            pass
    places = {
        name: {path.stat().st_ino for path in (tmp_path / name / "files").rglob("?" * 32)}
        for name in ("data", "backup", "again")
    }
    assert places["data"] == places["backup"] and not places["again"] & places["backup"]


@pytest.mark.parametrize("moment", ["pages", "files", "checksums"])
def test_what_is_interrupted_leaves_nothing(tmp_path: Path, app: App, moment: str) -> None:
    def stop(what: str, done: int, total: int) -> None:
        if what.startswith(moment):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        backed_up(app, tmp_path / "backup", stop)
    assert sorted(os.listdir(tmp_path)) == ["data"]
    backed_up(app, tmp_path / "backup")


def test_a_lost_file_makes_no_backup(tmp_path: Path) -> None:
    with make_app(tmp_path / "data") as app:
        app.run_mutation("tests/snapshot/world:fill", count=1)
        [(id, *_)] = files(app)
        [row] = app.database.read(lambda t: t.system.query("_storage").collect())
        app.files.backend.delete(row["key"])
        with pytest.raises(SnapshotError, match=f"file {id} has no bytes"):
            backed_up(app, tmp_path / "backup")


def test_a_folder_without_a_manifest_is_no_backup(tmp_path: Path, app: App) -> None:
    backup = backed_up(app, tmp_path / "backup")
    os.unlink(os.path.join(backup, MANIFEST))
    with pytest.raises(SnapshotError, match="no finished backup"):
        restore(backends, backup, str(tmp_path / "again"), replace=False, tick=nothing)
    assert backups_in(str(tmp_path)) == []


def test_a_damaged_backup_is_refused_and_the_data_stays(tmp_path: Path, app: App) -> None:
    backup = backed_up(app, tmp_path / "backup")
    with open(os.path.join(backup, "app.db"), "r+b") as file:
        file.seek(5_000)
        file.write(b"x")
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "mine").write_text("here")
    with pytest.raises(SnapshotError, match=r"app\.db is"):
        restore(backends, backup, str(tmp_path / "again"), replace=True, tick=nothing)
    assert os.listdir(tmp_path / "again") == ["mine"]
    assert sorted(os.listdir(tmp_path)) == ["again", "backup", "data"]


def test_data_that_is_there_is_kept_aside(tmp_path: Path, app: App) -> None:
    backup = backed_up(app, tmp_path / "backup")
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "mine").write_text("here")
    with pytest.raises(SnapshotError, match="is not empty"):
        restore(backends, backup, str(tmp_path / "again"), replace=False, tick=nothing)
    aside = restore(backends, backup, str(tmp_path / "again"), replace=True, tick=nothing)
    assert aside is not None and os.listdir(aside) == ["mine"]
    with make_app(tmp_path / "again", files=app.options.files) as again:
        assert documents(again) == documents(app)


def test_the_manifest_says_what_is_in_it(tmp_path: Path, app: App) -> None:
    backup = backed_up(app, tmp_path / "backup")
    with open(os.path.join(backup, MANIFEST), encoding="utf-8") as file:
        manifest = json.load(file)
    assert manifest["format"] == 1 and set(manifest["entries"]) >= {"app.db"}
    assert not [name for name in os.listdir(backup) if name.endswith((".lock", "-wal", "-shm", ".partial"))]
