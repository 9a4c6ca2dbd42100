# SPDX-License-Identifier: MIT
"""Upload URLs and file URLs as strangers use them, each request through `wsgiref.validate`."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minihttp.errors import DocumentError
from minihttp.files.signing import sign
from minihttp.files.storage import FileStore

DATA = b"\x89PNG and so on" * 100


def digest_of(data: bytes) -> str:
    return "sha-256=" + base64.b64encode(hashlib.sha256(data).digest()).decode()


def field_of(data: bytes, algorithm: str = "sha256") -> str:
    digest = base64.b64encode(hashlib.new(algorithm, data).digest()).decode()
    return f"{algorithm.replace('sha', 'sha-')}=:{digest}:"


def upload_url(store: FileStore) -> str:
    return store.database.write(lambda transaction: store.writer(transaction).generate_upload_url())


def files(store: FileStore) -> list[Any]:
    return store.database.read(lambda transaction: transaction.system.query("_storage").collect())


# ---------------------------------------------------------------- uploads (`docs/convex.md` §5)


def test_upload_and_download(store: FileStore, web: Any) -> None:
    reply = web("POST", upload_url(store), DATA, {"Content-Type": "image/png", "Digest": digest_of(DATA)})
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    id = json.loads(reply.body)["storageId"]
    url = store.outside("http://testserver").get_url(id)
    assert url is not None
    assert id not in url
    reply = web.get(url)
    assert (reply.status, reply.body) == (200, DATA)
    assert reply.headers["content-type"] == "image/png"
    assert reply.headers["content-length"] == str(len(DATA))
    assert reply.headers["digest"] == digest_of(DATA)


def test_the_same_url_takes_many_files_for_an_hour(store: FileStore, web: Any, place: Any) -> None:
    url = upload_url(store)
    place.clock.now += 3_599
    ids = {json.loads(web("POST", url, DATA).body)["storageId"] for _ in range(3)}
    assert len(ids) == 3
    place.clock.now += 1
    reply = web("POST", url, DATA)
    assert (reply.status, reply.code) == (401, "StorageTokenExpired")
    assert len(files(store)) == 3


def test_an_empty_upload(store: FileStore, web: Any) -> None:
    id = json.loads(web("POST", upload_url(store)).body)["storageId"]
    assert store.outside().get_metadata(id)["size"] == 0  # type: ignore[index]


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Digest": digest_of(b"other")}, "Sha256Mismatch"),
        ({"Digest": digest_of(DATA)[:-1]}, "BadHeader"),
        ({"Digest": "md5=" + "A" * 22 + "=="}, "BadHeader"),
        ({"Digest": "sha-256=" + "é" * 44}, "BadHeader"),
        ({"Digest": "x" * 70_000}, "BadHeader"),
        ({"Digest": f"md5={'A' * 22}==,{digest_of(b'other')}"}, "Sha256Mismatch"),
        ({"Digest": digest_of(DATA) + ",md5"}, "BadHeader"),
        ({"Content-Digest": field_of(b"other")}, "Sha256Mismatch"),
        ({"Repr-Digest": field_of(b"other")}, "Sha256Mismatch"),
        ({"Content-Digest": field_of(b"other", "sha512")}, "Sha512Mismatch"),
        ({"Content-Digest": digest_of(DATA)}, "BadHeader"),
        ({"Content-Digest": "md5=:AAAA:"}, "BadHeader"),
        ({"Content-Digest": field_of(DATA)[:-2] + ":"}, "BadHeader"),
        ({"Digest": digest_of(DATA), "Content-Digest": field_of(b"other")}, "BadHeader"),
        ({"Content-Type": "x" * 70_000}, "BadHeader"),
        ({"Content-Type": "text/plain\xff"}, "BadHeader"),
    ],
)
def test_a_bad_header_keeps_nothing(store: FileStore, web: Any, headers: dict[str, str], code: str) -> None:
    reply = web("POST", upload_url(store), DATA, headers)
    assert (reply.status, reply.code) == (400, code)
    assert files(store) == list(store.backend.list()) == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Digest": f"md5={'A' * 22}==,{digest_of(DATA)}"},
        {"Digest": f"{digest_of(DATA).replace('sha', 'SHA')} , unixsum=30637"},
        {"Content-Digest": field_of(DATA)},
        {"Repr-Digest": f"md5=:AAAA:, {field_of(DATA)};q=1, {field_of(DATA, 'sha512')}"},
        {"Content-Digest": field_of(DATA, "sha512"), "Digest": digest_of(DATA)},
    ],
)
def test_digests_are_lists(store: FileStore, web: Any, headers: dict[str, str]) -> None:
    reply = web("POST", upload_url(store), DATA, headers)
    assert reply.status == 200
    file: Any = store.outside().get(json.loads(reply.body)["storageId"])
    with file:
        assert file.read() == DATA


def test_a_bad_token_keeps_nothing(store: FileStore, web: Any, place: Any) -> None:
    good = upload_url(store).partition("token=")[2]
    expiry, mac = good.split("-")
    other_purpose = sign(store.database.secret, "0" * 32, int(expiry))
    later = f"{int(expiry) + 1}-{mac}"
    bad = [
        good[:-1],
        good + "0",
        good.upper(),
        later,
        other_purpose,
        f"-{mac}",
        mac,
        "%D9%A3" * 20,
        "x" * 70_000,
    ]
    for token in bad:
        reply = web("POST", f"/api/storage/upload?token={token}", DATA)
        assert (reply.status, reply.code) == (401, "StorageTokenInvalid"), token[:200]
    for url in ("/api/storage/upload", "/api/storage/upload?token="):
        reply = web("POST", url, DATA)
        assert (reply.status, reply.code) == (400, "StorageTokenMissing")
    assert files(store) == list(store.backend.list()) == []


@pytest.mark.parametrize(
    ("content_length", "status"), [("99999999999", 413), (str(len(DATA) + 1), 400), ("1_0", 400)]
)
def test_an_upload_of_another_length_keeps_nothing(
    store: FileStore, web: Any, content_length: str, status: int
) -> None:
    reply = web("POST", upload_url(store), DATA, CONTENT_LENGTH=content_length)
    assert reply.status == status
    assert set(json.loads(reply.body)) == {"code", "message"}
    assert files(store) == list(store.backend.list()) == []


# ---------------------------------------------------------------- file URLs (F5, F9)


@pytest.fixture
def url(store: FileStore) -> str:
    storage = store.outside("http://testserver")
    return storage.get_url(storage.store(DATA, content_type="image/png")) or ""


def test_a_deleted_file(store: FileStore, web: Any, url: str) -> None:
    store.outside().delete(files(store)[0]["_id"])
    reply = web.get(url)
    assert (reply.status, reply.code) == (404, "FileNotFound")
    assert reply.headers["x-content-type-options"] == "nosniff"


def test_the_id_is_not_a_url(store: FileStore, web: Any, url: str) -> None:
    id = files(store)[0]["_id"]
    assert web.get(f"/api/storage/{id}").status == 400
    assert web.get(f"/api/storage/{id}?token=1").status == 401


def test_a_file_url_only_reads(store: FileStore, web: Any, url: str) -> None:
    reply = web("POST", url, DATA)
    assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD")
    assert len(files(store)) == 1


@pytest.mark.parametrize(
    "name",
    [
        *("", "x", "upload", "app.db", "..%2fapp.db", "con", "%ff", "a/b", "0" * 31, "a" * 5_000),
        *("00000000-0000-0000-0000-00000000000G", "00000000-0000-0000-0000-0000000000000"),
    ],
)
def test_names_that_are_none(web: Any, name: str) -> None:
    assert web.get(f"/api/storage/{name}").status == 400


@pytest.mark.parametrize(
    "name", ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-4fff-bfff-ffffffffffff"]
)
def test_a_uuid_of_no_file(web: Any, name: str) -> None:
    reply = web.get(f"/api/storage/{name}")
    assert (reply.status, reply.code) == (404, "FileNotFound")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(max_codepoint=255, exclude_characters="?"), max_size=80))
def test_no_name_gets_further_than_it_should(web: Any, name: str) -> None:
    assert web.get(f"/api/storage/{name}").status in (400, 404)


# ---------------------------------------------------------------- signed URLs


def test_a_signed_url_expires(store: FileStore, web: Any, place: Any, url: str) -> None:
    id = files(store)[0]["_id"]
    signed = store.outside("http://testserver").get_url(id, expires_in=60)
    assert url.rpartition("/")[2] not in signed
    place.clock.now += 59
    reply = web.get(signed)
    assert (reply.status, reply.body) == (200, DATA)
    assert reply.headers["cache-control"] == "private, max-age=1"
    place.clock.now += 1
    reply = web.get(signed)
    assert (reply.status, reply.code) == (401, "StorageTokenExpired")


def test_a_signed_url_is_never_dead_when_it_is_made(store: FileStore, web: Any, place: Any, url: str) -> None:
    id, storage = files(store)[0]["_id"], store.outside("http://testserver")
    place.clock.now += 0.5
    assert web.get(storage.get_url(id, expires_in=0.2)).status == 200
    assert web.get(storage.get_url(id, expires_in=10**9)).status == 200
    for seconds in (0, -1, float("nan"), float("inf"), 1e300):
        with pytest.raises(DocumentError, match="more than 0 and at most"):
            storage.get_url(id, expires_in=seconds)


def test_a_signed_url_is_good_for_its_file_only(store: FileStore, web: Any, url: str) -> None:
    storage = store.outside("http://testserver")
    other = storage.store(b"other")
    token = (storage.get_url(other, expires_in=60) or "").partition("token=")[2]
    upload = upload_url(store).partition("token=")[2]
    id = files(store)[0]["_id"]
    for wrong in (token, upload):
        assert web.get(f"/api/storage/{id}?token={wrong}").code == "StorageTokenInvalid"
    storage.delete(other)
    assert web.get(f"/api/storage/{other}?token={token}").code == "FileNotFound"


# ---------------------------------------------------------------- blobs that are damaged


def test_missing_bytes_are_a_404_and_a_log_line(
    store: FileStore, web: Any, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    store.backend.delete(files(store)[0]["key"])
    with caplog.at_level(logging.ERROR):
        for method in ("GET", "HEAD"):
            assert web(method, url).status == 404
    assert files(store)[0]["_id"] in caplog.text


def test_bytes_cut_short_are_never_a_200(store: FileStore, web: Any, url: str, place: Any) -> None:
    """A file shorter than its document says, found before the first byte is sent."""
    if place.kind == "filesystem":
        [blob] = [path for path in Path(place.path).rglob("*") if path.name == files(store)[0]["key"]]
        blob.write_bytes(DATA[:-1])
    elif place.kind == "objects":
        store.backend.put(files(store)[0]["key"], [DATA[:-1]])
    else:
        store.backend._writer.execute("UPDATE blobs SET size = size - 1")  # type: ignore[attr-defined]
    assert web.get(url).status == 404
    assert web.get(url, Range="bytes=0-9").status in (206, 404)
    assert web.get(url, Range="bytes=-5").status == 404
