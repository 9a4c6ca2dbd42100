# SPDX-License-Identifier: MIT
"""Downloads from a real server: whole, in pieces, and cut when bytes go missing on the way."""

from __future__ import annotations

import http.client
import os
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from minihttp.files.storage import FileStore
from minihttp.server import Server
from tests.live import Validated

from .conftest import endpoint

DATA = os.urandom(30_000_000)  # more than the buffers of two sockets, of which the client's is small


@pytest.fixture
def connection(store: FileStore) -> Iterator[http.client.HTTPConnection]:
    server = Server(Validated(endpoint(store)), port=0)
    thread = threading.Thread(target=server.run)
    thread.start()
    client = http.client.HTTPConnection(server.host, server.port, timeout=60)
    client.sock = socket.socket()
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    client.sock.settimeout(client.timeout)
    client.sock.connect((server.host, server.port))
    yield client
    client.close()
    server.stop()
    thread.join()


def get(
    connection: http.client.HTTPConnection, store: FileStore, field: str = ""
) -> http.client.HTTPResponse:
    url = store.outside().get_url(store.outside().store(DATA, content_type="video/mp4"))
    assert url is not None
    connection.request("GET", url, headers={"Range": field} if field else {})
    return connection.getresponse()


def test_whole_and_range(store: FileStore, connection: http.client.HTTPConnection) -> None:
    reply = get(connection, store)
    assert (reply.status, reply.read()) == (200, DATA)
    reply = get(connection, store, "bytes=1000000-20999999")
    assert (reply.status, reply.read()) == (206, DATA[1_000_000:21_000_000])
    reply = get(connection, store, "bytes=-5")
    assert (reply.status, reply.read()) == (206, DATA[-5:])


def test_bytes_that_go_missing_cut_the_connection(
    store: FileStore, connection: http.client.HTTPConnection, place: Any
) -> None:
    """The status has been sent, so the length must tell: fewer bytes than announced, and no more requests."""
    reply = get(connection, store)
    got = reply.read(100_000)
    [key] = [key for key, _ in store.backend.list()]
    if place.kind == "filesystem":
        os.truncate(place.path / "files" / key[:2] / key, 200_000)
    else:
        store.backend.delete(key)
    with pytest.raises((http.client.IncompleteRead, ConnectionError)) as cut:
        got += reply.read()
    got += getattr(cut.value, "partial", b"")
    assert len(got) < len(DATA)
    assert DATA.startswith(got)
