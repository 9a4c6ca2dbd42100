# SPDX-License-Identifier: MIT
"""Two apps, one of them filled, and archives that are closed after the test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from minihttp import App
from minihttp.snapshot.archive import Archive
from minihttp.snapshot.export import export_snapshot
from minihttp.snapshot.importing import import_snapshot
from tests.snapshot.world import make_app


@pytest.fixture(params=[None, "sqlite"])
def source(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[App]:
    with make_app(tmp_path / "source", files=request.param) as app:
        app.run_mutation("tests/snapshot/world:fill", count=5)
        yield app


@pytest.fixture
def target(tmp_path: Path) -> Iterator[App]:
    with make_app(tmp_path / "target") as app:
        yield app


_archives: list[Archive] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while _archives:
        _archives.pop().close()


def opened(path: str) -> Archive:
    """An archive that is closed after the test."""
    _archives.append(Archive(path))
    return _archives[-1]


def exported(app: App, path: Path, **options: Any) -> Archive:
    with open(path, "wb") as out:
        export_snapshot(app.database, app.files, out, version="1", **options)
    return opened(str(path))


def imported(archive: Archive, app: App, **options: Any) -> Any:
    return import_snapshot(archive, app.database, app.files, **options)
