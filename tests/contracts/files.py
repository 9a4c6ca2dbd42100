# SPDX-License-Identifier: MIT
"""What every file backend must do: its test file inherits `FileBackendContract` and says how to open one."""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
import random
import shutil
import tempfile
import threading
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

KEY = "0123456789abcdef0123456789abcdef"
OTHER = "fedcba9876543210fedcba9876543210"
CHUNK_BYTES = 64 * 1024
MIB = 1024 * 1024
FOREIGN_KEYS = [
    "",
    "..",
    "../../etc/passwd",
    "/etc/passwd",
    KEY[:-1],
    KEY + "0",
    KEY + "\n",
    KEY.upper(),
    KEY[:-1] + "/",
    KEY[:-1] + "\0",
    KEY[:-1] + "٣",  # a digit of another script
    "con",
    KEY[:2] + "/" + KEY[3:],
    "' OR 1=1 --",
]


def pattern(size: int) -> bytes:
    """Bytes in which every position can be told from its neighbours."""
    return random.Random(size).randbytes(size)


def read_all(
    backend: Any, key: str, start: int = 0, stop: int | None = None, step: int = CHUNK_BYTES
) -> bytes:
    blob = backend.open(key, start, stop)
    try:
        return b"".join(iter(lambda: blob.read(step), b""))
    finally:
        blob.close()


def nameless_file(folder: str | None) -> Any:
    """A file as a server spools it: in the folder that the store asked for, or anywhere."""
    if folder is None:
        return tempfile.TemporaryFile()
    return os.fdopen(os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o600), "w+b", buffering=0)


class FileBackendContract:
    """Subclasses override `open_backend(place)`; `place` is a path that does not exist yet."""

    backend: Any
    place: str

    def open_backend(self, place: str) -> Any:
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def _opened(self, tmp_path: Any) -> Iterator[None]:
        self.place = str(tmp_path / "store")
        self.backend = self.open_backend(self.place)
        yield
        self.backend.close()
        for path in tmp_path.glob("store*"):  # hundreds of MB, which pytest would keep
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    # ------------------------------------------------------------ put and open

    @pytest.mark.parametrize(
        "size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, MIB - 1, MIB, MIB + 1, 3 * MIB + 17]
    )
    @pytest.mark.parametrize("piece", [1000, CHUNK_BYTES, 10 * MIB])
    def test_gives_back_what_was_put(self, size: int, piece: int) -> None:
        data = pattern(size)
        self.backend.put(KEY, (data[at : at + piece] for at in range(0, size, piece)))
        blob = self.backend.open(KEY)
        assert blob.size == size
        assert blob.read() == data
        assert blob.read() == blob.read(1) == b""
        blob.close()
        assert read_all(self.backend, KEY, step=777_777) == data

    def test_takes_any_kind_of_chunks(self) -> None:
        self.backend.put(KEY, [b"", bytearray(b"one"), b"", memoryview(b"two"), b""])
        assert read_all(self.backend, KEY) == b"onetwo"

    def test_survives_closing_and_opening(self) -> None:
        self.backend.put(KEY, [pattern(MIB)])
        self.backend.close()
        self.backend = self.open_backend(self.place)
        assert read_all(self.backend, KEY) == pattern(MIB)

    def test_256_mib_stream_in_and_out_in_constant_memory(self) -> None:
        block = pattern(MIB)
        tracemalloc.start()
        try:
            self.backend.put(KEY, itertools.repeat(block, 256))
            digest, size = hashlib.sha256(), 0
            blob = self.backend.open(KEY)
            for data in iter(lambda: blob.read(MIB), b""):
                digest.update(data)
                size += len(data)
            blob.close()
            peak_bytes = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        expected = hashlib.sha256()
        for _ in range(256):
            expected.update(block)
        assert (size, digest.digest()) == (256 * MIB, expected.digest())
        assert peak_bytes < 16 * MIB

    def test_a_nameless_file_may_be_taken_over(self) -> None:
        """Whether a store does so or copies it: what the blob gives is what was in the file."""
        data = pattern(3 * MIB)
        for key, folder in ((KEY, self.backend.spool_folder), (OTHER, None)):
            with nameless_file(folder) as file:
                file.write(data)
                file.seek(0)
                self.backend.put(key, iter(lambda f=file: f.read(CHUNK_BYTES), b""), file.fileno())
            assert read_all(self.backend, key) == data

    def test_a_nameless_file_that_is_refused_leaves_nothing(self) -> None:
        def refuse() -> Iterator[bytes]:
            yield b"some"
            raise ZeroDivisionError

        with nameless_file(self.backend.spool_folder) as file:
            file.write(b"some")
            with pytest.raises(ZeroDivisionError):
                self.backend.put(KEY, refuse(), file.fileno())
        assert list(self.backend.list()) == []
        assert self.backend.sweep_temporary(float("inf")) == 0

    # ------------------------------------------------------------ ranges

    @pytest.mark.parametrize(
        ("start", "stop"),
        [
            *[(0, 0), (0, 1), (20, 30), (CHUNK_BYTES - 1, CHUNK_BYTES + 1), (MIB - 5, MIB + 5), (0, None)],
            *[(2 * MIB - 1, None), (2 * MIB, None), (2 * MIB, 2 * MIB), (1, 2 * MIB)],
        ],
    )
    def test_range(self, start: int, stop: int | None) -> None:
        data = pattern(2 * MIB)
        self.backend.put(KEY, [data])
        blob = self.backend.open(KEY, start, stop)
        assert blob.size == len(data[start:stop])
        blob.close()
        assert read_all(self.backend, KEY, start, stop, step=4096) == data[start:stop]

    def test_any_range_in_steps_of_any_size(self) -> None:
        data = pattern(MIB + 100)
        self.backend.put(KEY, [data])
        edges = st.integers(0, len(data))

        @settings(max_examples=60, deadline=None)
        @given(edges, edges, st.integers(1, 2 * MIB))
        def check(one: int, two: int, step: int) -> None:
            start, stop = sorted((one, two))
            step = max(step, (stop - start) // 50)
            assert read_all(self.backend, KEY, start, stop, step) == data[start:stop]

        check()

    @pytest.mark.parametrize(("start", "stop"), [(0, 11), (11, None), (11, 12), (5, 100)])
    def test_a_blob_that_ends_before_the_range_is_damaged(self, start: int, stop: int | None) -> None:
        self.backend.put(KEY, [b"0123456789"])
        with pytest.raises(self.backend.Fault) as fault:
            self.backend.open(KEY, start, stop)
        assert fault.value.errno == errno.EIO

    def test_can_be_sought_like_a_file(self) -> None:
        data = pattern(MIB)
        self.backend.put(KEY, [data])
        blob = self.backend.open(KEY, 1000, 900_000)
        assert blob.seek(0, os.SEEK_END) == blob.tell() == blob.size == 899_000
        assert blob.seek(500) == 500
        assert blob.read(100) == data[1500:1600]
        assert blob.seek(-50, os.SEEK_CUR) == 550
        assert blob.read() == data[1550:900_000]
        blob.close()

    # ------------------------------------------------------------ what is not there

    def test_missing_blob(self) -> None:
        with pytest.raises(FileNotFoundError):
            self.backend.open(KEY)
        self.backend.delete(KEY)

    def test_delete(self) -> None:
        self.backend.put(KEY, [b"one"])
        self.backend.put(OTHER, [b"two"])
        self.backend.delete(KEY)
        self.backend.delete(KEY)
        with pytest.raises(FileNotFoundError):
            self.backend.open(KEY)
        assert read_all(self.backend, OTHER) == b"two"
        assert [key for key, _ in self.backend.list()] == [OTHER]

    @pytest.mark.parametrize("key", FOREIGN_KEYS)
    def test_foreign_keys_are_refused(self, key: str) -> None:
        for call in (self.backend.open, self.backend.delete, lambda k: self.backend.put(k, [b"x"])):
            with pytest.raises(ValueError, match="not a blob key"):
                call(key)
        assert list(self.backend.list()) == []

    # ------------------------------------------------------------ nothing half done

    @pytest.mark.parametrize("pieces_before", [0, 1, 40])
    def test_a_source_that_fails_leaves_nothing(self, pieces_before: int) -> None:
        def source() -> Iterator[bytes]:
            yield from itertools.repeat(pattern(CHUNK_BYTES), pieces_before)
            raise ConnectionResetError("the client left")

        with pytest.raises(ConnectionResetError, match="the client left"):
            self.backend.put(KEY, source())
        assert list(self.backend.list()) == []
        assert self.backend.sweep_temporary(float("inf")) == 0
        with pytest.raises(FileNotFoundError):
            self.backend.open(KEY)
        self.backend.put(KEY, [b"again"])
        assert read_all(self.backend, KEY) == b"again"

    def test_a_blob_is_not_there_before_put_returns(self) -> None:
        seen: list[object] = []

        def source() -> Iterator[bytes]:
            for _ in range(40):
                yield pattern(CHUNK_BYTES)
                seen.extend(self.backend.list())
                with pytest.raises(FileNotFoundError):
                    self.backend.open(KEY)

        self.backend.put(KEY, source())
        assert seen == []
        assert [key for key, _ in self.backend.list()] == [KEY]

    def test_a_slow_source_holds_up_nobody(self) -> None:
        """Another upload begins and ends while the first one waits for its client."""
        begun, go_on = threading.Event(), threading.Event()

        def slow() -> Iterator[bytes]:
            for _ in range(40):
                yield pattern(CHUNK_BYTES)
            begun.set()
            assert go_on.wait(60)
            yield b"end"

        thread = threading.Thread(target=self.backend.put, args=(KEY, slow()))
        thread.start()
        assert begun.wait(60)
        self.backend.put(OTHER, [b"quick"])
        assert read_all(self.backend, OTHER) == b"quick"
        go_on.set()
        thread.join()
        assert read_all(self.backend, KEY) == pattern(CHUNK_BYTES) * 40 + b"end"

    def test_list_tells_when(self) -> None:
        self.backend.put(KEY, [b"x"])
        self.backend.put(OTHER, [b"x"])
        found = dict(self.backend.list())
        assert sorted(found) == sorted([KEY, OTHER])
        assert all(1.7e9 < modified < 1e11 for modified in found.values())

    def test_list_from_a_key_on(self) -> None:
        keys = [f"{n:032x}" for n in range(5)]
        for key in reversed(keys):
            self.backend.put(key, [b"x"])
        found = [key for key, _ in self.backend.list(keys[2])]
        assert (found if self.backend.shared else sorted(found)) == keys[3:]

    def test_a_url_of_its_own_only_where_one_asks_for_it(self) -> None:
        self.backend.put(KEY, [b"x"])
        assert self.backend.signed_url(KEY, 10**9) is None

    # ------------------------------------------------------------ at the same time

    def test_writers_and_readers_at_once(self) -> None:
        keys = [f"{n:032x}" for n in range(24)]
        failures: list[BaseException] = []

        def work(mine: list[str]) -> None:
            try:
                for key in mine:
                    self.backend.put(key, [pattern(int(key, 16) * 10_000)])
                for key in keys:
                    try:
                        assert read_all(self.backend, key) == pattern(int(key, 16) * 10_000)
                    except FileNotFoundError:
                        assert key not in mine
            except BaseException as failure:
                failures.append(failure)

        threads = [threading.Thread(target=work, args=(keys[n::4],)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert sorted(key for key, _ in self.backend.list()) == keys

    def test_a_reader_of_a_deleted_blob_gets_its_bytes_or_a_fault(self) -> None:
        """Never the bytes of another blob, and never a quiet end."""
        data = pattern(4 * MIB)
        self.backend.put(KEY, [data])
        blob = self.backend.open(KEY)
        got = blob.read(CHUNK_BYTES)
        self.backend.delete(KEY)
        self.backend.put(OTHER, [b"\0" * 4 * MIB])
        try:
            got += blob.read()
        except (self.backend.Fault, FileNotFoundError):
            assert data.startswith(got)
        else:
            assert got == data
        blob.close()
