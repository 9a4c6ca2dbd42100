# SPDX-License-Identifier: MIT
"""`ctx.storage` in a transaction: what it stores and deletes holds by the rules of that transaction."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from minihttp.errors import DeadlineError
from minihttp.files.storage import FileStore
from tests.contracts.documents import in_a_thread
from tests.files.stored import DATA, blobs, documents, is_empty, read
from tests.interrupts import STEP, Interrupt, interrupted_after


def test_a_mutation_that_stores(store: FileStore) -> None:
    id = store.database.write(lambda transaction: store.writer(transaction).store(DATA))
    assert read(store, id) == DATA


def test_a_mutation_that_stores_and_raises_leaves_nothing(store: FileStore) -> None:
    def run(transaction: Any) -> None:
        id = store.writer(transaction).store(DATA)
        assert store.writer(transaction).get_url(id)
        assert len(list(store.backend.list())) == 1
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.database.write(run)
    assert is_empty(store)


def test_a_sub_transaction_that_stores_and_raises_leaves_nothing(store: FileStore) -> None:
    def inner(transaction: Any) -> None:
        store.writer(transaction).store(b"inner")
        raise ZeroDivisionError

    def run(transaction: Any) -> str:
        with pytest.raises(ZeroDivisionError):
            transaction.nested(lambda: inner(transaction))
        return store.writer(transaction).store(DATA)

    id = store.database.write(run)
    assert [document["_id"] for document in documents(store)] == [id]
    assert len(blobs(store)) == 1
    assert read(store, id) == DATA


def test_a_mutation_that_deletes_and_raises_leaves_everything(store: FileStore) -> None:
    id = store.outside().store(DATA)

    def run(transaction: Any) -> None:
        store.writer(transaction).delete(id)
        assert store.writer(transaction).get_url(id) is None
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.database.write(run)
    assert read(store, id) == DATA


@pytest.mark.parametrize("fails", [True, False])
def test_a_mutation_that_stores_and_deletes_leaves_nothing(store: FileStore, fails: bool) -> None:
    def run(transaction: Any) -> None:
        storage = store.writer(transaction)
        storage.delete(storage.store(DATA))
        if fails:
            raise ZeroDivisionError

    if fails:
        with pytest.raises(ZeroDivisionError):
            store.database.write(run)
    else:
        store.database.write(run)
    assert is_empty(store)


@pytest.mark.parametrize("outside", [True, False])
def test_an_interrupt_anywhere_leaves_no_document_without_its_file(store: FileStore, outside: bool) -> None:
    def put() -> None:
        if outside:
            store.outside().store(b"x")
        else:
            store.database.write(lambda t: store.writer(t).store(b"x"))

    def put_after(calls: int) -> None:
        # inside of SQLite's progress handler an interrupt looks like a deadline
        with suppress(Interrupt, DeadlineError), interrupted_after(calls):
            put()
            finished.append(calls)

    put()
    finished: list[int] = []
    calls = 0
    while not finished:
        calls += STEP
        in_a_thread(partial(put_after, calls))
    ids = store.database.read(lambda t: [row["_id"] for row in t.system.query("_storage")])
    assert len(ids) > 2 and calls > len(ids)  # some interrupts came before the commit, some after
    for id in ids:
        file = store.outside().get(id)
        assert file is not None and file.read() == b"x"
        file.close()


def test_the_context_is_the_permission(store: FileStore) -> None:
    class Call:
        origin = "https://files.example"

    def names(storage: Any) -> set[str]:
        return {name for name in dir(storage) if not name.startswith("_")}

    read = {"get_url", "get_metadata"}
    write = read | {"store", "delete", "generate_upload_url"}
    assert store.database.read(lambda transaction: names(store.storage(transaction, Call, False))) == read
    assert store.database.write(lambda transaction: names(store.storage(transaction, Call, True))) == write
    assert store.database.write(lambda transaction: names(store.storage(transaction, Call, False))) == read
    assert names(store.storage(None, Call, True)) == write | {"get"}
    id = store.outside().store(DATA)
    assert (store.storage(None, Call, True).get_url(id) or "").startswith(
        "https://files.example/api/storage/"
    )
