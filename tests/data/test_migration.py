# SPDX-License-Identifier: MIT
"""A schema that changes while others write: the catalog's guard, and indexes that are built meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from minihttp.data.consistency import check_documents
from minihttp.data.database import Database
from minihttp.data.schema import Schema, Table
from minihttp.data.validators import v
from minihttp.errors import IndexNotReadyError, SchemaError
from tests.contracts.documents import together
from tests.postgresql_server import postgresql, schema_for

FIELDS = {"a": v.number(), "b": v.number()}
OLD = Schema(items=Table(FIELDS).index("by_a", ["a"]))
NEW = Schema(items=Table(FIELDS).index("by_b", ["b"]).index("by_both", ["a", "b"]))


@pytest.fixture
def location(tmp_path: Path) -> str:
    return postgresql().location(schema_for(tmp_path))


def open_database(location: str, schema: Schema | None) -> Database:
    from storage_backends.postgresql import DocumentBackend

    return Database(DocumentBackend(location), schema)


@pytest.fixture
def old(location: str) -> Iterator[Database]:
    database = open_database(location, OLD)
    yield database
    database.close()


def insert(database: Database, a: int, b: int = 0) -> str:
    return str(database.write(lambda t: t.db.insert("items", {"a": a, "b": b})))


def by(database: Database, name: str) -> list[Any]:
    return database.read(lambda t: [row["_id"] for row in t.db.query("items").with_index(name)])


def test_the_old_version_keeps_an_index_true_that_it_does_not_know(old: Database, location: str) -> None:
    first = insert(old, 1, 9)
    new = open_database(location, NEW)
    second = insert(old, 2, 8)  # the guard tells it
    old.write(lambda t: t.db.patch(first, {"b": 7}))
    third = insert(new, 0, 6)
    assert by(new, "by_b") == [third, first, second]
    assert by(old, "by_a") == [third, first, second], "an index that the new version does not declare stays"
    old.write(lambda t: t.db.delete(second))
    assert by(new, "by_both") == [third, first]
    assert check_documents(new) == check_documents(old) == []
    new.close()


def test_a_version_without_a_schema_keeps_the_indexes_of_others_true(old: Database, location: str) -> None:
    open_one = open_database(location, None)
    ids = [insert(open_one, n) for n in (3, 1, 2)]
    assert by(old, "by_a") == [ids[1], ids[2], ids[0]]
    open_one.close()


def test_what_is_prepared_before_the_indexes_change(location: str) -> None:
    def opened(*indexes: str) -> Database:
        from storage_backends.postgresql import DocumentBackend

        table = Table(v.any())
        for name in indexes:
            table.index(name, ["x"])
        return Database(DocumentBackend(location), system={"_rows": table})

    old = opened()
    prepared = old.prepare("_rows", {"x": 1})
    new = opened("by_x")
    old.write(lambda t: t.system.add(prepared))
    assert len(new.read(lambda t: t.system.query("_rows").with_index("by_x").collect())) == 1
    old.close()
    new.close()


def test_submitted_mutations_learn_of_new_indexes_too(old: Database, location: str) -> None:
    new = open_database(location, NEW)
    ended: list[Any] = []
    told = threading.Event()
    old.submit(
        lambda t: t.db.insert("items", {"a": 1, "b": 1}), lambda *outcome: (ended.append(outcome), told.set())
    )
    assert told.wait(60)
    assert by(new, "by_b") == [ended[0][0]]
    new.close()


def test_a_rolling_deploy(old: Database, location: str) -> None:
    """Both versions write while the indexes of the new one are filled; every document is in every index."""
    for n in range(30):
        old.write(lambda t, n=n: [t.db.insert("items", {"a": n, "b": -k}) for k in range(100)])
    stopped = threading.Event()
    opened: list[Database] = []

    def work(database: Database, a: int) -> None:
        count = 0
        while not stopped.is_set():
            count += 1
            id = insert(database, a, count)
            database.write(lambda t, id=id: t.db.patch(id, {"b": -1}))
            if count % 3 == 0:
                database.write(lambda t, id=id: t.db.delete(id))

    def deploy() -> None:
        try:
            new = open_database(location, NEW)
            opened.append(new)
            together([lambda: work_until(new, 20)])
        finally:
            stopped.set()

    def work_until(database: Database, times: int) -> None:
        for n in range(times):
            insert(database, -1, n)

    together([deploy, lambda: work(old, 1000), lambda: work(old, 2000)])
    [new] = opened
    everything = sorted(new.read(lambda t: [row["_id"] for row in t.db.query("items")]))
    assert len(everything) > 3_000
    for name in ("by_b", "by_both"):
        assert sorted(by(new, name)) == everything
    assert sorted(by(old, "by_a")) == everything
    assert check_documents(new) == []
    new.close()


def test_an_index_is_dropped_once_nobody_else_is_there(old: Database, location: str) -> None:
    insert(old, 1)
    new = open_database(location, NEW)
    assert by(old, "by_a")
    new.close()
    old.close()
    open_database(location, NEW).close()
    again = open_database(location, OLD)
    assert len(by(again, "by_a")) == 1
    assert [row["name"] for row in stored_indexes(again)] == ["by_a"]
    again.close()


def stored_indexes(database: Database) -> list[Any]:
    from minihttp.data.migration import read_stored

    return database.read(lambda t: read_stored(t.engine).indexes)


def test_an_index_that_somebody_has_dropped_is_refused_not_empty(old: Database, location: str) -> None:
    insert(old, 1)
    [row] = stored_indexes(old)
    other = open_database(location, OLD)

    def drop(t: Any) -> None:
        t.engine.remove_entries(list(t.engine.entries((row["number"], b"", ""), 9)))
        t.engine.delete(row["_id"], ())
        id, _ = other._catalog.guard
        t.engine.put(id, "_catalog", '{"generation":9,"number":1}', (), ())

    other.write(drop)
    old._look_soon()
    with pytest.raises(IndexNotReadyError, match=r"items\.by_a is being built"):
        by(old, "by_a")
    insert(old, 2)  # writing goes on
    other.close()


def test_documents_that_do_not_match_stop_the_new_version_only(old: Database, location: str) -> None:
    insert(old, 1)
    with pytest.raises(SchemaError, match="does not match"):
        open_database(location, Schema(items=Table({"a": v.string(), "b": v.number()})))
    insert(old, 2)
    assert len(by(old, "by_a")) == 2


def test_a_trial_writes_nothing(old: Database, location: str) -> None:
    from storage_backends.postgresql import DocumentBackend

    before = old.read(lambda t: t.engine.scan("", "~", reverse=False, limit=100))
    Database(DocumentBackend(location), NEW, trial=True).close()
    assert old.read(lambda t: t.engine.scan("", "~", reverse=False, limit=100)) == before


def test_eight_first_starts_at_once_make_one_secret(location: str) -> None:
    opened: list[Database] = []
    together([lambda: opened.append(open_database(location, NEW))] * 8)
    assert len({database.secret for database in opened}) == 1
    assert len({database._catalog.guard for database in opened}) == 1
    assert sorted(row["name"] for row in stored_indexes(opened[0])) == ["by_b", "by_both"]
    for database in opened:
        database.close()


def test_a_large_index_on_sqlite_is_filled_while_requests_are_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from storage_backends.sqlite import DocumentBackend

    path = str(tmp_path / "app.db")
    old = Database(DocumentBackend(path), OLD)
    for _ in range(5):
        old.write(lambda t: [t.db.insert("items", {"a": n, "b": -n}) for n in range(1_000)])
    old.close()
    monkeypatch.setattr("minihttp.data.taking_in._FILLED_AT_START", 0)
    new = Database(DocumentBackend(path), NEW, refused=pytest.fail)
    refused, inserted = 0, []
    while True:
        inserted.append(insert(new, 1, 1))
        try:
            assert len(by(new, "by_b")) == len(by(new, "by_both")) == 5_000 + len(inserted)
            break
        except IndexNotReadyError:
            refused += 1
    assert check_documents(new) == []
    new.close()


def test_an_index_that_was_not_finished_is_filled_on_at_the_next_start(tmp_path: Path) -> None:
    from minihttp.data.migration import Migration
    from storage_backends.sqlite import DocumentBackend

    path = str(tmp_path / "app.db")
    old = Database(DocumentBackend(path), OLD)
    for _ in range(5):
        old.write(lambda t: [t.db.insert("items", {"a": n, "b": -n}) for n in range(1_000)])
    Migration(old._backend, NEW.tables, frozenset(), old._ids, old.clock).declare()  # and then it was killed
    assert {row.get("state") for row in stored_indexes(old)} == {"filling"}
    old.close()
    new = Database(DocumentBackend(path), NEW)
    assert len(by(new, "by_b")) == len(by(new, "by_both")) == 5_000
    assert {row.get("state") for row in stored_indexes(new)} == {None}
    new.close()


def test_an_index_of_the_frameworks_own_is_whole_at_the_start(
    tmp_path: Path, open_database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own code looks into it before the first request."""
    monkeypatch.setattr("minihttp.data.taking_in._FILLED_AT_START", 0)
    location = str(tmp_path / "own.db")
    first = open_database(location=location, system={"_own": Table(v.any())})

    def write(transaction: Any) -> None:
        for number in range(3_000):
            transaction.system.insert("_own", {"number": number})

    first.write(write)
    first.close()
    indexed = Table(v.any()).index("by_number", ["number"])
    second = open_database(location=location, system={"_own": indexed}, refused=pytest.fail)
    found = second.read(
        lambda t: t.system.query("_own").with_index("by_number", lambda q: q.gte("number", 2_999)).collect()
    )
    assert [row["number"] for row in found] == [2_999]
