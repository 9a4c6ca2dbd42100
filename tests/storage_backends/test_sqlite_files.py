# SPDX-License-Identifier: MIT
"""Blobs in SQLite: the contract, and what only a database can get wrong."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from storage_backends.sqlite_files import Fault, FileBackend
from tests.contracts.files import KEY, MIB, OTHER, FileBackendContract, pattern, read_all


class TestSqliteFiles(FileBackendContract):
    def open_backend(self, place: str) -> Any:
        return FileBackend(place)

    def rows(self, sql: str) -> list[Any]:
        connection = sqlite3.connect(self.place)
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()

    def test_only_the_owner_may_read(self) -> None:
        self.backend.put(KEY, [b"x"])
        for suffix in ("", "-wal"):
            assert stat.S_IMODE(os.stat(self.place + suffix).st_mode) == 0o600

    def test_a_killed_write_is_swept(self) -> None:
        """As after a kill: some batches of a blob are committed, its size is not."""
        first_batch_is_in, stop = threading.Event(), threading.Event()

        def source() -> Iterator[bytes]:
            yield pattern(MIB) * 2
            first_batch_is_in.set()
            stop.wait(60)
            raise ConnectionResetError

        def upload() -> None:
            with pytest.raises(ConnectionResetError):
                self.backend.put(KEY, source())

        thread = threading.Thread(target=upload)
        thread.start()
        assert first_batch_is_in.wait(60)
        copy = self.place + ".copy"
        with sqlite3.connect(self.place) as here, sqlite3.connect(copy) as there:
            here.backup(there)
        here.close()
        there.close()
        stop.set()
        thread.join()
        after_kill = FileBackend(copy)
        assert list(after_kill.list()) == []
        assert after_kill.sweep_temporary(1_000) == 0
        assert after_kill.sweep_temporary(1e11) == 1
        after_kill.close()
        there = sqlite3.connect(copy)
        assert there.execute(
            "SELECT (SELECT count(*) FROM blobs), (SELECT count(*) FROM chunks)"
        ).fetchall() == [(0, 0)]
        there.close()

    def test_delete_and_failed_writes_leave_no_rows(self) -> None:
        self.backend.put(KEY, [pattern(5 * MIB)])
        self.backend.delete(KEY)
        with pytest.raises(ZeroDivisionError):
            self.backend.put(OTHER, (pattern(3 * MIB) if n else bytes(1 // n) for n in (1, 0)))
        assert self.rows("SELECT count(*) FROM chunks") == self.rows("SELECT count(*) FROM blobs") == [(0,)]

    def test_a_range_reads_only_its_rows(self) -> None:
        """Every other row is damaged, and nobody notices."""
        data = pattern(MIB)
        self.backend.put(KEY, [data])
        connection = sqlite3.connect(self.place)
        connection.execute("DELETE FROM chunks WHERE place % 16 != 3")
        connection.commit()
        connection.close()
        assert read_all(self.backend, KEY, 3 * 65536, 4 * 65536) == data[3 * 65536 : 4 * 65536]
        with pytest.raises(Fault) as fault:
            read_all(self.backend, KEY, 3 * 65536, 4 * 65536 + 1)
        assert fault.value.errno == errno.EIO

    def test_a_number_is_not_used_twice(self) -> None:
        self.backend.put(KEY, [b"x"])
        [(first,)] = self.rows("SELECT number FROM blobs")
        self.backend.delete(KEY)
        self.backend.put(KEY, [b"y"])
        assert self.rows("SELECT number FROM blobs") == [(first + 1,)]

    def test_full_disk(self) -> None:
        self.backend.put(OTHER, [b"before"])
        writer = self.backend._writer
        [(pages,)] = writer.execute("PRAGMA page_count")
        writer.execute(f"PRAGMA max_page_count = {pages + 100}")  # SQLite's own way to be full
        with pytest.raises(Fault) as fault:
            self.backend.put(KEY, [pattern(MIB)] * 10)
        assert fault.value.errno == errno.ENOSPC
        assert read_all(self.backend, OTHER) == b"before"
        assert [key for key, _ in self.backend.list()] == [OTHER]
        assert self.rows("SELECT count(*) FROM chunks") == [(1,)]
        writer.execute("PRAGMA max_page_count = 1000000")
        self.backend.put(KEY, [pattern(MIB)] * 10)
        assert read_all(self.backend, KEY) == pattern(MIB) * 10

    def test_a_second_process_is_kept_out(self) -> None:
        with pytest.raises(Fault, match="is in use by process") as fault:
            FileBackend(self.place)
        assert fault.value.errno == errno.EAGAIN

    def test_a_blob_swept_while_it_is_written_is_a_fault(self) -> None:
        def source() -> Iterator[bytes]:
            yield pattern(2 * MIB)
            assert self.backend.sweep_temporary(float("inf")) == 1

        with pytest.raises(Fault, match="swept away"):
            self.backend.put(KEY, source())
        assert list(self.backend.list()) == []

    def test_after_close(self) -> None:
        self.backend.put(KEY, [b"x"])
        self.backend.close()
        with pytest.raises(Fault):
            self.backend.open(KEY)
        with pytest.raises(Fault):
            self.backend.put(OTHER, [b"x"])


class TestSqliteFilesInMemory(FileBackendContract):
    def open_backend(self, place: str) -> Any:
        return FileBackend(":memory:")

    def test_survives_closing_and_opening(self) -> None:
        """It does not: that is what memory is for."""

    def test_256_mib_stream_in_and_out_in_constant_memory(self) -> None:
        """Not in constant memory, plainly."""


def test_a_place_that_cannot_be_made() -> None:
    with pytest.raises(Fault, match="/dev/null"):
        FileBackend("/dev/null/files.db")


@pytest.mark.parametrize("content", [b"not a database, but long enough to look like something" * 100, None])
def test_another_file_in_its_place(tmp_path: Path, content: bytes | None) -> None:
    place = tmp_path / "files.db"
    if content is None:
        other = sqlite3.connect(place)
        other.execute("CREATE TABLE mine (x)")
        other.close()
    else:
        place.write_bytes(content)
    before = place.read_bytes()
    with pytest.raises(Fault) as fault:
        FileBackend(str(place))
    assert fault.value.errno == errno.EILSEQ
    if content is not None:
        assert place.read_bytes() == before
