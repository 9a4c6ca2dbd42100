# SPDX-License-Identifier: MIT
"""SIGKILL at random moments of uploads, deletes and recovery: what was acknowledged is there, and no more.

A moment is so many journal lines after the start, and a little later: then a slow machine gets as far.

The child is forked, so a round costs what its work costs. Each journal line is one write to a pipe, which
outlives the child: "=" after an upload, "-" before a delete, "~" after it.
"""

from __future__ import annotations

import hashlib
import os
import random
import select
import signal
import sqlite3
import threading
import warnings
from typing import Any

import pytest

from minihttp.files.storage import FileStore

ROUNDS = 16  # of each backend
THREADS = 3
PATIENCE_SECONDS = 60  # a forked child that hangs is killed too


def work(place: Any, seed: int, journal: int) -> None:
    """Store and delete for ever; the child's whole life."""
    store = place.open()
    store.sweep()
    threads = [
        threading.Thread(target=one_client, args=(store, seed * THREADS + n, journal)) for n in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def one_client(store: FileStore, seed: int, journal: int) -> None:
    chance, mine = random.Random(seed), []
    while True:
        if mine and chance.random() < 0.3:
            id = mine.pop(chance.randrange(len(mine)))
            os.write(journal, f"- {id}\n".encode())
            store.outside().delete(id)
            os.write(journal, f"~ {id}\n".encode())
            continue
        data = chance.randbytes(chance.choice([0, 100, 70_000, 2_500_000]))
        source = (data[at : at + 50_000] for at in range(0, len(data), 50_000))
        if chance.random() < 0.5:
            id = store.outside().store(source)
        else:
            id = store.database.write(lambda transaction, s=source: store.writer(transaction).store(s))
        os.write(journal, f"= {id} {hashlib.sha256(data).hexdigest()}\n".encode())
        mine.append(id)


def run_and_kill(place: Any, seed: int, after_lines: int, after_seconds: float) -> list[str]:
    """One life of the child; returns its journal."""
    reading, writing = os.pipe()
    # A thread that an earlier test left does not matter: the child starts its own
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        try:
            work(place, seed, writing)
        finally:
            os._exit(1)
    os.close(writing)
    text = b""
    while text.count(b"\n") < after_lines and select.select([reading], [], [], PATIENCE_SECONDS)[0]:
        text += os.read(reading, 65_536)
    threading.Event().wait(after_seconds)
    os.kill(child, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL, text[-1_000:]
    while more := os.read(reading, 65_536):
        text += more
    os.close(reading)
    return text.decode().splitlines()


def check(place: Any, journals: list[str], stored: dict[str, str], perhaps_deleted: set[str]) -> None:
    for line in journals:
        mark, id, *digest = line.split()
        if mark == "=":
            stored[id] = digest[0]
        elif mark == "-":
            perhaps_deleted.add(id)
        else:
            assert stored.pop(id)
    store = place.open()
    store.sweep()
    documents = store.database.read(lambda transaction: transaction.system.query("_storage").collect())
    found = {}
    for document in documents:  # no metadata without bytes
        with store.outside().get(document["_id"]) as file:
            found[document["_id"]] = hashlib.sha256(file.read()).hexdigest()
            assert file.sha256 == found[document["_id"]]
    for id, digest in stored.items():  # everything acknowledged
        assert found.get(id) == digest or (id not in found and id in perhaps_deleted)
    keys = {document["key"] for document in documents} | {store.mark()}
    assert {key for key, _ in store.backend.list()} == keys  # no orphan
    place.close(store)
    if place.kind == "filesystem":
        assert os.listdir(place.path / "files" / "incoming") == []
    else:
        connection = sqlite3.connect(place.path / "files.db")
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("SELECT count(*) FROM blobs WHERE size IS NULL").fetchall() == [(0,)]
        strays = "SELECT count(*) FROM chunks WHERE place >> 24 NOT IN (SELECT number FROM blobs)"
        assert connection.execute(strays).fetchall() == [(0,)]
        connection.close()


@pytest.mark.sqlite  # the sweep at a start, which a shared database does not have
def test_kill_at_random_moments(local_place: Any) -> None:
    place = local_place
    chance, stored, perhaps_deleted = random.Random(4), {}, set()
    for seed in range(ROUNDS):
        lines = run_and_kill(place, seed, chance.randrange(12), chance.uniform(0.002, 0.03))
        check(place, lines, stored, perhaps_deleted)
    assert len(stored) > ROUNDS, "too few uploads between two kills to prove anything"
