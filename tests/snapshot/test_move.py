# SPDX-License-Identifier: MIT
"""Moving an app between engines and back: every document and file as it was, also after a cut."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from minihttp.app.backends import open_documents, open_files
from minihttp.errors import DataDirectoryError
from minihttp.snapshot import move as moving
from minihttp.snapshot.move import BATCH_DOCUMENTS, digest, move
from tests.postgresql_server import postgresql, schema_for
from tests.servers import seaweedfs
from tests.snapshot.moved import app_at, filled

__all__ = ["filled"]


def silent(what: str, done: int, total: int) -> None:
    pass


@contextmanager
def stores(documents: str, files: str) -> Iterator[Any]:
    with closing(open_documents(documents)) as opened, closing(open_files(files)) as opened_files:
        yield opened, opened_files


def test_there_and_back(filled: str, tmp_path: Path) -> None:
    old = (f"sqlite:{filled}/app.db", f"filesystem:{filled}/files")
    new = (f"sqlite:{tmp_path}/new/app.db", f"sqlite:{tmp_path}/new/files.db")
    back = (f"sqlite:{tmp_path}/back/app.db", f"filesystem:{tmp_path}/back/files")
    digests = []
    for source, target in ((old, new), (new, back)):
        with stores(*source) as opened, stores(*target) as into:
            moved = move(opened, into, silent)
            digests += [digest(opened[0], silent, ""), digest(into[0], silent, "")]
            assert moved.documents == digests[0].documents
            assert moved.files == 6  # five, and the mark of the store
    assert len(set(digests)) == 1
    app = app_at(f"{tmp_path}/back").open()
    try:
        query = app.database.read(
            lambda t: t.db.query("items").with_index("by_name", lambda q: q.eq("name", "name 3")).collect()
        )
        assert len(query) == 3 * len(range(3, BATCH_DOCUMENTS // 2, 10))
        files = app.database.read(lambda t: t.system.query("_storage").collect())
        for file in files:
            blob = app.files.open(file)
            assert len(blob.read()) == file["size"]
            blob.close()
        assert len(app.database.read(lambda t: t.system.query("_scheduled_functions").collect())) == 1
    finally:
        app.close()


def test_the_secret_moves_too(filled: str, tmp_path: Path) -> None:
    app = app_at(filled).open()
    secret = app.database.secret
    app.close()
    with stores(f"sqlite:{filled}/app.db", f"filesystem:{filled}/files") as source:
        with stores(f"sqlite:{tmp_path}/new/app.db", f"filesystem:{tmp_path}/new/files") as target:
            move(source, target, silent)
    app = app_at(f"{tmp_path}/new").open()
    assert app.database.secret == secret
    app.close()


def test_a_move_that_was_cut_goes_on(filled: str, tmp_path: Path) -> None:
    class Cut(Exception):
        pass

    def cut(what: str, done: int, total: int) -> None:
        if what == "documents":
            raise Cut

    with stores(f"sqlite:{filled}/app.db", f"filesystem:{filled}/files") as source:
        with stores(f"sqlite:{tmp_path}/new/app.db", f"filesystem:{tmp_path}/new/files") as target:
            with pytest.raises(Cut):
                move(source, target, cut)
            with pytest.raises(
                DataDirectoryError,
                match="holds documents already",
            ):
                move(source, target, silent)
            moved = move(source, target, silent, resume=True)
            assert 0 < moved.documents < digest(source[0], silent, "").documents
            assert digest(target[0], silent, "") == digest(source[0], silent, "")


def test_a_target_on_which_an_app_was_started_is_refused(filled: str, tmp_path: Path) -> None:
    app_at(tmp_path / "used").open().close()
    with stores(f"sqlite:{filled}/app.db", f"filesystem:{filled}/files") as source:
        with stores(f"sqlite:{tmp_path}/used/app.db", f"filesystem:{tmp_path}/used/files") as target:
            for resume in (False, True):
                with pytest.raises(DataDirectoryError, match="an app has been started"):
                    move(source, target, silent, resume=resume)


def test_what_arrives_otherwise_is_found(
    filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A target that loses a document of the last batch."""
    put = moving._put
    monkeypatch.setattr(moving, "_put", lambda target, batch: put(target, batch[:-1]) + 1 if batch else 0)
    with stores(f"sqlite:{filled}/app.db", f"filesystem:{filled}/files") as source:
        with stores(f"sqlite:{tmp_path}/new/app.db", f"filesystem:{tmp_path}/new/files") as target:
            with pytest.raises(DataDirectoryError, match="do not use it"):
                move(source, target, silent)


def test_a_damaged_file_is_named_and_the_others_are_copied(filled: str, tmp_path: Path) -> None:
    victim = max(Path(filled, "files").rglob("*"), key=lambda path: path.stat().st_size * path.is_file())
    data = bytearray(victim.read_bytes())
    data[7] ^= 1
    victim.write_bytes(data)
    with stores(f"sqlite:{filled}/app.db", f"filesystem:{filled}/files") as source:
        with stores(f"sqlite:{tmp_path}/new/app.db", f"filesystem:{tmp_path}/new/files") as target:
            with pytest.raises(DataDirectoryError, match=f"1 files are damaged.*{victim.name}"):
                move(source, target, silent)
            assert len(dict(target[1].list())) == 5


def test_the_source_is_not_written(filled: str, tmp_path: Path) -> None:
    def hashes() -> dict[str, str]:
        paths = [path for path in Path(filled).rglob("*") if path.is_file() and "-shm" not in path.name]
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}

    before = hashes()
    with stores(f"sqlite:{filled}/app.db", f"filesystem:{filled}/files") as source:
        with stores(f"sqlite:{tmp_path}/new/app.db", f"filesystem:{tmp_path}/new/files") as target:
            move(source, target, silent)
    assert {name: hash for name, hash in hashes().items() if "-wal" not in name} == {
        name: hash for name, hash in before.items() if "-wal" not in name
    }


def test_to_postgresql_and_s3_and_back(filled: str, tmp_path: Path) -> None:
    pytest.importorskip("psycopg", reason="the extra postgresql is not installed")
    pytest.importorskip("obstore", reason="the extra s3 is not installed")
    old = (f"sqlite:{filled}/app.db", f"filesystem:{filled}/files")
    back = (f"sqlite:{tmp_path}/back/app.db", f"filesystem:{tmp_path}/back/files")
    with seaweedfs() as seaweed:
        far = (f"postgresql:{postgresql().location(schema_for(tmp_path))}", seaweed.url("moved"))
        with stores(*old) as source, stores(*far) as target:
            move(source, target, silent)
            expected = digest(source[0], silent, "")
            assert digest(target[0], silent, "") == expected
        with stores(*far) as source, stores(*back) as target:
            move(source, target, silent)
            assert digest(target[0], silent, "") == expected
            blobs = {key for key, _ in target[1].list()}
    with stores(*old) as source:
        assert {key for key, _ in source[1].list()} == blobs
