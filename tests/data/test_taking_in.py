# SPDX-License-Identifier: MIT
"""A schema that is taken in behind the requests: what is refused meanwhile, and what a stop leaves.

The taking in is held after a batch by its own progress, so every test knows where it is. On sqlite and on
PostgreSQL.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from minihttp.data.consistency import check_documents
from minihttp.data.database import Database
from minihttp.data.migration import read_stored
from minihttp.data.schema import Schema, Table
from minihttp.data.taking_in import SchemaProgress
from minihttp.data.validators import v
from minihttp.errors import DocumentError, IndexNotReadyError, SchemaError, TableNotReadyError
from tests.postgresql_server import postgresql, schema_for

PATIENCE_SECONDS = 60.0
COUNT = 4_000  # some batches, of comparing and of filling
NAME = v.optional(v.union(v.literal("a"), v.literal("b")))
OTHER = Table({"n": v.number()}).index("by_n", ["n"])
OLD = Schema(items=Table({"n": v.number(), "name": v.optional(v.string())}).index("by_n", ["n"]), other=OTHER)
NARROWER = Schema(items=Table({"n": v.number(), "name": NAME}).index("by_name", ["name"]), other=OTHER)
INDEXED = Schema(
    items=Table({"n": v.number(), "name": v.optional(v.string())})
    .index("by_n", ["n"])
    .index("by_name", ["name"]),
    other=OTHER,
)


class Held:
    """A progress that holds the thread that goes on behind, from the first time on, until it is let go."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int, int]] = []
        self._reached, self._go_on = threading.Event(), threading.Event()

    def __call__(self, what: str, done: int, total: int) -> None:
        if threading.current_thread() is threading.main_thread():
            return
        self.told.append((what, done, total))
        self._reached.set()
        assert self._go_on.wait(PATIENCE_SECONDS)

    def wait(self) -> None:
        assert self._reached.wait(PATIENCE_SECONDS)

    def let_go(self) -> None:
        self._go_on.set()


class World:
    """One store, which tests open again and again."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._opened: list[Database] = []
        self.held = Held()
        self.refusals: list[SchemaError] = []
        self.refused = threading.Event()

    def open(self, schema: Schema, *, behind: bool = True, drop: bool | None = None) -> Database:
        """Open it; `behind`: with the rest of the taking in held after its first batch."""
        options: dict[str, Any] = {"drop": drop}
        if behind:
            self.held = Held()
            options |= {"tick": self.held, "refused": self._refuse}
        self._opened.append(Database(self._make(), schema, **options))
        if behind:
            self.held.wait()
        return self._opened[-1]

    def _refuse(self, error: SchemaError) -> None:
        self.refusals.append(error)
        self.refused.set()

    def close(self) -> None:
        """Close what is open, in the middle of whatever it does."""
        for database in self._opened:
            closing = threading.Thread(target=database.close)
            closing.start()
            while database.under_way() and not database._taking_in._closed.is_set():
                closing.join(0.01)
            self.held.let_go()
            closing.join()
        self._opened.clear()


@pytest.fixture(params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A store with documents of `OLD`."""
    monkeypatch.setattr("minihttp.data.taking_in._COMPARED_AT_START", 0)
    monkeypatch.setattr("minihttp.data.taking_in._FILLED_AT_START", 0)
    if request.param == "postgresql":
        pytest.importorskip("psycopg")
        from storage_backends.postgresql import DocumentBackend as Postgresql

        location = postgresql().location(schema_for(tmp_path))
        world = World(lambda: Postgresql(location))
    else:
        from storage_backends.sqlite import DocumentBackend as Sqlite

        world = World(lambda: Sqlite(str(tmp_path / "app.db")))
    first = world.open(OLD, behind=False)
    first.write(
        lambda t: [t.db.insert("items", {"n": n, "name": "ab"[n % 2]}) for n in range(COUNT)] and None
    )
    first.write(lambda t: t.db.insert("other", {"n": 1}))
    world.close()
    yield world
    world.held.let_go()
    world.close()


def end_of(database: Database) -> None:
    """Wait for the end of the taking in."""
    while database.wait_for_schema(1.0):
        pass
    assert database.under_way() == ""


def by(database: Database, table: str, index: str) -> list[Any]:
    return database.read(lambda t: [row["_id"] for row in t.db.query(table).with_index(index)])


def stored_indexes(database: Database) -> dict[str, str | None]:
    rows = database.read(lambda t: read_stored(t.engine).indexes)
    return {f"{row['table']}.{row['name']}": row.get("state") for row in rows}


def test_other_tables_are_read_and_written_while_one_is_compared(world: World) -> None:
    database = world.open(NARROWER)
    assert database.under_way() == 'comparing table "items" with its new schema: 512 of 4,000 documents'
    id = database.write(lambda t: t.db.insert("other", {"n": 2}))
    assert database.read(lambda t: t.db.get(id)["n"]) == 2
    assert len(by(database, "other", "by_n")) == 2
    world.held.let_go()
    end_of(database)
    assert len(by(database, "items", "by_name")) == COUNT
    assert check_documents(database) == []
    what, done, total = world.held.told[-1]
    assert (what, done, total) == ("filling index items.by_name", COUNT, COUNT)


@pytest.mark.parametrize(
    "touch",
    [
        lambda t, id: t.db.insert("items", {"n": 1}),
        lambda t, id: t.db.query("items"),
        lambda t, id: t.db.get(id),
        lambda t, id: t.db.get("items", id),
        lambda t, id: t.db.patch(id, {"n": 2}),
        lambda t, id: t.db.replace(id, {"n": 2}),
        lambda t, id: t.db.delete(id),
        lambda t, id: t.db.delete("items", id),
    ],
    ids=["insert", "query", "get", "get of table", "patch", "replace", "delete", "delete of table"],
)
def test_nobody_touches_a_table_that_is_compared(world: World, touch: Callable[[Any, str], Any]) -> None:
    old = world.open(OLD, behind=False)
    id = by(old, "items", "by_n")[0]
    world.close()
    database = world.open(NARROWER)
    with pytest.raises(TableNotReadyError, match='Table "items" is being compared') as caught:
        database.write(lambda t: touch(t, id))
    assert caught.value.status == 503
    world.held.let_go()
    end_of(database)
    database.write(lambda t: touch(t, id) and None)


def test_a_document_that_does_not_match_ends_it_and_nothing_is_believed(world: World) -> None:
    old = world.open(OLD, behind=False)
    before = stored_indexes(old)
    bad = old.write(lambda t: t.db.insert("items", {"n": -1, "name": "neither"}))
    world.close()
    new = world.open(NARROWER)
    assert not world.refusals
    world.held.let_go()
    assert world.refused.wait(PATIENCE_SECONDS)
    [error] = world.refusals
    assert f'Document with ID "{bad}" in table "items" does not match the schema: ' in str(error)
    with pytest.raises(TableNotReadyError):
        new.read(lambda t: t.db.get(bad))
    world.close()

    def never(what: str, done: int, total: int) -> None:
        raise AssertionError(f"{what}: the old schema was believed all the time")

    again = Database(world._make(), OLD, tick=never)
    assert stored_indexes(again) == before
    assert by(again, "items", "by_n")[0] == bad
    again.close()


def test_what_is_stopped_in_the_middle_of_comparing_begins_anew(world: World) -> None:
    world.open(NARROWER)
    world.close()
    database = world.open(NARROWER)
    assert world.held.told[0][1] == 512
    world.held.let_go()
    end_of(database)
    assert len(by(database, "items", "by_name")) == COUNT


def test_what_is_stopped_in_the_middle_of_filling_goes_on(world: World) -> None:
    filling = world.open(INDEXED)
    assert filling.under_way().startswith("filling index items.by_name: ")
    with pytest.raises(IndexNotReadyError, match=r"items\.by_name is being built"):
        by(filling, "items", "by_name")
    id = filling.write(lambda t: t.db.insert("items", {"n": 0, "name": "a"}))  # in the new index too
    world.close()
    database = world.open(INDEXED)
    assert world.held.told[0][1] > 2_048, "what was filled is not filled again"
    world.held.let_go()
    end_of(database)
    assert id in by(database, "items", "by_name")
    assert len(by(database, "items", "by_name")) == COUNT + 1
    assert check_documents(database) == []


def test_a_new_table_and_a_widened_one_are_there_at_once(world: World) -> None:
    wider = Table({"n": v.union(v.number(), v.string())}).index("by_n", ["n"])
    new = Table({"x": v.number()}).index("by_x", ["x"])
    database = world.open(Schema(items=NARROWER.tables["items"], other=wider, new=new))
    database.write(lambda t: [t.db.insert("other", {"n": "text"}), t.db.insert("new", {"x": 1})])
    assert len(by(database, "other", "by_n")) == 2
    assert len(by(database, "new", "by_x")) == 1
    world.held.let_go()
    end_of(database)
    assert check_documents(database) == []


def test_nothing_is_dropped_while_requests_go_on_but_at_the_next_start(world: World) -> None:
    database = world.open(Schema(items=NARROWER.tables["items"], other=Table({"n": v.number()})))
    with pytest.raises(DocumentError, match=r"other\.by_n not found"):
        by(database, "other", "by_n")
    database.write(lambda t: t.db.insert("other", {"n": 2}))
    world.held.let_go()
    end_of(database)
    assert stored_indexes(database)["other.by_n"] is None, "it is still there"
    assert check_documents(database) == []
    world.close()
    if not database.shared:
        without = world.open(Schema(items=NARROWER.tables["items"]), behind=False)
        assert "other.by_n" not in stored_indexes(without)


WITHOUT = Schema(items=Table({"n": v.number(), "name": v.optional(v.string())}), other=OTHER)


def test_an_index_is_dropped_behind_the_requests(world: World) -> None:
    database = world.open(WITHOUT, drop=True)
    assert database.under_way() == "dropping index items.by_n: 1,024 entries"
    with pytest.raises(DocumentError, match=r"items\.by_n not found"):
        by(database, "items", "by_n")
    database.write(lambda t: t.db.insert("items", {"n": -1}))
    assert check_documents(database) == []
    world.close()
    database = world.open(WITHOUT)
    world.held.let_go()
    end_of(database)
    assert sum(1 for told in world.held.told if told[0] == "dropping index items.by_n") <= COUNT / 1_024
    assert stored_indexes(database) == {"other.by_n": None}
    assert {number for number, _, _ in database.read(lambda t: t.engine.entries((0, b"", ""), COUNT))} == {2}


def test_an_index_that_is_wanted_again_while_it_is_dropped_is_made_anew(world: World) -> None:
    world.open(WITHOUT, drop=True).write(lambda t: t.db.insert("items", {"n": -1}))
    world.close()
    database = world.open(OLD)
    assert database.under_way().startswith("filling index items.by_n: ")
    world.held.let_go()
    end_of(database)
    assert len(by(database, "items", "by_n")) == COUNT + 1
    assert stored_indexes(database) == {"other.by_n": None, "items.by_n": None}
    assert check_documents(database) == []


def test_a_trial_and_a_plain_open_do_all_of_it_at_once(world: World) -> None:
    database = world.open(NARROWER, behind=False)
    assert database.under_way() == ""
    assert not database.wait_for_schema(0.0)
    assert len(by(database, "items", "by_name")) == COUNT


def test_a_fault_of_the_engine_is_waited_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Another program holds the write lock for longer than the engine waits for it."""
    from storage_backends.sqlite import DocumentBackend

    monkeypatch.setattr("minihttp.data.taking_in._FILLED_AT_START", 0)
    path = str(tmp_path / "app.db")
    world = World(lambda: DocumentBackend(path, busy_seconds=0.05))
    old = world.open(OLD, behind=False)
    old.write(lambda t: [t.db.insert("items", {"n": n, "name": "a"}) for n in range(5_000)] and None)
    world.close()
    database = world.open(INDEXED)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    world.held.let_go()
    while "taking in the schema has to wait" not in caplog.text:
        database.wait_for_schema(1.0)
    other.execute("ROLLBACK")
    other.close()
    end_of(database)
    assert len(by(database, "items", "by_name")) == 5_000
    world.close()


def test_progress_is_logged_every_five_seconds(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    progress = SchemaProgress(None, clock=lambda: now)
    for now in (0.0, 4.9, 5.0, 5.1, 9.9, 10.1):
        progress("filling index items.by_n", int(now * 1_000), 20_000)
    assert [record.getMessage() for record in caplog.records] == [
        "filling index items.by_n: 5,000 of 20,000 documents",
        "filling index items.by_n: 10,100 of 20,000 documents",
    ]
