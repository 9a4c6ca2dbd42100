# SPDX-License-Identifier: MIT
"""`ctx.storage`: what is stored is read back, whole or not at all, by the rules of its transaction."""

from __future__ import annotations

import base64
import hashlib
import io
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from minihttp.errors import DataDirectoryError, DocumentError, HTTPError
from minihttp.files.storage import FileStore
from tests.files.stored import DATA, blobs, documents, is_empty, read

SHA256 = hashlib.sha256(DATA)


def as_spooled(data: bytes) -> Any:
    file = tempfile.TemporaryFile()  # noqa: SIM115
    file.write(data)
    file.seek(0)
    return file


@pytest.mark.parametrize(
    "source",
    [
        DATA,
        bytearray(DATA),
        memoryview(DATA),
        [DATA[:10], DATA[10:]],
        lambda: io.BytesIO(DATA),
        lambda: iter([b"", DATA]),
        lambda: as_spooled(DATA),
    ],
    ids=["bytes", "bytearray", "memoryview", "list", "file", "iterator", "temporary file"],
)
def test_store_takes_every_kind_of_source(store: FileStore, source: Any) -> None:
    storage = store.outside()
    given = source() if callable(source) else source
    id = storage.store(given, content_type="text/plain")
    with storage.get(id) as file:
        assert (file.size, file.content_type, file.sha256) == (len(DATA), "text/plain", SHA256.hexdigest())
        assert file.read(4) == b"What"
        assert file.tell() == 4
        assert file.seek(0) == 0
        assert b"".join(file) == DATA
    if hasattr(given, "close"):
        given.close()


def test_an_empty_file(store: FileStore) -> None:
    storage = store.outside()
    id = storage.store(b"")
    assert read(store, id) == b""
    assert storage.get_metadata(id) == {
        "storageId": id,
        "sha256": hashlib.sha256().hexdigest(),
        "size": 0,
        "contentType": None,
    }


def test_the_document(store: FileStore) -> None:
    id = store.outside().store(DATA, content_type="image/png")
    [document] = documents(store)
    assert document["_id"] == id
    assert document["sha256"] == base64.b64encode(SHA256.digest()).decode()
    assert (document["size"], document["contentType"]) == (len(DATA), "image/png")


def test_equal_bytes_are_two_files(store: FileStore) -> None:
    storage = store.outside()
    one, two = storage.store(DATA), storage.store(DATA)
    assert one != two
    storage.delete(one)
    assert storage.get(one) is None
    assert read(store, two) == DATA


@pytest.mark.parametrize("source", ["text", {"a": 1}, 5, None, object()])
def test_store_refuses_what_is_no_bytes(store: FileStore, source: Any) -> None:
    with pytest.raises(TypeError, match=r"store\(\) takes bytes.*request\.body"):
        store.outside().store(source)
    assert is_empty(store)


@pytest.mark.parametrize(
    "claim",
    [
        SHA256.digest(),
        SHA256.hexdigest(),
        SHA256.hexdigest().upper(),
        base64.b64encode(SHA256.digest()).decode(),
        base64.b64encode(SHA256.digest()),
    ],
)
def test_a_right_digest(store: FileStore, claim: Any) -> None:
    store.outside().store(DATA, sha256=claim)
    assert len(documents(store)) == 1


@pytest.mark.parametrize(
    ("claim", "code"),
    [
        (hashlib.sha256(b"other").hexdigest(), "Sha256Mismatch"),
        (hashlib.sha256(b"other").digest(), "Sha256Mismatch"),
        ("", "BadHeader"),
        ("x" * 64, "BadHeader"),
        ("zz==", "BadHeader"),
        ("é" * 44, "BadHeader"),
        (b"\xff" * 44, "BadHeader"),
    ],
)
def test_a_wrong_digest_keeps_nothing(store: FileStore, claim: Any, code: str) -> None:
    with pytest.raises((HTTPError, DocumentError)) as error:
        store.outside().store([DATA[:100], DATA[100:]], sha256=claim)
    assert (error.value.status, error.value.code) == (400, code)
    assert is_empty(store)


@pytest.mark.parametrize("content_type", ["text/plain\r\nSet-Cookie: a=b", "a/b\0", "ü/ö", "x" * 256, "a\tb"])
def test_a_content_type_that_cannot_be_sent_back(store: FileStore, content_type: str) -> None:
    with pytest.raises(DocumentError, match="not printable ASCII"):
        store.outside().store(DATA, content_type=content_type)
    assert is_empty(store)


def test_a_source_that_fails_keeps_nothing(store: FileStore) -> None:
    def source() -> Iterator[bytes]:
        yield DATA
        raise ConnectionResetError("the client left")

    with pytest.raises(ConnectionResetError):
        store.outside().store(source())
    assert is_empty(store)


@pytest.mark.parametrize("id", ["", "nope", "0" * 32, "../../etc/passwd", "\0", "é" * 32, None, 5, ["x"]])
def test_what_is_no_id_names_no_file(store: FileStore, id: Any) -> None:
    storage = store.outside()
    assert storage.get(id) is storage.get_url(id) is storage.get_metadata(id) is None
    with pytest.raises(DocumentError, match="not found"):
        storage.delete(id)


def test_the_id_of_another_document_names_no_file(store: FileStore) -> None:
    other = store.database.write(lambda transaction: transaction.db.insert("items", {}))
    assert store.outside().get_url(other) is None


def test_delete_twice(store: FileStore) -> None:
    storage = store.outside()
    id = storage.store(DATA)
    storage.delete(id)
    assert storage.get(id) is storage.get_url(id) is storage.get_metadata(id) is None
    assert is_empty(store)
    with pytest.raises(DocumentError, match=f"storage id '{id}' not found"):
        storage.delete(id)


@pytest.mark.sqlite  # where documents are shared, what is younger than a day stays
def test_sweep_deletes_what_a_crash_left(local_place: Any) -> None:
    place = local_place
    store = place.open()
    assert store.sweep() == 0
    kept = store.outside().store(DATA)
    for number in range(1_200):  # more than one batch
        store.backend.put(f"{number:032x}", [b"orphan"])
    place.close(store)
    store = place.open()
    assert store.sweep() == 1_200
    assert len(blobs(store)) == 1
    assert read(store, kept) == DATA
    place.close(store)


@pytest.mark.sqlite  # where others may have the database open, no stop is the end of all writers
@pytest.mark.parametrize("place", ["filesystem", "sqlite"], indirect=True)  # a shared store is never listed
def test_after_a_clean_stop_only_what_is_newer_is_looked_at(place: Any) -> None:
    store = place.open()
    store.sweep()
    kept = store.outside().store(DATA)
    store.backend.put(f"{1:032x}", [b"orphan"])  # which no clean process would leave
    place.close(store)
    store = place.open()

    def stopped_later(transaction: Any) -> None:  # as if an hour had passed between the files and the stop
        row = transaction.system.query("_file_stores").first()
        transaction.system.patch(row["_id"], {"cleanUntil": row["cleanUntil"] + 3_600})

    store.database.write(stopped_later)
    assert store.sweep() == 0, "it is not looked at"
    store.database.close()  # a crash
    store.backend.close()
    store = place.open()
    assert store.sweep() == 1, "after a crash all is"
    assert read(store, kept) == DATA
    place.close(store)


def test_sweep_spares_what_is_being_stored(place: Any) -> None:
    """Even if the clock was set back since the process began, so that new files look old."""
    store = place.open()
    store.sweep()
    store._opened_at += 7_200

    document = store.put(DATA, None, None)  # put, and its transaction has not yet begun
    assert store.sweep() == 0
    store.discard(document["key"])
    id = store.database.write(lambda transaction: store.writer(transaction).store(DATA))
    assert store.sweep() == 0
    assert read(store, id) == DATA
    place.close(store)


@pytest.mark.parametrize(
    "loss", [pytest.param("deleted", marks=pytest.mark.sqlite), "emptied", "of another app"]
)
def test_sweep_refuses_files_that_are_not_of_this_database(place: Any, tmp_path: Path, loss: str) -> None:
    store = place.open()
    store.sweep()
    store.outside().store(DATA)
    kept = dict(store.backend.list())
    if loss == "emptied":
        store.database.write(forget_everything)
    place.close(store)
    if loss == "deleted":
        for path in Path(place.path).glob("app.db*"):
            path.unlink()
    if loss == "of another app":
        place.database = "other.db"
    store = place.open()
    for _ in range(2):
        with pytest.raises(DataDirectoryError, match="was the database lost or replaced"):
            store.sweep()
    assert dict(store.backend.list()) == kept
    place.close(store)


def forget_everything(transaction: Any) -> None:
    for table in ("_storage", "_file_stores"):
        for document in transaction.system.query(table).collect():
            transaction.system.delete(document["_id"])


def test_sweep_after_a_kill_between_the_mark_and_its_blob(place: Any) -> None:
    store = place.open()
    store.sweep()
    [mark] = [key for key, _ in store.backend.list()]
    store.backend.delete(mark)
    assert store.sweep() == 0
    assert [key for key, _ in store.backend.list()] == [mark]
    place.close(store)
