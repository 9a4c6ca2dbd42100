# SPDX-License-Identifier: MIT
"""A file is hashed while it grows, and whoever asks at the end gets the digest of all of it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from minihttp import App, HttpRouter
from minihttp.server.digests import GrowingDigest
from tests.live import live

BLOCK = os.urandom(1024 * 1024)


@pytest.mark.parametrize("blocks", [0, 1, 2, 7, 20])
def test_the_digest_is_that_of_the_whole_file(tmp_path: Path, blocks: int) -> None:
    with open(tmp_path / "file", "w+b", buffering=0) as file:
        digest = GrowingDigest(file.fileno())
        for number in range(blocks):
            file.write(BLOCK)
            digest.grown((number + 1) * len(BLOCK))
        file.write(b"end")
        size = blocks * len(BLOCK) + 3
        assert digest.finish(size) == hashlib.sha256(BLOCK * blocks + b"end").digest()
        assert digest.finish(size) == hashlib.sha256(BLOCK * blocks + b"end").digest(), "asked again"


def test_what_is_not_there_has_no_digest(tmp_path: Path) -> None:
    with open(tmp_path / "file", "w+b", buffering=0) as file:
        file.write(BLOCK)
        digest = GrowingDigest(file.fileno())
        assert digest.finish(len(BLOCK) + 1) is None
        closed = GrowingDigest(file.fileno())
        closed.close()
        closed.catch_up()
        assert closed.finish(len(BLOCK)) is None


@pytest.mark.parametrize("size", [5, 600_000, 9_000_000])
def test_an_upload_is_stored_with_its_digest(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    with App(HttpRouter(), data=tmp_path, workers=0) as app:
        url = urlsplit(app.files.outside().generate_upload_url())
        with live(app) as client:
            path, headers = f"{url.path}?{url.query}", {"Content-Type": "text/plain"}
            wrong = {**headers, "Digest": "sha-256=" + "A" * 43 + "="}
            assert client.post(path, data, wrong).status == 400
            id = client.post(path, data, headers).json()["storageId"]
        with app.files.outside().get(id) as file:  # type: ignore[union-attr]
            assert file.sha256 == hashlib.sha256(data).hexdigest()
            assert file.read() == data
        assert len(list(app.files.backend.list())) == 2, "the mark and the one file"
