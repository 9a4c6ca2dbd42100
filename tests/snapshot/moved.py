# SPDX-License-Identifier: MIT
"""An app with two batches of documents and some files, to be moved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from minihttp import App, HttpRouter, Int64, Schema, Table, internal_mutation, v
from minihttp.snapshot.move import BATCH_DOCUMENTS

SCHEMA = Schema(items=Table({"name": v.string(), "n": v.any()}).index("by_name", ["name"]), empty=Table({}))


@internal_mutation
def fill(ctx: Any, count: int) -> None:
    for n in range(count):
        value = [n, n / 2, Int64(n), b"\0\xff", None, float("inf"), "ü"][n % 7]
        ctx.db.insert("items", {"name": f"name {n % 10}", "n": value})


@internal_mutation
def note(ctx: Any) -> None:
    ctx.db.insert("items", {"name": "noted", "n": None})


def app_at(data: Any, files: str | None = None) -> App:
    return App(HttpRouter(), schema=SCHEMA, modules={"m": __name__}, data=data, files=files, workers=0)


@pytest.fixture
def filled(tmp_path: Path) -> str:
    """A data directory with documents in two batches, files, and a job that is due later."""
    app = app_at(tmp_path / "old").open()
    for _ in range(3):
        app.run_mutation(fill, count=BATCH_DOCUMENTS // 2)
    storage = app.files.outside("")
    for n in range(5):
        storage.store(bytes([n]) * (n * 100_000), content_type="text/plain")
    app.jobs.scheduler(None, None).run_after(3600, note)
    app.close()
    return str(tmp_path / "old")
