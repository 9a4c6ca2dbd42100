# SPDX-License-Identifier: MIT
"""A disk that fills up: uploads are refused and leave nothing, and everything else goes on."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest

from minihttp.errors import DataDirectoryError, StorageFullError
from minihttp.files.storage import FileStore
from tests.live import small_disk

from .conftest import FILE_URLS, Place

MIB = 1024 * 1024


@pytest.fixture(params=FILE_URLS)
def disk(request: pytest.FixtureRequest) -> Iterator[Place]:
    """A data directory on a file system of 80 MiB."""
    with small_disk("size=80m") as folder:
        yield Place(folder, request.param)


def upload(store: FileStore, mib: int) -> str:
    return store.outside().store(os.urandom(MIB) for _ in range(mib))


def test_a_disk_that_fills_up(disk: Place) -> None:
    store = disk.open()
    store.sweep()
    small = upload(store, 1)
    for _ in range(3):
        with pytest.raises(StorageFullError):
            upload(store, 100)
        assert store.outside().get_metadata(small)
        assert len(list(store.backend.list())) == 2  # the mark and the small one
    for _ in range(3):
        store.outside().delete(upload(store, 5))
    disk.close(store)


def test_a_read_only_disk(disk: Place) -> None:
    store = disk.open()
    disk.close(store)
    subprocess.run(["mount", "-o", "remount,ro", str(disk.path)], check=True)
    with pytest.raises(DataDirectoryError, match="Read-only file system"):
        disk.open_files()
