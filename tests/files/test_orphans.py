# SPDX-License-Identifier: MIT
"""A store that several processes share: keys with their time, deletions in the commit, sweeps without a list.

The store is obstore's own in memory, which lists and reads as the S3 client does.
"""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("obstore", reason="the extra s3 is not installed")

from minihttp.data.database import Database
from minihttp.errors import StorageUnavailableError
from minihttp.files.orphans import PUTTING_SECONDS
from minihttp.files.storage import FILE_TABLES, FileStore
from storage_backends import object_store
from storage_backends.sqlite import DocumentBackend
from tests.contracts.documents import together

from .conftest import OBJECTS, Clock, Place
from .stored import blobs, read


class Counted(object_store.FileBackend):
    """Counts the keys that are listed, and fails to delete while it is told to."""

    listed = 0
    fails = False

    def __init__(self, bucket: Any) -> None:
        self.client = lambda *place, **settings: bucket
        super().__init__("//bucket")

    def list(self, since: str = "") -> Iterator[tuple[str, float]]:
        for found in super().list(since):
            self.listed += 1
            yield found

    def delete(self, key: str) -> None:
        if self.fails:
            raise self.Fault(errno.EIO, "no answer")
        super().delete(key)


class Machine:
    """The file store of one process among others, on one database and one bucket."""

    def __init__(self, database: Database, bucket: Any, clock: Clock, **options: Any) -> None:
        self.backend = Counted(bucket)
        self.store = FileStore(self.backend, database, clock=clock, **options)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def machine(tmp_path: Path, clock: Clock) -> Iterator[Callable[..., Machine]]:
    from obstore.store import MemoryStore

    bucket = MemoryStore()
    database = Database(DocumentBackend(f"{tmp_path}/app.db"), system=FILE_TABLES, clock=clock)
    made: list[Machine] = []

    def make(**options: Any) -> Machine:
        made.append(Machine(database, bucket, clock, **options))
        return made[-1]

    yield make
    for one in made:
        one.store.close()
    database.close()


def rows(store: FileStore, table: str) -> list[Any]:
    return store.database.read(lambda transaction: transaction.system.query(table).collect())


def put_orphan(machine: Machine) -> str:
    """What a crash between the blob and its commit leaves."""
    return str(machine.store.put(b"orphan", None, None)["key"])


def test_a_key_begins_with_its_second(machine: Any, clock: Clock) -> None:
    store = machine().store
    id = store.outside().store(b"x")
    [key] = blobs(store)
    assert int(key[:8], 16) == int(clock.now)
    assert len(key) == 32
    url = store.outside().get_url(id)
    assert url is not None and url.replace("-", "").endswith(key)


def test_a_start_sweeps_nothing_that_another_process_is_putting(machine: Any, clock: Clock) -> None:
    first = machine()
    first.store.mark()
    key = put_orphan(first)
    clock.now += 3_600
    second = machine()
    second.store.mark()
    assert second.store.sweep() == 0
    assert blobs(first.store) == [key]


def test_an_orphan_goes_after_a_day_and_no_key_is_looked_at_twice(machine: Any, clock: Clock) -> None:
    one = machine()
    one.store.mark()
    kept = [one.store.outside().store(b"kept") for _ in range(20)]
    orphans = [put_orphan(one) for _ in range(3)]
    clock.now += PUTTING_SECONDS + 2
    young = put_orphan(one)
    other = machine()
    assert other.store.sweep() == 3
    assert not set(orphans) & set(blobs(one.store))
    assert young in blobs(one.store)
    assert all(read(one.store, id) == b"kept" for id in kept)
    listed = other.backend.listed
    assert listed <= 20 + 3 + 2  # the mark, and the first key that is too young
    assert other.store.sweep() == 0
    assert other.backend.listed <= listed + 1
    clock.now += PUTTING_SECONDS + 2
    assert machine().store.sweep() == 1
    assert young not in blobs(one.store)


def test_more_orphans_than_one_transaction_looks_up(machine: Any, clock: Clock) -> None:
    one = machine()
    one.store.mark()
    for _ in range(1_100):
        put_orphan(one)
    clock.now += PUTTING_SECONDS + 2
    assert one.store.sweep() == 1_100


def test_a_deletion_is_noted_in_its_commit_until_the_bytes_are_gone(machine: Any) -> None:
    one = machine()
    one.store.mark()
    ids = [one.store.outside().store(b"x") for _ in range(3)]
    one.backend.fails = True
    one.store.outside().delete(ids[0])
    assert len(rows(one.store, "_file_deletions")) == 1
    assert len(blobs(one.store)) == 3

    def fail(transaction: Any) -> None:
        one.store.writer(transaction).delete(ids[1])
        raise KeyError

    with pytest.raises(KeyError):
        one.store.database.write(fail)
    assert len(rows(one.store, "_file_deletions")) == 1
    with pytest.raises(StorageUnavailableError, match="cannot sweep the file store"):
        one.store.sweep()
    other = machine()  # the first process has died
    assert other.store.sweep() == 1
    assert rows(one.store, "_file_deletions") == []
    assert len(blobs(one.store)) == 2
    one.backend.fails = False
    one.store.outside().delete(ids[1])
    assert (len(blobs(one.store)), rows(one.store, "_file_deletions")) == (1, [])


def test_processes_that_remove_the_same_deletions(machine: Any) -> None:
    machines = [machine() for _ in range(4)]
    store = machines[0].store
    store.mark()
    for one in machines:
        one.backend.fails = True
    for _ in range(40):
        store.outside().delete(store.outside().store(b"x"))
    for one in machines:
        one.backend.fails = False
    together([one.store.sweep for one in machines])
    assert (blobs(store), rows(store, "_file_deletions")) == ([], [])


def test_the_sweeper_removes_what_is_deleted_and_others_need_not_wait_for_it(machine: Any) -> None:
    one = machine(lease=lambda seconds: False)
    one.store.mark()
    id = one.store.outside().store(b"x")
    one.store.sweep_in_background()
    one.store.outside().delete(id)
    end = time.monotonic() + 60
    while rows(one.store, "_file_deletions") or blobs(one.store):
        assert time.monotonic() < end
        threading.Event().wait(0.01)


def test_first_starts_at_once_make_one_mark(machine: Any) -> None:
    stores = [machine().store for _ in range(8)]
    keys: list[str] = []
    together([lambda store=store: keys.append(store.mark()) for store in stores])
    assert len(set(keys)) == 1
    assert len(rows(stores[0], "_file_stores")) == 1
    assert [key for key, _ in stores[0].backend.list()] == keys[:1]


def test_a_folder_that_several_machines_mount_keeps_what_is_younger_than_a_day(tmp_path: Path) -> None:
    """Documents are shared, and somebody has named the folder: a blob may be of another process's upload."""
    place = Place(tmp_path, "filesystem")
    store = place.open()
    store.mark()
    store.database.shared = True
    store.backend.put("0" * 32, [b"of another process"])
    store._opened_at = time.time() + 3_600
    assert store.sweep() == 0
    store._opened_at = time.time() + PUTTING_SECONDS + 3_600
    assert store.sweep() == 1
    place.close(store)


# ---------------------------------------------------------------- redirects


@pytest.mark.parametrize("size", [9, 10])
def test_a_large_file_is_asked_for_elsewhere(tmp_path: Path, size: int) -> None:
    from .conftest import Web, endpoint

    place = Place(tmp_path, OBJECTS)
    place.open_files = partial(place.open_files, redirect="10")  # type: ignore[method-assign]
    store = place.open()

    signed: list[str] = []

    def sign(key: str, size_bytes: int) -> str | None:  # the store in memory has no addresses
        signed.append(key)
        return f"https://bucket.example/{key}" if size_bytes >= 10 else None

    store.backend.signed_url = sign  # type: ignore[method-assign]
    web = Web(endpoint(store))
    url = store.outside("http://testserver").get_url(store.outside().store(b"x" * size))
    assert url is not None
    [key] = blobs(store)
    for range_header in ({}, {"Range": "bytes=0-1"}):
        reply = web.get(url, **range_header)
        if size < 10:
            assert reply.status in (200, 206)
        else:
            assert (reply.status, reply.body) == (302, b"")
            assert reply.headers["location"] == f"https://bucket.example/{key}"
            assert reply.headers["cache-control"] == "no-store"
    assert len(signed) == 2
    etag = web("HEAD", url).headers["etag"]
    assert web("HEAD", url).status == 200  # the app knows size and digest
    assert web.get(url, If_None_Match=etag).status == 304
    assert len(signed) == 2
    place.close(store)
