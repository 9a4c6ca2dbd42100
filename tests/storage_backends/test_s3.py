# SPDX-License-Identifier: MIT
"""Blobs in a bucket of SeaweedFS: the contract, and what only a store across a network can get wrong."""

from __future__ import annotations

import errno
import hashlib
import itertools
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("obstore", reason="the extra s3 is not installed")

from storage_backends.s3 import FileBackend
from tests.contracts.files import KEY, MIB, OTHER, FileBackendContract, pattern, read_all
from tests.servers import SeaweedFS, free_port, seaweedfs

pytestmark = pytest.mark.xdist_group("seaweedfs")


@pytest.fixture(scope="module")
def server() -> Iterator[SeaweedFS]:
    with seaweedfs() as server:
        yield server


def open_at(server: SeaweedFS, prefix: str, **options: object) -> FileBackend:
    return FileBackend(server.url(prefix, **options).partition(":")[2])


def prefix_of(place: str) -> str:
    return hashlib.sha256(place.encode()).hexdigest()[:16]


class TestS3(FileBackendContract):
    server: SeaweedFS

    @pytest.fixture(autouse=True)
    def _opened(self, tmp_path: Any, server: SeaweedFS) -> Iterator[None]:
        self.server = server
        self.place = str(tmp_path / "store")
        self.backend = self.open_backend(self.place)
        yield
        for key, _ in list(self.backend.list()):
            self.backend.delete(key)

    def open_backend(self, place: str) -> Any:
        return open_at(self.server, prefix_of(place))

    def test_two_prefixes_of_a_bucket_do_not_meet(self) -> None:
        other = open_at(self.server, prefix_of(self.place) + "x")
        other.put(KEY, [b"theirs"])
        assert list(self.backend.list()) == []
        with pytest.raises(FileNotFoundError):
            self.backend.open(KEY)
        other.delete(KEY)

    @pytest.mark.parametrize("size_bytes", [5 * MIB - 1, 5 * MIB, 5 * MIB + 1, 10 * MIB, 13 * MIB])
    def test_around_the_size_of_a_part(self, size_bytes: int) -> None:
        data = pattern(size_bytes)
        self.backend.put(KEY, [data[:7], data[7:]])
        assert read_all(self.backend, KEY, step=MIB) == data

    def test_a_blob_that_is_replaced_under_a_reader_is_a_fault(self) -> None:
        self.backend.put(KEY, [pattern(2 * MIB)])
        blob = self.backend.open(KEY)
        self.backend.put(KEY, [bytes(2 * MIB)])
        with pytest.raises(self.backend.Fault) as fault:
            blob.read()
        assert fault.value.errno == errno.EIO

    def test_a_signed_url_gives_the_blob_as_an_attachment_for_a_while(self) -> None:
        backend = open_at(self.server, prefix_of(self.place), redirect=1000)
        backend.put(KEY, [b"x" * 1000])
        assert backend.signed_url(KEY, 999) is None
        url = backend.signed_url(KEY, 1000)
        assert url is not None
        with urllib.request.urlopen(url) as response:
            assert response.read() == b"x" * 1000
            assert response.headers["Content-Type"] == "application/octet-stream"
            assert response.headers["Content-Disposition"] == "attachment"
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(url[:-4] + "0000")


# ---------------------------------------------------------------- what goes wrong


def test_a_wrong_secret(server: SeaweedFS) -> None:
    url = server.url("wrong").replace("secret_access_key=ci", "secret_access_key=no")
    backend = FileBackend(url.partition(":")[2])
    for call in (lambda: backend.put(KEY, [b"x"]), lambda: backend.open(KEY), lambda: list(backend.list())):
        with pytest.raises(FileBackend.Fault) as fault:
            call()
        assert fault.value.errno == errno.EACCES
        text = str(fault.value)
        assert "Debug source" not in text and "?" not in text and "\n" not in text
    assert "/minihttp: SignatureDoesNotMatch: The request signature" in text


def test_a_bucket_that_is_not_there(server: SeaweedFS) -> None:
    backend = FileBackend(server.url("x").partition(":")[2].replace("//minihttp", "//nowhere"))
    with pytest.raises(FileBackend.Fault, match="NoSuchBucket: The specified bucket does not exist") as fault:
        list(backend.list())
    assert fault.value.errno == errno.ENOENT


def test_plain_http_is_for_this_machine_or_for_who_asks_for_it() -> None:
    place = "//b/p?access_key_id=a&secret_access_key=b&endpoint=http://"
    with pytest.raises(FileBackend.Fault, match="allow_http=true") as fault:
        FileBackend(f"{place}store.example.com")
    assert fault.value.errno == errno.EINVAL
    FileBackend(f"{place}store.example.com&allow_http=true")
    FileBackend(f"{place}localhost:9000")


def test_a_server_that_is_not_there() -> None:
    place = f"//minihttp/x?endpoint=http://127.0.0.1:{free_port()}&access_key_id=a&secret_access_key=b"
    backend = FileBackend(place)
    for call in (lambda: backend.put(KEY, [b"x"]), lambda: backend.open(KEY), lambda: list(backend.list())):
        with pytest.raises(FileBackend.Fault) as fault:
            call()
        assert fault.value.errno == errno.EIO


@pytest.mark.parametrize(
    "location",
    ["bucket", "//", "///prefix", "//b/p?redirect=x", "//b/p?redirect=-1", "//b/p?regoin=eu-west-1"],
)
def test_a_location_that_cannot_be(location: str) -> None:
    with pytest.raises(FileBackend.Fault) as fault:
        FileBackend(location)
    assert fault.value.errno == errno.EINVAL


def test_a_store_that_stops_and_starts_under_uploads(tmp_path: Path) -> None:
    """Each blob is whole or absent, and what was acknowledged is there."""
    server = SeaweedFS(str(tmp_path))
    server.start()
    stored: list[str] = []

    def source(n: int) -> Iterator[bytes]:
        for piece in range(8):
            if n == 3 and piece == 6:
                server.stop()
            yield pattern(MIB + n)

    try:
        backend = open_at(server, "app")
        for n in range(6):
            key = f"{n:032x}"
            try:
                backend.put(key, source(n))
                stored.append(key)
            except FileBackend.Fault:
                server.start()
        assert len(stored) >= 5
        found = [key for key, _ in backend.list()]
        assert set(stored) <= set(found)
        for key in found:
            assert read_all(backend, key, step=MIB) == b"".join(
                itertools.repeat(pattern(MIB + int(key, 16)), 8)
            )
        assert OTHER not in found
    finally:
        server.stop()
