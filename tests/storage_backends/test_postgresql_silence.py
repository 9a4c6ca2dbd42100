# SPDX-License-Identifier: MIT
"""A server that is frozen, or behind a line that swallows bytes: it closes nothing and says nothing."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from minihttp import App, HttpRouter
from minihttp.data.database import Database
from minihttp.errors import StorageUnavailableError
from tests.app.asked import call
from tests.contracts.documents import get
from tests.cutting_proxy import CuttingProxy
from tests.postgresql_server import Server, postgresql, schema_for

from .on_a_server import open_backend

Frozen = tuple[Any, CuttingProxy]
LIMIT_SECONDS = 0.2


def increment(w: Any) -> int:
    count = int((w.get("n") or ("", "0"))[1]) + 1
    w.put("n", "t", str(count), (), ())
    return count


@pytest.fixture
def server() -> Server:
    return postgresql()


@pytest.fixture(autouse=True)
def limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short ones."""
    for name in (
        "minihttp.data.database._OUTAGE_SECONDS",
        "storage_backends.postgresql._CONNECTING_SECONDS",
        "storage_backends.postgresql_silence._LOOK_SECONDS",
        "storage_backends.postgresql_tables.ANSWER_SECONDS",
        "storage_backends.postgresql_tables.GRACE_SECONDS",
        "storage_backends.postgresql_writing._COMMIT_SECONDS",
        "storage_backends.postgresql_writers._MAX_OUTAGE_SECONDS",
    ):
        monkeypatch.setattr(name, LIMIT_SECONDS)


@pytest.fixture
def frozen(server: Server, tmp_path: Path) -> Iterator[Frozen]:
    """A database that has answered, and the line to it."""
    proxy = CuttingProxy(server.port)
    backend = open_backend(server.location(schema_for(tmp_path), "connect_timeout=1", port=proxy.port))
    assert [backend.write(increment, None), get(backend, "n")] == [1, ("t", "1")]
    yield backend, proxy
    proxy.flows.set()
    backend.close()
    proxy.close()


@pytest.mark.parametrize("limit_seconds", [LIMIT_SECONDS, None])
def test_nobody_waits_for_ever(frozen: Frozen, limit_seconds: float | None) -> None:
    backend, proxy = frozen
    database = Database(backend)
    id = database.write(lambda t: t.db.insert("hot", {"n": 0}))
    proxy.flows.clear()
    for transact in (database.read, database.write):
        with pytest.raises(StorageUnavailableError):
            transact(lambda t: t.db.get(id), time_limit_seconds=limit_seconds)
    with pytest.raises(StorageUnavailableError):  # which only commits
        database.write(lambda t: t.db.insert("hot", {"n": 1}), time_limit_seconds=limit_seconds)
    proxy.flows.set()
    assert len(database.read(lambda t: t.db.query("hot").collect())) == 1


def test_a_commit_whose_answer_is_swallowed_took_place(
    frozen: Frozen, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend, proxy = frozen
    monkeypatch.setattr("storage_backends.postgresql_writers._MAX_OUTAGE_SECONDS", 60.0)
    proxy.cut("silence")
    flows_again = threading.Timer(1.0, proxy.flows.set)  # several times what it waits for the answer
    flows_again.start()
    assert backend.write(increment, None) == 2
    assert (proxy.cuts, get(backend, "n")) == (1, ("t", "2"))


@pytest.mark.parametrize("ask", ["read", "write"])
def test_a_process_of_the_server_that_is_stopped_is_replaced(frozen: Frozen, ask: str) -> None:
    backend, _ = frozen

    def number(transaction: Any) -> int:
        return int(transaction.execute("SELECT pg_backend_pid()")[0][0])

    def read() -> int:
        with backend.read(None) as reading:
            return number(reading)

    call = read if ask == "read" else lambda: backend.write(number, None)
    stopped = call()
    os.kill(stopped, signal.SIGSTOP)
    try:
        assert call() != stopped
    finally:
        os.kill(stopped, signal.SIGCONT)


def test_that_the_database_does_not_answer_is_what_ready_says(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("minihttp.app.health._STALLED_SECONDS", 0.0)
    monkeypatch.setattr("storage_backends.postgresql_writers._MAX_OUTAGE_SECONDS", 60.0)
    proxy = CuttingProxy(server.port)
    data = f"postgresql:{server.location(schema_for(tmp_path), port=proxy.port)}"
    with App(HttpRouter(), data=data, files=f"filesystem:{tmp_path}/files", workers=0) as app:
        assert call(app, "GET", "/_/ready").status == 200
        proxy.refuses = True
        proxy.break_all()
        waiting = threading.Thread(target=lambda: app.database.write(lambda t: t.engine.get("")))
        waiting.start()
        while not app.database.statistics()["reruns"]:
            assert waiting.is_alive()
            waiting.join(0.01)
        said = [call(app, "GET", "/_/ready").json()["status"] for _ in range(3)]
        proxy.refuses = False
        waiting.join()
    proxy.close()
    assert said == ["the database does not answer"] * 3
