# SPDX-License-Identifier: MIT
"""The reply that carries a file: RFC 9110 conditions and ranges, and what keeps a browser from running it."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minihttp.files.http_dates import http_date
from minihttp.files.storage import FileStore

DATA = bytes(range(72))
ETAG = f'"{hashlib.sha256(DATA).hexdigest()}"'
STORED_AT = 1_800_000_000
DATE, BEFORE, AFTER = (http_date(STORED_AT + seconds) for seconds in (0, -1, 1))


@pytest.fixture
def url(store: FileStore) -> str:
    storage = store.outside("http://testserver")
    return storage.get_url(storage.store(DATA, content_type="video/mp4")) or ""


def test_the_whole_file(web: Any, url: str) -> None:
    reply = web.get(url)
    assert (reply.status, reply.body) == (200, DATA)
    assert reply.headers == {
        "accept-ranges": "bytes",
        "cache-control": "private, max-age=2592000",
        "content-disposition": "inline",
        "content-length": "72",
        "content-security-policy": "default-src 'none'; sandbox",
        "content-type": "video/mp4",
        "digest": reply.headers["digest"],
        "etag": ETAG,
        "last-modified": DATE,
        "x-content-type-options": "nosniff",
    }


def test_head(web: Any, url: str) -> None:
    whole, head = web.get(url), web("HEAD", url, headers={"Range": "bytes=0-1"})
    assert (head.status, head.body) == (200, b"")
    assert head.headers == whole.headers


@pytest.mark.parametrize(
    ("field", "start", "stop"),
    [
        ("bytes=20-29", 20, 30),
        ("bytes=0-0", 0, 1),
        ("bytes=71-", 71, 72),
        ("bytes=60-1000", 60, 72),
        ("bytes=0-999999999999999999", 0, 72),
        ("bytes=-10", 62, 72),
        ("bytes=-1000", 0, 72),
        ("BYTES=1-2", 1, 3),
        ("bytes= 1-2 ", 1, 3),
        ("bytes=0-", 0, 72),
    ],
)
def test_one_range(web: Any, url: str, field: str, start: int, stop: int) -> None:
    reply = web.get(url, Range=field)
    assert (reply.status, reply.body) == (206, DATA[start:stop])
    assert reply.headers["content-range"] == f"bytes {start}-{stop - 1}/72"
    assert reply.headers["content-length"] == str(stop - start)
    assert reply.headers["etag"] == ETAG
    assert "digest" not in reply.headers


@pytest.mark.parametrize("field", ["bytes=72-", "bytes=1000-", "bytes=72-80", "bytes=-0"])
def test_no_satisfiable_range(web: Any, url: str, field: str) -> None:
    reply = web.get(url, Range=field)
    assert (reply.status, reply.body) == (416, b"")
    assert reply.headers["content-range"] == "bytes */72"


@pytest.mark.parametrize(
    "field",
    [
        *("", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=5", "bytes=9-8", "bytes=1-2-3", "lines=1-2"),
        *("bytes=0-1,2-3", "bytes=0-1,", "bytes=" + ",".join(["0-"] * 10_000), "bytes=" + "9" * 60_000 + "-"),
        *(
            "bytes=\u0663-\u0665".encode().decode("latin-1"),
            "bytes=+1-2",
            "bytes=1_0-20",
            "bytes=0x1-2",
            "bytes=1-\xb2",
        ),
    ],
)
def test_what_is_no_single_range_is_ignored(web: Any, url: str, field: str) -> None:
    reply = web.get(url, Range=field)
    assert (reply.status, reply.body) == (200, DATA)
    assert "content-range" not in reply.headers


@pytest.mark.parametrize("field", ["bytes=0-", "bytes=0-0", "bytes=-5", "bytes=5-"])
def test_a_range_of_an_empty_file_is_ignored(store: FileStore, web: Any, field: str) -> None:
    storage = store.outside()
    reply = web.get(storage.get_url(storage.store(b"")), Range=field)
    assert (reply.status, reply.headers["content-length"]) == (200, "0")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.from_regex(r"bytes=[0-9]{0,3}-[0-9]{0,3}", fullmatch=True) | st.text(st.characters(codec="latin-1"))
)
def test_any_range_field_gives_the_bytes_it_says(web: Any, url: str, field: str) -> None:
    reply = web.get(url, Range=field)
    assert reply.status in (200, 206, 416)
    if reply.status == 200:
        assert reply.body == DATA
    if reply.status == 206:
        first, last = reply.headers["content-range"].removeprefix("bytes ").removesuffix("/72").split("-")
        assert reply.body == DATA[int(first) : int(last) + 1] != b""


@pytest.mark.parametrize(
    ("condition", "status"),
    [(ETAG, 206), (f"W/{ETAG}", 200), ('"other"', 200), (DATE, 206), (BEFORE, 200), (AFTER, 200), ("x", 200)],
)
def test_if_range(web: Any, url: str, condition: str, status: int) -> None:
    assert web.get(url, Range="bytes=0-9", If_Range=condition).status == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-None-Match": ETAG}, 304),
        ({"If-None-Match": f'"a", W/{ETAG} ,"b"'}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": '"a"'}, 200),
        ({"If-None-Match": ETAG.strip('"')}, 200),
        ({"If-None-Match": '"a"', "If-Modified-Since": AFTER}, 200),
        ({"If-Modified-Since": DATE}, 304),
        ({"If-Modified-Since": AFTER}, 304),
        ({"If-Modified-Since": BEFORE}, 200),
        ({"If-Modified-Since": "yesterday"}, 200),
        ({"If-Match": ETAG}, 200),
        ({"If-Match": "*"}, 200),
        ({"If-Match": '"a"'}, 412),
        ({"If-Match": f"W/{ETAG}"}, 412),
        ({"If-Match": ETAG, "If-Unmodified-Since": BEFORE}, 200),
        ({"If-Unmodified-Since": BEFORE}, 412),
        ({"If-Unmodified-Since": DATE}, 200),
        ({"If-Unmodified-Since": "yesterday"}, 200),
        ({"If-Match": '"a"', "If-None-Match": ETAG}, 412),
        ({"If-None-Match": ETAG, "Range": "bytes=1000-"}, 304),
    ],
)
def test_conditions(web: Any, url: str, headers: dict[str, str], status: int) -> None:
    for method in ("GET", "HEAD"):
        reply = web(method, url, headers=headers)
        assert reply.status == status
        assert reply.headers["etag"] == ETAG
        if status != 200:
            assert reply.body == b""


@pytest.mark.parametrize(
    ("content_type", "disposition"),
    [
        ("image/png", "inline"),
        ("Text/Plain; charset=UTF-8", "inline"),
        ("audio/mpeg", "inline"),
        ("text/html", "attachment"),
        ("image/svg+xml", "attachment"),
        ("application/xhtml+xml", "attachment"),
        ("text/xml", "attachment"),
        ("application/pdf", "attachment"),
        ("application/javascript", "attachment"),
        ("image/png, text/html", "attachment"),
        ('image/png;a="', "attachment"),
        ("nonsense", "attachment"),
        (None, "attachment"),
    ],
)
def test_only_a_few_types_are_shown(
    store: FileStore, web: Any, content_type: str | None, disposition: str
) -> None:
    storage = store.outside()
    reply = web.get(storage.get_url(storage.store(b"<script>alert(1)</script>", content_type=content_type)))
    assert reply.headers["content-disposition"] == disposition
    assert reply.headers["content-type"] == (content_type or "application/octet-stream")
    assert reply.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert reply.headers["x-content-type-options"] == "nosniff"
