# SPDX-License-Identifier: MIT
"""The judged app on a real port, in production and in development."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from minihttp import App
from tests.live import ROOT, Client, live

ADMIN_KEY = "the-admin-key"


@pytest.fixture(scope="session")
def judged() -> Any:
    sys.path.insert(0, str(ROOT / "tests" / "apps"))
    try:
        return App.from_target("judged:app")
    finally:
        sys.path.pop(0)


def serve(app: Any, data: Path, **settings: Any) -> Iterator[Client]:
    app.close()
    app.configure(data=data, workers=0, admin_key=ADMIN_KEY, **{"development": False, **settings})
    with live(app) as client:
        yield client
    app.close()


@pytest.fixture
def client(judged: Any, tmp_path: Path) -> Iterator[Client]:
    yield from serve(judged, tmp_path / "data")


@pytest.fixture
def development(judged: Any, tmp_path: Path) -> Iterator[Client]:
    yield from serve(judged, tmp_path / "data", development=True)
