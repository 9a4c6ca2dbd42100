# SPDX-License-Identifier: MIT
from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from minihttp.auth import fetch
from minihttp.auth.fetch import fetch_json, is_allowed
from tests.auth.fake_provider import FakeProvider


@pytest.mark.parametrize(
    "url",
    [
        "https://a.example.com/x",
        "https://10.0.0.1",
        "http://127.0.0.1:8/x",
        "http://127.9.9.9",
        "http://[::1]/",
        "http://localhost",
    ],
)
def test_addresses_that_may_be_fetched(url: str) -> None:
    assert is_allowed(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://a.example.com",
        "http://10.0.0.1",
        "http://localhost.example.com",
        "http://127.0.0.1.example.com",
        "http://127.0.0.1@example.com",
        "file:///etc/passwd",
        "ftp://localhost/",
        "data:,{}",
        "//a.example.com",
        "a.example.com",
        "https://",
        "https://a:b/",
        "",
    ],
)
def test_addresses_that_may_not(url: str) -> None:
    assert not is_allowed(url)
    with pytest.raises(OSError, match="is not an https URL"):
        fetch_json(url)


def test_a_reply_that_is_no_http(provider: FakeProvider) -> None:
    provider.closed = True
    with pytest.raises(OSError):
        fetch_json(f"{provider.url}/jwks.json")


def test_an_object_and_its_age(provider: FakeProvider) -> None:
    provider.jwks, provider.headers = {"a": 1}, {"Cache-Control": "public, max-age=600"}
    assert fetch_json(f"{provider.url}/x") == ({"a": 1}, 600.0)


@contextmanager
def dripping(head: bytes, drop: bytes) -> Iterator[int]:
    """The port of a server that sends `head` and then `drop` for ever, or for 5 s where nobody hangs up."""
    hung_up = threading.Event()
    server = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        client, _ = server.accept()
        with client, suppress(OSError):
            client.sendall(head)
            for _ in range(500):
                client.sendall(drop)
                if hung_up.wait(0.01):
                    break

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield server.getsockname()[1]
    finally:
        hung_up.set()
        thread.join()
        server.close()


@pytest.mark.parametrize(
    ("head", "drop"),
    [
        (b"", b"H"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"a"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", b" "),
        (b"HTTP/1.1 200 OK\r\n\r\n{}", b" "),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"),
    ],
    ids=["status line", "interim responses", "header", "body", "body without an end", "chunk size"],
)
def test_the_time_limit_is_for_the_whole_however_slowly_it_drips(
    head: bytes, drop: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "FETCH_SECONDS", 0.2)
    with dripping(head, drop) as port, pytest.raises(OSError, match=r"took longer than 0\.2 s"):
        fetch_json(f"http://127.0.0.1:{port}/jwks.json")
