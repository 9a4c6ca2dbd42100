# SPDX-License-Identifier: MIT
"""Jobs and crons under other servers before any request; two workers on one data directory."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.live import PATIENCE_SECONDS, ROOT, Client

DEPLOY = ROOT / "docs" / "deploy"


@contextmanager
def running(tmp_path: Path, command: str) -> Iterator[tuple[subprocess.Popen[bytes], Client, Path]]:
    """A server in a folder with `app.py`, `wsgi.py` and `gunicorn.conf.py`; and where its log goes."""
    module, *arguments = command.split()
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed")
    start = ["-c", "import pyuwsgi; pyuwsgi.run()"] if module == "pyuwsgi" else ["-m", module]
    (tmp_path / "app.py").write_text("from tests.apps.beating import app\n")
    for name in ("wsgi.py", "gunicorn.conf.py"):
        if name == "wsgi.py" or name in command:
            shutil.copy(DEPLOY / name, tmp_path / name)  # gunicorn reads a gunicorn.conf.py that is here
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    log = tmp_path / "log"
    env = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}",
        "BEAT_FILE": str(tmp_path / "beats"),
        "BEAT_DATA": str(tmp_path / "data"),
    }
    with open(log, "wb") as output:
        process = subprocess.Popen(
            [sys.executable, *start, *(argument.format(port=port) for argument in arguments)],
            cwd=tmp_path,
            env=env,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield process, Client(f"http://127.0.0.1:{port}"), log
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def wait_for(path: Path, process: subprocess.Popen[bytes], log: Path) -> str:
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until and process.poll() is None:
        if path.exists() and (text := path.read_text()):
            return text
        time.sleep(0.05)
    raise AssertionError(log.read_text())


SERVERS = [
    "gunicorn -c gunicorn.conf.py -b 127.0.0.1:{port} app:app",
    "gunicorn --preload --threads 4 -b 127.0.0.1:{port} wsgi:app",
    "gunicorn --threads 4 -b 127.0.0.1:{port} wsgi:app",
    "waitress --listen=127.0.0.1:{port} wsgi:app",
    "granian --interface wsgi --workers 1 --blocking-threads 4 --port {port} wsgi:app",
    "pyuwsgi --master --die-on-term --enable-threads --threads 4 --http-socket 127.0.0.1:{port}"
    " --module wsgi:app",
]


@pytest.mark.parametrize("command", SERVERS)
def test_crons_run_before_the_first_request(tmp_path: Path, command: str) -> None:
    with running(tmp_path, command) as (process, client, log):
        beats = wait_for(tmp_path / "beats", process, log)
        _wait_until_it_listens(client, process, log)
        reply = client.post("/api/mutation", {"path": "beating:mark", "args": {}})
        served_by = f"{int(reply.json()['value'])}\n"
        # Preloaded, it may have run before the server forked; in any case once.
        assert beats == served_by or ("--preload" in command and beats.count("\n") == 1)
        assert client.get("/_/ready").status == 200


def test_a_second_worker_with_the_hook_stops_gunicorn(tmp_path: Path) -> None:
    command = "gunicorn -c gunicorn.conf.py --workers 2 -b 127.0.0.1:{port} app:app"
    with running(tmp_path, command) as (process, _, log):
        assert process.wait(PATIENCE_SECONDS) == 3
        assert "is in use by process" in log.read_text()


def test_a_second_worker_without_the_hook_refuses_and_says_so_once(tmp_path: Path) -> None:
    command = "gunicorn --workers 2 --threads 2 -b 127.0.0.1:{port} app:app"
    with running(tmp_path, command) as (process, client, log):
        _wait_until_it_listens(client, process, log)
        seen: dict[int, int] = {}
        for _ in range(40):
            try:
                reply = client.post("/api/mutation", {"path": "beating:mark", "args": {}})
            except OSError as error:
                raise AssertionError(log.read_text()) from error
            seen[reply.status] = seen.get(reply.status, 0) + 1
            if reply.status == 503:
                assert reply.headers["retry-after"] == "5"
            ready = client.get("/_/ready").status
            assert ready in (200, 503)
        assert set(seen) <= {200, 503}
        assert seen[200]
        if 503 in seen:
            assert log.read_text().count("is in use by process") == 1
        marks = client.post("/api/query", {"path": "beating:marks", "args": {}})
        assert marks.status == 503 or marks.json()["value"] == seen[200]


def _wait_until_it_listens(client: Client, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            client.get("/_/health")
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(log.read_text())
