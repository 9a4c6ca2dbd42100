# SPDX-License-Identifier: MIT
"""Copies the blobs of one store into another, streamed, checked, and resumed by being run again.

A `put` is whole or not there, so what the target has is done. Each copy is read back before it counts. Keys
do not change, so the documents stay as they are. Knows stores, not where they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from .measured import Measured, blocks_of, size_of

if TYPE_CHECKING:
    from .backend import FileBackend


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
        size_bytes = size_of(source, key)
        if size_bytes is None:  # deleted since it was listed
            continue
        there_bytes = size_of(target, key)
        if there_bytes is None:
            result = "copied" if _copy(source, target, key, recorded.get(key)) else "damaged"
        else:
            result = "present" if there_bytes == size_bytes else "damaged"
        yield Outcome(key, size_bytes, result)


def _copy(source: FileBackend, target: FileBackend, key: str, recorded: bytes | None) -> bool:
    read = Measured(blocks_of(source, key))
    target.put(key, read)
    digest = Measured(blocks_of(target, key)).to_the_end().sha256.digest()
    if digest == read.sha256.digest() and recorded in (None, digest):
        return True
    target.delete(key)
    return False
