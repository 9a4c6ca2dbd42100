# SPDX-License-Identifier: MIT
"""`migrate`: new indexes are filled and old ones dropped without a start, on sqlite and on PostgreSQL."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from minihttp import App, Schema, Table, cli, v
from tests.postgresql_server import postgresql, schema_for

OLD = Schema(items=Table({"n": v.number(), "name": v.string()}).index("by_n", ["n"]))
APP = """
from minihttp import App, Schema, Table, v
app = App(schema=Schema(items=Table({"n": v.number(), "name": v.%s()}).index("by_name", ["name"])))
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def data(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[str]]:
    """The flags of a filled store, which on PostgreSQL an old version has open."""
    flags = ["--data", str(tmp_path / "data")]
    if request.param == "postgresql":
        place = "postgresql:" + postgresql().location(schema_for(tmp_path))
        flags = ["--data", place, "--files", str(tmp_path / "files")]
    old = App(schema=OLD, data=flags[1], files=flags[3] if len(flags) > 2 else None, workers=0)
    with old:
        old.database.write(lambda t: [t.db.insert("items", {"n": n, "name": f"{n}"}) for n in range(9)])
        if request.param == "postgresql":
            yield flags
            old.database.write(lambda t: t.db.insert("items", {"n": 9, "name": "9"}))  # it goes on writing
    if request.param == "sqlite":
        yield flags


def migrate(tmp_path: Path, kind: str, *flags: str) -> int:
    (tmp_path / "app.py").write_text(APP % kind)
    sys.modules.pop("app", None)
    return cli.main(["migrate", *flags, str(tmp_path / "app.py")], {})


def rows(capsys: pytest.CaptureFixture[str]) -> list[Any]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_new_indexes_are_filled_and_old_ones_dropped_when_told(
    data: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert migrate(tmp_path, "string", "--json", *data) == 0
    new, dropped = {"index": "items.by_name (name)", "change": "new"}, {"index": "items.by_n (n)"}
    changes = rows(capsys)
    assert new in changes and not [row for row in changes if row["change"] == "dropped"]
    assert migrate(tmp_path, "string", "--json", "-y", "--drop", *data) == 0
    assert rows(capsys) == [{**dropped, "change": "dropped"}]
    assert migrate(tmp_path, "string", "-y", "--drop", *data) == 0
    assert "nothing has changed" in "".join(capsys.readouterr())


def test_documents_that_do_not_match_are_named(
    data: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert migrate(tmp_path, "boolean", *data) == 1
    assert "does not match the schema" in capsys.readouterr().err
