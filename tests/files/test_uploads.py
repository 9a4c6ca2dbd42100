# SPDX-License-Identifier: MIT
"""What an upload URL allows: how large, of which type, how often; and that nobody but its maker says so."""

from __future__ import annotations

import base64
import hashlib
import io
import threading
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
import webtest

from minihttp import App, HttpRouter, testing
from minihttp.errors import DocumentError
from minihttp.files.storage import FileStore
from minihttp.files.uploads import UPLOADS, expired_uploads
from tests.live import live
from tests.server.wire import Connection

PNG = {"Content-Type": "image/png"}


def upload_url(store: FileStore, **rules: Any) -> str:
    return store.database.write(lambda transaction: store.writer(transaction).generate_upload_url(**rules))


def rows(store: FileStore, table: str = "_storage") -> list[Any]:
    return store.database.read(lambda transaction: transaction.system.query(table).collect())


@pytest.mark.parametrize(("size", "status"), [(1_000, 200), (1_001, 413)])
def test_a_file_is_no_larger_than_the_url_says(store: FileStore, web: Any, size: int, status: int) -> None:
    url = upload_url(store, max_bytes=1_000)
    assert web("POST", url, bytes(size), PNG).status == status
    assert len(rows(store)) == (status == 200)


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("image/png", 200),
        ("IMAGE/PNG; charset=x", 200),
        ("video/mp4", 200),
        ("text/html", 415),
        ("image/pngx", 415),
        ("image/png, text/html", 415),
        ("videos/mp4", 415),
        ("", 415),
    ],
)
def test_a_file_is_of_a_type_of_the_url(store: FileStore, web: Any, content_type: str, status: int) -> None:
    url = upload_url(store, content_types=["image/PNG", "video/*"])
    assert web("POST", url, b"x", {"Content-Type": content_type} if content_type else {}).status == status
    assert len(rows(store)) == (status == 200)


def test_a_url_may_be_good_once(store: FileStore, web: Any, place: Any) -> None:
    url, other = upload_url(store, once=True), upload_url(store, once=True)
    assert [web("POST", url, b"x", PNG).status for _ in range(3)] == [200, 401, 401]
    assert web("POST", other, b"x", PNG).status == 200
    assert len(rows(store)) == 2 and len(list(store.backend.list())) == 2
    place.clock.now += 3_601
    found = store.database.read(expired_uploads)
    assert [row["_id"] for row in found] == [row["_id"] for row in rows(store, UPLOADS)]


def test_a_refused_file_does_not_use_it_up(store: FileStore, web: Any) -> None:
    url = upload_url(store, once=True, max_bytes=10)
    assert web("POST", url, bytes(11), PNG).status == 413
    wrong = {**PNG, "Digest": "sha-256=" + "A" * 43 + "="}
    assert web("POST", url, b"x", wrong).status == 400
    assert web("POST", url, b"x", PNG).status == 200


def test_of_many_at_once_one_is_kept(store: FileStore, web: Any) -> None:
    url = upload_url(store, once=True)
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda: statuses.append(web("POST", url, b"x", PNG).status)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] + [401] * 7
    assert len(list(store.backend.list())) == 1


RULES = {"max_bytes": 10, "content_types": ["image/png"], "once": True}


@pytest.mark.parametrize("name", [*RULES, "all"])
def test_a_rule_that_is_taken_away_makes_the_token_wrong(store: FileStore, web: Any, name: str) -> None:
    url = upload_url(store, **RULES)
    query = dict(parse_qsl(urlsplit(url).query))
    left = {k: v for k, v in query.items() if k != name and (name != "all" or k == "token")}
    assert web("POST", f"/api/storage/upload?{urlencode(left)}", b"x", PNG).status == 401


@pytest.mark.parametrize(
    "changes",
    [
        {"max_bytes": "11"},
        {"content_types": "image/*"},
        {"once": "0"},
        {"max_bytes": "10", "content_types": "image/png&once=a"},
    ],
)
def test_a_rule_that_is_changed_does_too(store: FileStore, web: Any, changes: dict[str, str]) -> None:
    query = dict(parse_qsl(urlsplit(upload_url(store, **RULES)).query))
    assert web("POST", f"/api/storage/upload?{urlencode(query | changes)}", b"x", PNG).status == 401
    plain = dict(parse_qsl(urlsplit(upload_url(store)).query))
    assert web("POST", f"/api/storage/upload?{urlencode(plain | changes)}", b"x", PNG).status == 401


@pytest.mark.parametrize(
    "rules",
    [
        {"max_bytes": 0},
        {"max_bytes": 1.5},
        {"max_bytes": True},
        {"max_bytes": "10"},
        {"content_types": ["png"]},
        {"content_types": ["*/*"]},
        {"content_types": ["image/png,text/html"]},
        {"content_types": ["image/png&once=1"]},
        {"content_types": []},
        {"content_types": [1]},
    ],
)
def test_what_is_no_rule_is_refused_where_the_url_is_made(store: FileStore, rules: dict[str, Any]) -> None:
    with pytest.raises(DocumentError, match=r"max_bytes must be|content_types are such as"):
        upload_url(store, **rules)


def test_a_body_that_the_head_rules_out_is_not_asked_for() -> None:
    http = HttpRouter()

    @http.route(path="/url", method="GET")
    def url(ctx: Any, request: Any) -> Any:
        return {"url": ctx.storage.generate_upload_url(max_bytes=100_000, content_types="image/png")}

    with testing.in_memory(App(http)) as app, live(app) as client:
        made = webtest.TestApp(app).get("/url").json["url"]
        path = "/" + made.partition("://")[2].partition("/")[2]
        for content_type, size, status in (("image/png", 200_000, 413), ("text/html", 90_000, 415)):
            with Connection(client) as sent:  # type: ignore[arg-type]
                head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: {content_type}\r\n"
                sent.send(f"{head}Content-Length: {size}\r\nExpect: 100-continue\r\n\r\n".encode())
                assert sent.read().status == status
        with Connection(client) as sent:  # type: ignore[arg-type]
            head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\n"
            body = b"30000\r\n" + bytes(0x30000) + b"\r\n0\r\n\r\n"
            sent.send(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + body)
            assert sent.read().status == 413
        assert app.database.read(lambda transaction: transaction.system.query("_storage").first()) is None


@pytest.mark.parametrize("sha512", [True, False])
def test_a_file_whose_size_is_not_announced_is_counted(store: FileStore, web: Any, sha512: bool) -> None:
    for size, status in ((10, 200), (11, 413)):
        digest = base64.b64encode(hashlib.sha512(bytes(size)).digest()).decode()
        headers = {**PNG, "Repr-Digest": f"sha-512=:{digest}:"} if sha512 else PNG
        environ = {"wsgi.input": io.BytesIO(bytes(size)), "wsgi.input_terminated": True, "CONTENT_LENGTH": ""}
        assert web("POST", upload_url(store, max_bytes=10), b"", headers, **environ).status == status
