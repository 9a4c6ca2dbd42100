# SPDX-License-Identifier: MIT
"""Copies the blobs of one store into another, streamed, checked, and resumed by being run again.

A `put` is whole or not there, so what the target has is done. Each copy is read back before it counts. Keys
do not change, so the documents stay as they are. Knows stores, not where they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import closing
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .backend import FileBackend

_BLOCK_BYTES = 1024 * 1024


class Outcome(NamedTuple):
    """What became of one blob: "copied", "present" (it was there), or "damaged" (and not copied)."""

    key: str
    size_bytes: int
    result: str


def copy_blobs(
    source: FileBackend, target: FileBackend, recorded: Mapping[str, bytes] = MappingProxyType({})
) -> Iterator[Outcome]:
    """Copy every blob that `target` lacks, and say of each what became of it.

    Args:
        recorded: the SHA-256 that the blob of a key should have, where that is known.

    Raises:
        OSError: the Fault of one of the stores; run again to go on.
    """
    for key, _ in source.list():
        try:
            size_bytes = _size(source, key)
        except FileNotFoundError:  # deleted since it was listed
            continue
        try:
            result = "present" if _size(target, key) == size_bytes else "damaged"
        except FileNotFoundError:
            result = "copied" if _copy(source, target, key, recorded.get(key)) else "damaged"
        yield Outcome(key, size_bytes, result)


def _copy(source: FileBackend, target: FileBackend, key: str, recorded: bytes | None) -> bool:
    digest = hashlib.sha256()

    def hashed() -> Iterator[bytes]:
        for block in _blocks(source, key):
            digest.update(block)
            yield block

    target.put(key, hashed())
    if _sha256(target, key) == digest.digest() and recorded in (None, digest.digest()):
        return True
    target.delete(key)
    return False


def _sha256(store: FileBackend, key: str) -> bytes:
    digest = hashlib.sha256()
    for block in _blocks(store, key):
        digest.update(block)
    return digest.digest()


def _blocks(store: FileBackend, key: str) -> Iterator[bytes]:
    with closing(store.open(key)) as blob:
        yield from iter(lambda: blob.read(_BLOCK_BYTES), b"")


def _size(store: FileBackend, key: str) -> int:
    with closing(store.open(key)) as blob:
        return blob.size
