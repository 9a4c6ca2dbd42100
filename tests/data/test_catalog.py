# SPDX-License-Identifier: MIT
"""A changed schema: documents are checked, indexes filled and dropped, in one transaction or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from minihttp.data.database import Database
from minihttp.data.ids import table_tag
from minihttp.data.schema import Schema, Table
from minihttp.data.validators import v
from minihttp.errors import DocumentError, SchemaError
from minihttp.values import Int64

ROOT = Path(__file__).parents[2]


@pytest.fixture
def location(tmp_path: Path) -> str:
    return str(tmp_path / "app.db")


Open = Callable[..., Database]


def change(open_database: Open, location: str, schema: Schema | None) -> Database:
    return open_database(schema, location)


def fill(open_database: Open, location: str, documents: list[dict[str, Any]]) -> list[str]:
    db = change(open_database, location, None)
    ids = db.write(lambda t: [t.db.insert("items", document) for document in documents])
    db.close()
    return ids


def by_name(db: Database, name: Any) -> list[Any]:
    return db.read(
        lambda t: t.db.query("items").with_index("by_name", lambda q: q.eq("name", name)).collect()
    )


def test_a_new_index_is_filled_and_an_old_one_dropped(open_database: Open, location: str) -> None:
    fill(open_database, location, [{"name": f"n{i % 3}", "i": i} for i in range(700)])
    indexed = Schema(items=Table(v.any()).index("by_name", ["name"]))
    db = change(open_database, location, indexed)
    assert [d["i"] for d in by_name(db, "n1")] == list(range(1, 700, 3))
    db.write(lambda t: t.db.insert("items", {"name": "n1", "i": -1}))
    assert len(by_name(db, "n1")) == 234
    db.close()

    db = change(open_database, location, Schema(items=Table(v.any())))
    with pytest.raises(DocumentError, match=r"Index items\.by_name not found"):
        by_name(db, "n1")
    db.write(lambda t: t.db.insert("items", {"name": "n1", "i": -2}))  # while there is no index
    assert db.read(lambda t: _entries(t)) == 0
    db.close()

    assert len(by_name(change(open_database, location, indexed), "n1")) == 235


def _entries(t: Any) -> int:
    [(count,)] = t.engine.execute("SELECT count(*) FROM entries")
    return int(count)


def test_an_index_of_the_same_name_with_other_fields_is_another(open_database: Open, location: str) -> None:
    fill(open_database, location, [{"name": "a", "i": 1}])
    change(open_database, location, Schema(items=Table(v.any()).index("by_name", ["name"]))).close()
    db = change(open_database, location, Schema(items=Table(v.any()).index("by_name", ["i"])))
    found = db.read(lambda t: t.db.query("items").with_index("by_name", lambda q: q.eq("i", 1)).collect())
    assert len(found) == 1
    assert db.read(_entries) == 1


def test_a_schema_that_stored_documents_do_not_match_is_refused(open_database: Open, location: str) -> None:
    good, bad = fill(open_database, location, [{"name": "a"}, {"name": 5}])
    strict = Schema(items=Table({"name": v.string()}).index("by_name", ["name"]))
    with pytest.raises(SchemaError) as caught:
        change(open_database, location, strict)
    assert f'Document with ID "{bad}" in table "items" does not match the schema: ' in str(caught.value)
    assert "Path: .name" in str(caught.value)

    db = change(open_database, location, None)  # nothing was changed
    assert db.read(_entries) == 0
    db.write(lambda t: t.db.delete(bad))
    db.close()
    assert [d["_id"] for d in by_name(change(open_database, location, strict), "a")] == [good]


@pytest.mark.parametrize(
    ("document", "validator"),
    [
        ({"name": None}, v.optional(v.string())),  # a stored null is not an absent field
        ({"name": 5}, v.int64()),  # a stored float64 is not an int64
        ({"name": Int64(5)}, v.number()),
        ({}, v.string()),
    ],
    ids=str,
)
def test_what_only_a_change_would_make_valid_is_refused(
    open_database: Open, location: str, document: dict[str, Any], validator: Any
) -> None:
    fill(open_database, location, [document])
    with pytest.raises(SchemaError, match="does not match the schema"):
        change(open_database, location, Schema(items=Table({"name": validator})))
    unchecked = Schema(schema_validation=False, items=Table({"name": validator}))
    assert len(change(open_database, location, unchecked).read(lambda t: t.db.query("items").collect())) == 1


def test_documents_written_while_unchecked_are_checked_later(open_database: Open, location: str) -> None:
    table = Table({"name": v.string()})
    change(open_database, location, Schema(items=table)).close()
    db = change(open_database, location, Schema(schema_validation=False, items=table))
    db.write(lambda t: t.db.insert("items", {"name": 5}))
    db.close()
    with pytest.raises(SchemaError):
        change(open_database, location, Schema(items=table))


def test_tables_whose_ids_would_collide(open_database: Open) -> None:
    assert table_tag("t26821") == table_tag("t49091")  # found by search
    with pytest.raises(SchemaError, match='Tables "t26821" and "t49091" would share their ids'):
        open_database(Schema(t26821=Table({}), t49091=Table({})))


CHILD = """
import os, signal, sys
from minihttp.data.database import Database
from minihttp.data.schema import Schema, Table
from minihttp.data.validators import v
from storage_backends.sqlite import DocumentBackend, Writing

class Doomed(Writing):
    def add_entries(self, rows):
        super().add_entries(rows)
        if len(rows) > 500:
            os.kill(os.getpid(), signal.SIGKILL)

backend = DocumentBackend(sys.argv[1])
backend._writing.__class__ = Doomed
Database(backend, Schema(items=Table(v.any()).index("by_name", ["name"])))
"""


@pytest.mark.sqlite  # the child patches that engine
def test_a_kill_in_the_middle_of_filling_leaves_nothing_half(open_database: Open, location: str) -> None:
    fill(open_database, location, [{"name": "a"} for _ in range(1500)])
    child = subprocess.run(
        [sys.executable, "-c", CHILD, location],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert child.returncode == -signal.SIGKILL
    db = change(open_database, location, None)
    assert db.read(_entries) == 0
    db.close()
    db = change(open_database, location, Schema(items=Table(v.any()).index("by_name", ["name"])))
    assert len(by_name(db, "a")) == 1500
