# SPDX-License-Identifier: MIT
"""Copying one store into another, and resuming after whatever went wrong."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from minihttp.app.backends import open_files
from minihttp.files.copying import copy_blobs
from tests.contracts.files import pattern, read_all

BLOBS = {f"{size:032x}": pattern(size) for size in (0, 1, 65_536, 3_000_000)}


@pytest.fixture(params=["filesystem sqlite", "sqlite filesystem"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Any, Any]]:
    opened = [open_files(f"{scheme}:{tmp_path}/{scheme}") for scheme in request.param.split()]
    for key, data in BLOBS.items():
        opened[0].put(key, [data])
    yield opened[0], opened[1]
    for store in opened:
        store.close()


def results(outcomes: Any) -> Counter[str]:
    return Counter(outcome.result for outcome in outcomes)


def test_every_blob_is_copied_once(stores: tuple[Any, Any]) -> None:
    source, target = stores
    outcomes = list(copy_blobs(source, target))
    assert results(outcomes) == {"copied": 4}
    assert sum(outcome.size_bytes for outcome in outcomes) == sum(map(len, BLOBS.values()))
    assert {key: read_all(target, key) for key, _ in target.list()} == BLOBS
    assert results(copy_blobs(source, target)) == {"present": 4}


def test_resuming(stores: tuple[Any, Any]) -> None:
    source, target = stores
    outcomes = copy_blobs(source, target)
    next(outcomes)
    next(outcomes)
    outcomes.close()  # type: ignore[attr-defined]
    assert results(copy_blobs(source, target)) == {"present": 2, "copied": 2}


class BreaksOnce:
    """A store whose disk fails in the middle of the third blob."""

    def __init__(self, store: Any) -> None:
        self.store, self.puts = store, 0
        self.open, self.delete = store.open, store.delete

    def put(self, key: str, chunks: Any) -> None:
        self.puts += 1
        self.store.put(key, chunks if self.puts != 3 else self.broken(chunks))

    def broken(self, chunks: Any) -> Iterator[bytes]:
        yield from chunks
        raise OSError("the disk is gone")


def test_resuming_after_a_fault(stores: tuple[Any, Any]) -> None:
    source, target = stores
    with pytest.raises(OSError, match="the disk is gone"):
        list(copy_blobs(source, BreaksOnce(target)))  # type: ignore[arg-type]
    assert results(copy_blobs(source, target)) == {"present": 2, "copied": 2}


def test_damage_is_found_and_not_copied(stores: tuple[Any, Any]) -> None:
    source, target = stores
    recorded = {key: hashlib.sha256(data).digest() for key, data in BLOBS.items()}
    damaged = f"{65_536:032x}"
    recorded[damaged] = hashlib.sha256(b"what was acknowledged").digest()
    outcomes = list(copy_blobs(source, target, recorded))
    assert results(outcomes) == {"copied": 3, "damaged": 1}
    assert damaged not in dict(target.list())


def test_another_blob_under_the_same_key(stores: tuple[Any, Any]) -> None:
    source, target = stores
    target.put(f"{1:032x}", [b"longer"])
    assert results(copy_blobs(source, target)) == {"copied": 3, "damaged": 1}
    assert read_all(target, f"{1:032x}") == b"longer"
