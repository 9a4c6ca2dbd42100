# SPDX-License-Identifier: MIT
"""A real server whose disk fills up: 507 and one clear log line for each refusal, reads go on, nothing
acknowledged is lost.
"""

from __future__ import annotations

import shutil
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live import ROOT, Client, Process, Reply, small_disk

MIB = 1024 * 1024
APP = ROOT / "tests" / "apps" / "bank.py"
OPTIONS = ("--workers", "0", "--log-level", "warning")


@pytest.fixture
def disk() -> Iterator[Path]:
    with small_disk("size=24m") as folder:
        yield folder


def note(client: Client, number: int) -> Reply:
    args = {"key": f"{number:04}" + "x" * 200_000, "round": 0}
    return client.post("/api/mutation", {"path": "bank:note", "args": args})


def notes(client: Client) -> Any:
    reply = client.post("/api/query", {"path": "bank:state", "args": {"round": 0}})
    return [int(key[:4]) for key in reply.json()["value"]["notes"]]


def upload_path(client: Client) -> str:
    """Where a file may be uploaded: only such a body is spooled on the disk of the data."""
    url: str = client.post("/api/mutation", {"path": "bank:upload_url", "args": {}}).json()["value"]
    return "/api/" + url.partition("/api/")[2]


def test_a_disk_that_fills_up(disk: Path) -> None:
    server = Process(APP, disk / "data", *OPTIONS)
    try:
        (disk / "filler").write_bytes(bytes(10 * MIB))
        acknowledged = 0
        while (reply := note(server.client, acknowledged)).status == 200:
            acknowledged += 1
        assert (reply.status, reply.json()["code"]) == (507, "StorageFull")
        assert note(server.client, acknowledged).status == 507
        assert notes(server.client) == list(range(acknowledged)), "reads go on"
        assert acknowledged > 3
        assert sum("disk is full" in line for line in server.output().splitlines()) == 2
        assert "Traceback" not in server.output()

        (disk / "filler").unlink()
        assert note(server.client, acknowledged).status == 200, "with room again it writes again"
        server.kill()
        server = Process(APP, disk / "data", *OPTIONS)
        assert notes(server.client) == list(range(acknowledged + 1))
        assert server.terminate() == 0
    finally:
        server.kill()
    with sqlite3.connect(disk / "data" / "app.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


def test_a_body_that_the_disk_has_no_room_for(disk: Path) -> None:
    server = Process(APP, disk / "data", *OPTIONS)
    try:
        path = upload_path(server.client)
        (disk / "filler").write_bytes(bytes(12 * MIB))
        reply = server.client.post(path, bytes(15 * MIB), {"Content-Type": "text/plain"})
        assert reply.status == 507
        assert reply.json() == {"error": "Insufficient Storage: the request body cannot be kept"}
        assert note(server.client, 0).status == 200, "the room that it took is free again"
        assert "cannot be spooled: [Errno 28]" in server.output()
        assert "Traceback" not in server.output()
        assert server.terminate() == 0
    finally:
        server.kill()


def test_a_body_cut_half_way_gives_its_room_back(disk: Path) -> None:
    server = Process(APP, disk / "data", *OPTIONS)
    try:
        target = upload_path(server.client)
        head = f"POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 15000000\r\n\r\n"
        with socket.create_connection(("127.0.0.1", server.client.port or 0)) as half:
            half.sendall(head.encode())
            half.sendall(bytes(12_000_000))
            while shutil.disk_usage(disk).free > 14_000_000:
                notes(server.client)
        for _ in range(1_000):
            if shutil.disk_usage(disk).free > 20_000_000:
                break
            notes(server.client)
        assert shutil.disk_usage(disk).free > 20_000_000
        assert server.terminate() == 0
    finally:
        server.kill()
