# SPDX-License-Identifier: MIT
"""`check` of documents and index entries: each kind of damage is made in the engine, found, and mended."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from minihttp import App, Schema, Table, v
from minihttp.data.consistency import check_documents, rebuild_indexes

pytestmark = pytest.mark.sqlite  # damage is made by SQL, while nobody has the database open
SCHEMA = Schema(
    items=Table({"name": v.string(), "n": v.number()})
    .index("by_name", ["name"])
    .index("by_time", ["_creationTime", "n"]),
    others=Table({"n": v.number()}).index("by_n", ["n"]),
)


def opened(folder: Path) -> App:
    return App(schema=SCHEMA, data=str(folder), workers=0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with opened(tmp_path) as app:
        app.database.write(
            lambda t: (
                [t.db.insert("items", {"name": f"i{n % 7}", "n": n}) for n in range(50)]
                + [t.db.insert("others", {"n": n}) for n in range(3)]
            )
        )
    return tmp_path


@pytest.fixture
def change(folder: Path) -> Iterator[Callable[[str], None]]:
    """Runs SQL on the database while nobody has it."""

    def run(sql: str) -> None:
        with closing(sqlite3.connect(folder / "app.db")) as connection:
            assert connection.execute(sql).rowcount > 0
            connection.commit()

    yield run


def texts(app: App) -> list[str]:
    return [f"{finding.place}: {finding.text}" for finding in check_documents(app.database)]


def test_nothing_is_wrong(folder: Path) -> None:
    seen: list[str] = []
    with opened(folder) as app:
        assert check_documents(app.database, lambda what, done, total: seen.append(what)) == []
    assert {"items", "others", "index entries"} <= set(seen)


FIRST = "(SELECT min(id) FROM documents WHERE \"table\" = 'items')"


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (f"DELETE FROM entries WHERE id = {FIRST}", ["has no entry", "has no entry"]),
        (f"DELETE FROM documents WHERE id = {FIRST}", ["which is not there", "which is not there"]),
        ("INSERT INTO entries VALUES (77, x'00', 'gone')", ["index 77 is not declared"]),
    ],
)
def test_index_entries(folder: Path, change: Callable[[str], None], sql: str, expected: list[str]) -> None:
    change(sql)
    with opened(folder) as app:
        found = texts(app)
        assert [part in text for part, text in zip(expected, found, strict=True)] == [True] * len(expected)
        names = rebuild_indexes(app.database, check_documents(app.database))
        assert names
        assert texts(app) == []
        query = app.database.read(lambda t: t.db.query("items").with_index("by_name").collect())
        assert len(query) == app.database.read(lambda t: len(t.db.query("items").collect()))


def test_an_entry_that_says_something_else(folder: Path, change: Callable[[str], None]) -> None:
    change(f"UPDATE entries SET key = x'10414200' WHERE id = {FIRST} AND hex(key) LIKE '10%'")
    with opened(folder) as app:
        found = texts(app)
        assert len(found) == 2
        assert "is not what the document says" in found[0] and "has no entry" in found[1]


@pytest.mark.parametrize(
    ("json", "expected"),
    [
        ("{", "it cannot be read: The stored text"),
        ('{"name":"x"}', "it does not match the schema: Object is missing the required field `n`"),
        ('{"n": 1, "name": "i0"}', "its stored form is not that of"),
        ('{"n":{"$integer":"?"},"name":"i0"}', "Invalid base64 string"),
        ("[]", "Value does not match validator"),
    ],
)
def test_documents(folder: Path, change: Callable[[str], None], json: str, expected: str) -> None:
    change(f"UPDATE documents SET json = '{json}' WHERE id = {FIRST}")
    with opened(folder) as app:
        found = texts(app)
        assert expected in found[0] and found[0].startswith("items: document ")


def test_many_are_cut_short(
    folder: Path, change: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("minihttp.data.consistency._MAX_FINDINGS", 10)
    change("UPDATE documents SET json = '{}' WHERE \"table\" = 'items'")
    with opened(folder) as app:
        found = [text for text in texts(app) if "document" in text]
        assert sum("does not match" in text for text in found) == 10
        assert "items: 40 more documents are wrong" in found
