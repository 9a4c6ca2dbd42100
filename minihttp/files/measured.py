# SPDX-License-Identifier: MIT
"""Bytes on their way, measured: how many went by, and their SHA-256; and the blobs of any store as bytes.

Knows no documents.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING

from .. import hashing

if TYPE_CHECKING:
    from .backend import FileBackend

_BLOCK_BYTES = 1024 * 1024


class Measured:
    """Passes chunks on.

    Attributes:
        size_bytes: how many bytes went by so far.
        sha256: their hash.
    """

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks
        self.size_bytes = 0
        self.sha256 = hashing.hashlib.sha256()

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self.sha256.update(chunk)
            self.size_bytes += len(chunk)
            yield chunk

    def to_the_end(self) -> Measured:
        """Let all of them go by, and keep none."""
        for _ in self:
            pass
        return self


def blocks_of(store: FileBackend, key: str) -> Iterator[bytes]:
    """The bytes of a blob; FileNotFoundError where there is no such blob."""
    with closing(store.open(key)) as blob:
        yield from iter(lambda: blob.read(_BLOCK_BYTES), b"")


def size_of(store: FileBackend, key: str) -> int | None:
    """How many bytes a blob has, or None where there is no such blob."""
    try:
        with closing(store.open(key)) as blob:
            return blob.size
    except FileNotFoundError:
        return None
