# SPDX-License-Identifier: MIT
"""A log that cannot be written holds up nothing: a full disk, a pipe that nobody reads, no standard error."""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from minihttp.logs import BatchingHandler, TextFormatter
from tests.live import PATIENCE_SECONDS, ROOT, Client

APP = ROOT / "tests" / "apps" / "endless.py"
_PIPE_BYTES = 65_536


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


@contextmanager
def served(
    shell_redirect: str, data: Path, **options: Any
) -> Iterator[tuple[subprocess.Popen[bytes], Client]]:
    """A server whose standard error goes where the shell sends it."""
    port = free_port()
    options_given = f"--port {port} --data {data} --grace 2 --log-format json"
    serve = f"exec {sys.executable} -m minihttp serve {APP} {options_given}"
    process = subprocess.Popen(["sh", "-c", f"{serve} {shell_redirect}"], cwd=ROOT, **options)
    client = Client(f"http://127.0.0.1:{port}")
    try:
        _wait_until_it_listens(process, client)
        yield process, client
    finally:
        process.kill()
        process.wait()


def _wait_until_it_listens(process: subprocess.Popen[bytes], client: Client) -> None:
    for _ in range(int(PATIENCE_SECONDS / 0.05)):
        assert process.poll() is None, "the server has ended"
        try:
            assert client.get("/_/health").status == 200
            return
        except ConnectionRefusedError:
            threading.Event().wait(0.05)
    raise AssertionError("it does not listen")


@pytest.mark.parametrize("redirect", ["2>/dev/full", "2>&-", "2>/dev/full >/dev/full", "<&- >&- 2>&-"])
def test_a_full_disk_or_no_standard_error(tmp_path: Path, redirect: str) -> None:
    with served(redirect, tmp_path / "data") as (process, client):
        assert client.get("/ok").status == 200
        assert client.get("/nowhere").status == 404
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0


def test_a_pipe_that_nobody_reads(tmp_path: Path) -> None:
    with served("", tmp_path / "data", stderr=subprocess.PIPE) as (process, client):
        for _ in range(_PIPE_BYTES // 100):
            assert client.get("/nowhere/" + "x" * 100).status == 404
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0
        assert process.stderr is not None
        process.stderr.close()


def test_a_pipe_whose_reader_has_gone(tmp_path: Path) -> None:
    with served("", tmp_path / "data", stderr=subprocess.PIPE) as (process, client):
        assert process.stderr is not None
        process.stderr.close()
        for _ in range(20):
            assert client.get("/nowhere").status == 404
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0


def test_what_is_dropped_is_counted_and_said() -> None:
    reading, writing = os.pipe()
    with open(writing, "w") as stream:
        handler = BatchingHandler(stream, max_pending=50)
        handler.setFormatter(TextFormatter())
        lines = 5_000
        for number in range(lines):
            handler.handle(
                logging.LogRecord("test", logging.WARNING, "", 0, "line %d %s", (number, "x" * 100), None)
            )
        got = b""
        while b"were dropped" not in got:
            got += os.read(reading, _PIPE_BYTES)
        handler.handle(logging.LogRecord("test", logging.WARNING, "", 0, "the end", (), None))
        while b"the end" not in got:
            got += os.read(reading, _PIPE_BYTES)
        handler.close()
    os.close(reading)
    text = got.decode()
    dropped = sum(map(int, re.findall(r"(\d+) lines of this log were dropped", text)))
    assert dropped > 0
    assert dropped + len(re.findall(r"line \d+ x{100}\n", text)) == lines
