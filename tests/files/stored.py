# SPDX-License-Identifier: MIT
"""What the tests of files share: what a store holds, rows and blobs."""

from __future__ import annotations

from typing import Any

from minihttp.files.storage import FileStore

DATA = b"What a lovely day for a file." * 1_000


def blobs(store: FileStore) -> list[str]:
    """Every blob but the mark."""
    marks = store.database.read(lambda transaction: transaction.system.query("_file_stores").collect())
    return sorted({key for key, _ in store.backend.list()} - {mark["key"] for mark in marks})


def documents(store: FileStore) -> list[dict[str, Any]]:
    return store.database.read(lambda transaction: transaction.system.query("_storage").collect())


def read(store: FileStore, id: str) -> bytes:
    file = store.outside().get(id)
    assert file is not None
    with file:
        return file.read()


def is_empty(store: FileStore) -> bool:
    return documents(store) == [] and blobs(store) == []
