# SPDX-License-Identifier: MIT
"""Blobs: bytes that are gone, and what storage that fails is called."""

from __future__ import annotations

import os
from typing import Any

import pytest

from minihttp.errors import StorageFullError, StorageUnavailableError
from minihttp.files.storage import FileStore
from tests.files.stored import DATA, blobs, documents


def test_bytes_that_are_missing(store: FileStore, caplog: pytest.LogCaptureFixture) -> None:
    storage = store.outside()
    id = storage.store(DATA)
    store.backend.delete(blobs(store)[0])
    with pytest.raises(StorageUnavailableError, match="are missing"):
        storage.get(id)
    assert id in caplog.text


def test_a_file_deleted_while_it_is_read(store: FileStore) -> None:
    storage = store.outside()
    data = os.urandom(1_000_000)
    id = storage.store(data)
    with storage.get(id) as file:
        got = file.read(1_000)
        storage.delete(id)
        try:
            got += file.read()
        except StorageUnavailableError:
            assert data.startswith(got)
        else:
            assert got == data


class FullBackend:
    """A disk that is full, or broken, however often one tries."""

    shared = False

    class Fault(OSError):
        pass

    def __init__(self, number: int) -> None:
        self.number = number

    def put(self, key: str, chunks: Any, spool: int | None = None) -> None:
        for _ in chunks:
            raise self.Fault(self.number, os.strerror(self.number))


@pytest.mark.parametrize(("number", "error"), [(28, StorageFullError), (5, StorageUnavailableError)])
def test_a_fault_becomes_our_error(store: FileStore, number: int, error: type[Exception]) -> None:
    full = FileStore(FullBackend(number), store.database)  # type: ignore[arg-type]
    with pytest.raises(error, match="cannot store a file: "):
        full.outside().store(DATA)
    assert documents(store) == []
