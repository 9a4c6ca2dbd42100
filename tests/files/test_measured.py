# SPDX-License-Identifier: MIT
"""What is measured is what went by, whole or in part."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from minihttp.files.measured import Measured, blocks_of, size_of
from storage_backends.filesystem import FileBackend

KEY, OTHER = "a" * 32, "b" * 32


def test_chunks_pass_unchanged_and_are_counted_as_they_go_by() -> None:
    measured = Measured([b"ab", b"", memoryview(b"cde")])  # type: ignore[list-item]
    passing = iter(measured)
    assert next(passing) == b"ab"
    assert (measured.size_bytes, measured.sha256.digest()) == (2, hashlib.sha256(b"ab").digest())
    assert b"".join(passing) == b"cde"
    assert (measured.size_bytes, measured.sha256.digest()) == (5, hashlib.sha256(b"abcde").digest())


def test_to_the_end() -> None:
    measured = Measured(iter([b"ab", b"c"])).to_the_end()
    assert (measured.size_bytes, measured.sha256.hexdigest()) == (3, hashlib.sha256(b"abc").hexdigest())


def test_an_error_of_the_source_gets_through() -> None:
    def source():
        yield b"a"
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        Measured(source()).to_the_end()


def test_the_blobs_of_a_store(tmp_path: Path) -> None:
    store = FileBackend(str(tmp_path / "files"))
    data = bytes(range(256)) * 8_000
    store.put(KEY, [data])
    assert b"".join(blocks_of(store, KEY)) == data
    assert (size_of(store, KEY), size_of(store, OTHER)) == (len(data), None)
    with pytest.raises(FileNotFoundError):
        list(blocks_of(store, OTHER))
    store.close()
