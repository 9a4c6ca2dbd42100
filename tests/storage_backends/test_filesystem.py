# SPDX-License-Identifier: MIT
"""Blobs as plain files: the contract, and what only a folder can get wrong."""

from __future__ import annotations

import errno
import os
import resource
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from storage_backends.filesystem import Fault, FileBackend
from tests.contracts.files import KEY, OTHER, FileBackendContract, nameless_file, pattern, read_all


class TestFilesystem(FileBackendContract):
    def open_backend(self, place: str) -> Any:
        return FileBackend(place)

    def path(self, key: str = KEY) -> Path:
        return Path(self.place) / key[:2] / key

    def test_only_the_owner_may_read(self) -> None:
        self.backend.put(KEY, [b"x"])
        for folder, _, files in os.walk(self.place):
            assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
            for name in files:
                assert stat.S_IMODE(os.stat(os.path.join(folder, name)).st_mode) == 0o600

    def test_a_nameless_file_is_linked_not_copied(self) -> None:
        with nameless_file(self.backend.spool_folder) as file:
            file.write(b"one")
            self.backend.put(KEY, [b"one"], file.fileno())
            assert os.fstat(file.fileno()).st_ino == self.path().stat().st_ino
        with open(self.path(), "rb") as named:  # a file that somebody else has a name for is copied
            self.backend.put(OTHER, [b"one"], named.fileno())
            assert os.fstat(named.fileno()).st_ino != self.path(OTHER).stat().st_ino

    def test_a_killed_write_is_swept(self) -> None:
        leftover = Path(self.place) / "incoming" / OTHER
        leftover.write_bytes(b"half")
        os.utime(leftover, (1_000, 1_000))
        assert list(self.backend.list()) == []
        assert self.backend.sweep_temporary(1_000) == 0
        assert self.backend.sweep_temporary(1_001) == 1
        assert not leftover.exists()

    def test_what_is_being_written_is_no_leftover(self) -> None:
        """A file's time lags the clock by milliseconds: the sweep at a start took the first upload."""

        def chunks() -> Iterator[bytes]:
            yield b"one"
            assert self.backend.sweep_temporary(time.time() + 60.0) == 0
            yield b"two"

        self.backend.put(KEY, chunks())
        assert read_all(self.backend, KEY) == b"onetwo"

    def test_foreign_files_are_passed_over(self) -> None:
        self.backend.put(KEY, [b"x"])
        for name in ("README", OTHER, KEY + ".bak"):  # OTHER lies in the wrong folder
            (self.path().parent / name).write_text("mine")
        (Path(self.place) / "notes").mkdir()
        (Path(self.place) / "notes" / OTHER).write_text("mine")
        os.symlink("/etc/passwd", self.path().parent / f"{KEY[:-1]}e")
        assert [key for key, _ in self.backend.list()] == [KEY]

    def test_a_link_instead_of_a_blob_is_refused(self, tmp_path: Path) -> None:
        secret = tmp_path / "secret"
        secret.write_text("secret")
        self.backend.put(KEY, [b"x"])
        self.path().unlink()
        self.path().symlink_to(secret)
        with pytest.raises(Fault):
            self.backend.open(KEY)

    def test_a_link_instead_of_a_folder_is_refused(self, tmp_path: Path) -> None:
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        (elsewhere / KEY).write_text("secret")
        (Path(self.place) / KEY[:2]).symlink_to(elsewhere)
        with pytest.raises(Fault):
            self.backend.open(KEY)
        with pytest.raises(Fault):
            self.backend.put(KEY, [b"x"])
        with pytest.raises(Fault):
            self.backend.delete(KEY)
        assert (elsewhere / KEY).read_text() == "secret"
        assert os.listdir(Path(self.place) / "incoming") == []

    def test_the_folder_itself_may_be_a_link(self, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(self.place)
        through_link = FileBackend(str(tmp_path / "link"))
        through_link.put(KEY, [b"x"])
        assert read_all(self.backend, KEY) == b"x"
        through_link.close()

    def test_a_file_cut_short_while_it_is_read_is_a_fault(self) -> None:
        self.backend.put(KEY, [pattern(100_000)])
        blob = self.backend.open(KEY)
        assert len(blob.read(10_000)) == 10_000
        os.truncate(self.path(), 20_000)
        with pytest.raises(Fault) as fault:
            blob.read()
        assert fault.value.errno == errno.EIO
        blob.close()

    def test_only_a_whole_file_has_a_descriptor(self) -> None:
        self.backend.put(KEY, [b"0123456789"])
        whole, part = self.backend.open(KEY), self.backend.open(KEY, 2, 5)
        assert os.fstat(whole.fileno()).st_size == 10
        with pytest.raises(OSError, match="range"):
            part.fileno()
        whole.close()
        part.close()

    def test_full_disk(self) -> None:
        """A file size limit is the full disk that a test can make; SIGXFSZ is ignored by CPython."""
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        self.backend.put(OTHER, [b"before"])
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
        try:
            with pytest.raises(Fault) as fault:
                self.backend.put(KEY, [pattern(60_000)] * 3)
            assert read_all(self.backend, OTHER) == b"before"
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert fault.value.errno == errno.ENOSPC
        assert [key for key, _ in self.backend.list()] == [OTHER]
        assert os.listdir(Path(self.place) / "incoming") == []
        self.backend.put(KEY, [pattern(60_000)] * 3)
        assert read_all(self.backend, KEY) == pattern(60_000) * 3


@pytest.mark.parametrize(
    ("place", "number"),
    [("/proc/minihttp", errno.ENOENT), ("/dev/null", errno.ENOTDIR), ("/dev/null/x", errno.ENOTDIR)],
)
def test_a_place_that_cannot_be_made(place: str, number: int) -> None:
    with pytest.raises(OSError) as fault:
        FileBackend(place)
    assert fault.value.errno == number


def test_a_file_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("mine")
    with pytest.raises(Fault):
        FileBackend(str(tmp_path / "store"))
    assert (tmp_path / "store").read_text() == "mine"


_AS_NOBODY = """
import os, sys
from storage_backends.filesystem import Fault, FileBackend
os.setuid(65534)
try:
    FileBackend(sys.argv[1])
except Fault as fault:
    print(fault.errno)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_folder_without_rights() -> None:
    with tempfile.TemporaryDirectory() as above:
        os.chmod(above, 0o755)
        place = os.path.join(above, "store")
        FileBackend(place).close()
        os.chmod(place, 0o555)
        run = subprocess.run([sys.executable, "-c", _AS_NOBODY, place], capture_output=True, text=True)
        assert (run.stdout.strip(), run.stderr) == (str(errno.EACCES), "")
