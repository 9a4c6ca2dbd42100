# SPDX-License-Identifier: MIT
"""`App.check`: it finds what would stop a start, and changes nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from minihttp import App, ConfigurationError, Crons, HttpRouter, Schema, Table, internal_mutation, v
from minihttp.webhooks import stripe

schema = Schema(notes=Table({"text": v.string()}))
with_an_index = Schema(notes=Table({"text": v.string()}).index("by_text", ["text"]))
with_another_type = Schema(notes=Table({"text": v.number()}))


@internal_mutation(args={"text": v.string()})
def add(ctx: Any, text: str) -> Any:
    return ctx.db.insert("notes", {"text": text})


def app(data: Path, http: HttpRouter | None = None, **settings: Any) -> App:
    return App(http, data=data, workers=0, **{"schema": schema, "modules": [__name__], **settings})


@pytest.fixture(params=["filesystem", "sqlite"])
def files(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


@pytest.fixture
def data(tmp_path: Path, files: str) -> Path:
    """A data directory with a document and a file."""
    with app(tmp_path / "data", files=files) as stored:
        stored.run_mutation(add, text="kept")
        stored.files.outside().store(b"kept")
    return tmp_path / "data"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_where_nothing_is_stored_nothing_is_made(tmp_path: Path) -> None:
    assert app(tmp_path / "data").check() is False
    assert app(Path(":memory:")).check() is False
    assert list(tmp_path.iterdir()) == []


@pytest.mark.sqlite  # looks at the files of the database
def test_what_is_stored_is_looked_at_and_stays_as_it_is(data: Path, files: str) -> None:
    before = contents(data)
    assert app(data, files=files).check() is True
    assert app(data, files=files, schema=with_an_index).check() is True
    assert app(data, files=files, schema=with_another_type).check(stored=False) is False
    assert contents(data) == before
    with app(data, files=files, schema=with_an_index) as again:
        assert again.is_open


def test_data_that_another_process_has_open_is_left_alone(data: Path, files: str) -> None:
    with app(data, files=files):
        assert app(data, files=files, schema=with_another_type).check() is False


def nowhere() -> Crons:
    crons = Crons()
    crons.hourly("x", function="no:such")
    return crons


def taken() -> HttpRouter:
    http = HttpRouter()
    http.route(path="/api/query", method="POST", handler=lambda ctx, request: None)
    return http


def hooked() -> HttpRouter:
    http = HttpRouter()
    http.webhook("/hook", stripe.provider(secret="NO_SUCH_SECRET"), "no:such")
    return http


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"crons": nowhere()}, "no:such"),
        ({"http": taken()}, "POST /api/query is taken"),
        ({"http": hooked()}, "webhook /hook .*no:such"),
        ({"modules": ["no_such_module"]}, "no_such_module"),
        ({"schema": 3}, "takes a Schema, not 3"),
        ({"files": "nowhere://x"}, "there is no storage backend 'nowhere'"),
    ],
)
def test_a_mistake_of_the_code(tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        app(tmp_path / "data", **settings).check(stored=False)
    assert list(tmp_path.iterdir()) == []


def corrupted(data: Path) -> None:
    (data / "app.db").write_bytes(b"no database at all" * 100)


def newer(data: Path) -> None:
    with closing(sqlite3.connect(data / "app.db")) as connection:
        connection.execute("PRAGMA user_version = 99")


def emptied(data: Path) -> None:
    (data / "app.db").unlink()
    app(data, files=str(data.parent / "other")).open().close()


@pytest.mark.sqlite  # looks at the files of the database
@pytest.mark.parametrize(
    ("damage", "message"),
    [(corrupted, "not a database"), (newer, "newer version"), (emptied, "knows nothing of")],
)
def test_data_that_cannot_be_used(
    data: Path, files: str, damage: Callable[[Path], None], message: str
) -> None:
    damage(data)
    before = contents(data)
    with pytest.raises(ConfigurationError, match=message):
        app(data, files=files).check()
    assert contents(data) == before


@pytest.mark.sqlite  # looks at the files of the database
def test_a_schema_that_what_is_stored_does_not_match(data: Path, files: str) -> None:
    with pytest.raises(ConfigurationError, match="notes"):
        app(data, files=files, schema=with_another_type).check()
    with app(data, files=files) as again:
        assert again.is_open
