# SPDX-License-Identifier: MIT
"""Transactions: all or nothing, sub-transactions, hooks, time, faults, snapshots."""

from __future__ import annotations

import errno
import gc
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from minihttp.data.database import Database, Transaction
from minihttp.data.schema import Schema, Table
from minihttp.data.validators import v
from minihttp.errors import (
    CallError,
    DataDirectoryError,
    DeadlineError,
    DocumentError,
    MinihttpError,
    StorageFullError,
    StorageUnavailableError,
)
from storage_backends.sqlite import DocumentBackend
from tests.interrupts import Interrupt, interrupted_after

SYSTEM = {"_jobs": Table(v.any())}


@pytest.fixture
def db(open_database: Callable[..., Database]) -> Database:
    return open_database(system=SYSTEM)


def numbers(db: Database) -> list[Any]:
    return db.read(lambda t: [d["n"] for d in t.db.query("items").collect()])


def insert(t: Transaction, n: Any) -> str:
    return t.db.insert("items", {"n": n})  # type: ignore[attr-defined,no-any-return]


class Oops(Exception):
    pass


# ---------------------------------------------------------------- all or nothing


def test_raising_undoes_everything(db: Database) -> None:
    def run(t: Transaction) -> None:
        insert(t, 1)
        t.system.insert("_jobs", {})
        raise Oops

    with pytest.raises(Oops):
        db.write(run)
    assert numbers(db) == []
    assert db.read(lambda t: t.system.query("_jobs").collect()) == []
    db.write(lambda t: insert(t, 2))
    assert numbers(db) == [2]


def test_a_sub_transaction_is_undone_alone(db: Database) -> None:
    def inner(t: Transaction) -> None:
        insert(t, "inner")
        with pytest.raises(Oops):
            t.nested(lambda: fail(t, "innermost"))
        t.nested(lambda: insert(t, "kept"))
        raise Oops

    def fail(t: Transaction, n: str) -> None:
        insert(t, n)
        raise Oops

    def outer(t: Transaction) -> None:
        insert(t, "before")
        with pytest.raises(Oops):
            t.nested(lambda: inner(t))
        t.nested(lambda: insert(t, "after"))

    db.write(outer)
    assert numbers(db) == ["before", "after"]


def test_a_query_sees_one_snapshot(db: Database) -> None:
    db.write(lambda t: insert(t, 1))
    reading, written = threading.Event(), threading.Event()
    seen = []

    def read(t: Transaction) -> None:
        seen.append([d["n"] for d in t.db.query("items").collect()])
        reading.set()
        assert written.wait(60)
        seen.append([d["n"] for d in t.db.query("items").collect()])

    reader = threading.Thread(target=lambda: db.read(read))
    reader.start()
    assert reading.wait(60)
    db.write(lambda t: insert(t, 2))
    written.set()
    reader.join()
    assert seen == [[1], [1]]
    assert numbers(db) == [1, 2]


def test_concurrent_increments_are_serial(db: Database) -> None:
    id = db.write(lambda t: insert(t, 0))
    increment = lambda t: t.db.patch(id, {"n": t.db.get(id)["n"] + 1})
    threads = [threading.Thread(target=lambda: [db.write(increment) for _ in range(25)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert numbers(db) == [200]


def test_a_transaction_that_has_ended_can_do_nothing(db: Database) -> None:
    kept = db.write(lambda t: t.db)
    with pytest.raises(CallError, match="has ended"):
        kept.insert("items", {})
    query = db.read(lambda t: t.db.query("items"))
    with pytest.raises(CallError, match="has ended"):
        query.collect()


def test_one_transaction_at_a_time_in_a_thread(db: Database) -> None:
    for outer in (db.write, db.read):
        for inner in (db.write, db.read):
            with pytest.raises(CallError, match="open in this thread already"):
                outer(lambda t, inner=inner: inner(lambda t: None))  # type: ignore[misc]
    assert db.read(lambda t: 1) == 1


@pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")  # interrupted as it was opened
@pytest.mark.parametrize("how", ["read", "write"])
def test_an_interrupt_anywhere_leaves_no_transaction_open_in_the_thread(db: Database, how: str) -> None:
    for calls in count(1):
        with suppress(Interrupt, MinihttpError), interrupted_after(calls):
            getattr(db, how)(lambda t: None)
            break
        assert db.write(lambda t: 1) == 1
    assert calls > 20
    gc.collect()  # while the warning is ignored


# ---------------------------------------------------------------- hooks


def test_hooks_run_once_the_outcome_is_certain(db: Database) -> None:
    called: list[Any] = []

    def run(t: Transaction, fail: bool) -> None:
        t.after_commit(lambda: called.append(("commit", numbers(db))))  # a hook may open a transaction
        t.after_rollback(lambda: called.append("rollback"))
        insert(t, 1)
        assert called == []
        if fail:
            raise Oops

    db.write(lambda t: run(t, False))
    assert called == [("commit", [1])]
    called.clear()
    with pytest.raises(Oops):
        db.write(lambda t: run(t, True))
    assert called == ["rollback"]


def test_hooks_of_a_sub_transaction(db: Database) -> None:
    called: list[str] = []

    def inner(t: Transaction, name: str, fail: bool) -> None:
        t.after_commit(lambda: called.append(f"commit {name}"))
        t.after_rollback(lambda: called.append(f"rollback {name}"))
        if fail:
            raise Oops

    def run(t: Transaction) -> None:
        t.nested(lambda: inner(t, "good", False))
        with pytest.raises(Oops):
            t.nested(lambda: inner(t, "bad", True))
        assert called == []

    db.write(run)
    assert called == ["commit good", "rollback bad"]


def test_a_hook_that_fails_is_logged(db: Database, caplog: pytest.LogCaptureFixture) -> None:
    called: list[int] = []

    def run(t: Transaction) -> None:
        t.after_commit(lambda: 1 / 0)
        t.after_commit(lambda: called.append(1))

    with caplog.at_level(logging.ERROR, "minihttp"):
        db.write(run)
    assert called == [1]
    assert "ZeroDivisionError" in caplog.text


# ---------------------------------------------------------------- time


def test_past_its_deadline_a_transaction_is_refused_and_undone(db: Database) -> None:
    def late(t: Transaction) -> None:
        insert(t, 1)
        while t.time_left():
            pass
        with pytest.raises(DeadlineError, match="timed out"):
            insert(t, 2)

    with pytest.raises(DeadlineError, match=r"maximum duration: 0\.02 s"):
        db.write(late, time_limit_seconds=0.02)
    assert numbers(db) == []
    with pytest.raises(DeadlineError):
        db.read(lambda t: [t.db.query("items").first() for _ in iter(int, 1)], time_limit_seconds=0.02)


def test_a_long_statement_is_interrupted(db: Database) -> None:
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n"
    for transact in (db.read, db.write):
        with pytest.raises(DeadlineError, match=r"maximum duration: 0\.05 s"):
            transact(lambda t: t.engine.execute(endless), time_limit_seconds=0.05)  # type: ignore[attr-defined]
    db.write(lambda t: insert(t, 1), time_limit_seconds=60)
    assert numbers(db) == [1]


def test_deadline_and_time_left(db: Database) -> None:
    assert db.read(lambda t: t.time_left()) == float("inf")
    left = db.read(lambda t: (t.deadline - time.monotonic(), t.time_left()), time_limit_seconds=60)
    assert all(0 < seconds <= 60 for seconds in left)


# ---------------------------------------------------------------- faults


class Failing:
    """An engine that fails with one errno whenever it is asked to."""

    shared = False

    def __init__(self, backend: DocumentBackend) -> None:
        self._backend = backend
        self.Fault = backend.Fault
        self.errno = 0

    def write(self, run: Any, deadline_seconds: float | None, *, any_thread: bool = False) -> Any:
        if self.errno:
            raise self.Fault(self.errno, "the engine's words")
        return self._backend.write(run, deadline_seconds, any_thread=any_thread)

    @contextmanager
    def read(self, deadline: float | None) -> Iterator[Any]:
        with self._backend.read(deadline) as reading:
            yield reading
            if self.errno:
                raise self.Fault(self.errno, "the engine's words")

    def statistics(self) -> dict[str, Any]:
        return self._backend.statistics()

    def close(self) -> None:
        self._backend.close()


@pytest.mark.parametrize(
    ("number", "kind", "status"),
    [
        (errno.ENOSPC, StorageFullError, 507),
        (errno.EROFS, StorageUnavailableError, 503),
        (errno.EAGAIN, StorageUnavailableError, 503),
        (errno.EILSEQ, StorageUnavailableError, 503),
        (errno.EIO, StorageUnavailableError, 503),
        (errno.ETIME, DeadlineError, 408),
    ],
)
def test_faults_become_our_errors(number: int, kind: type[Any], status: int) -> None:
    engine = Failing(DocumentBackend(":memory:"))
    db = Database(engine)
    engine.errno = number
    for transact in (db.read, db.write):
        with pytest.raises(kind) as caught:
            transact(lambda t: None)
        assert type(caught.value) is kind
        assert caught.value.status == status
    db.close()


def test_an_engine_that_cannot_open() -> None:
    engine = Failing(DocumentBackend(":memory:"))
    engine.errno = errno.EIO
    with pytest.raises(DataDirectoryError, match="cannot be opened: the engine's words"):
        Database(engine)
    engine.close()


def test_an_engine_may_run_a_transaction_again() -> None:
    class Again(Failing):
        def write(self, run: Any, deadline_seconds: float | None, *, any_thread: bool = False) -> Any:
            def twice(engine: Any) -> Any:
                with pytest.raises(ZeroDivisionError):
                    with engine.nested():
                        run(engine)
                        raise ZeroDivisionError
                return run(engine)

            return self._backend.write(twice, deadline_seconds)

    db = Database(Again(DocumentBackend(":memory:")))
    called: list[str] = []

    def run(t: Transaction) -> None:
        assert t.documents_written == t.scheduled == 0
        t.scheduled += 1
        insert(t, 1)
        t.after_commit(lambda: called.append("commit"))
        t.after_rollback(lambda: called.append("rollback"))

    db.write(run)
    assert called == ["rollback", "commit"]
    assert numbers(db) == [1]
    db.close()


def test_a_document_whose_text_is_damaged(db: Database) -> None:
    id = db.write(lambda t: insert(t, 1))
    db.write(lambda t: t.engine.put(id, "items", '{"n":', (), ()))
    with pytest.raises(StorageUnavailableError, match=f"document {id} is damaged"):
        numbers(db)


# ---------------------------------------------------------------- the rest


def test_the_secret_and_the_documents_outlive_the_process(
    open_database: Callable[..., Database], tmp_path: Path
) -> None:
    location = str(tmp_path / "data" / "app.db")
    first = open_database(location=location)
    first.write(lambda t: insert(t, 1))
    first.close()
    second = open_database(location=location)
    assert second.secret == first.secret and len(second.secret) == 32
    assert numbers(second) == [1]
    assert open_database().secret != first.secret


def test_the_secret_cannot_be_read_through_the_tables(db: Database) -> None:
    for view in (lambda t: t.db, lambda t: t.db.system, lambda t: t.system):
        with pytest.raises(DocumentError):
            db.read(lambda t, view=view: view(t).query("_settings"))  # type: ignore[misc]


def test_pinned_snapshots(db: Database) -> None:
    db.write(lambda t: insert(t, 1))
    at = db.pin()
    db.write(lambda t: insert(t, 2))
    later = db.pin()
    assert at < later
    read = lambda at: db.read(lambda t: [d["n"] for d in t.db.query("items").collect()], at=at)
    assert (read(at), read(later), read(at), numbers(db)) == ([1], [1, 2], [1], [1, 2])
    with pytest.raises(DocumentError) as caught:
        read(at - 1)
    assert caught.value.code == "SnapshotTooOld"


def test_a_checked_system_table(open_database: Callable[..., Database]) -> None:
    db = open_database(Schema(), system={"_keys": Table({"hash": v.bytes()}).index("by_hash", ["hash"])})
    db.write(lambda t: t.system.insert("_keys", {"hash": b"x"}))
    found = db.read(
        lambda t: t.system.query("_keys").with_index("by_hash", lambda q: q.eq("hash", b"x")).unique()
    )
    assert found["hash"] == b"x"
