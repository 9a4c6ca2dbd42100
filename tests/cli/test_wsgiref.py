# SPDX-License-Identifier: MIT
"""`serve` where waitress is not installed: the standard library serves, and the banner says what it lacks."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import time
from pathlib import Path

from tests.cli.shell import ROOT, Shell, shell

__all__ = ["shell"]


def test_the_standard_library_alone(shell: Shell, tmp_path: Path) -> None:
    hidden = tmp_path / "hidden" / "waitress"
    hidden.mkdir(parents=True)
    (hidden / "__init__.py").write_text(
        "raise ModuleNotFoundError('No module named waitress', name='waitress')\n"
    )
    shell.environ["PYTHONPATH"] = os.pathsep.join([str(hidden.parent), str(ROOT)])
    shell.environ["MINIHTTP_ADMIN_KEY"] = "a long admin key"
    process = shell.process(
        "serve", "--port", "0", "--backup", "backups", "--backup-every", "1s", "--backup-keep", "2"
    )
    assert process.stderr is not None
    lines = []
    while not lines or "without waitress" not in lines[-1]:
        lines.append(process.stderr.readline())
        assert lines[-1] or process.poll() is None, lines
    port = int(re.search(r"127\.0\.0\.1:([0-9]+)", "".join(lines))[1])  # type: ignore[index]
    try:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        client.request("POST", "/items", json.dumps({"name": "pen"}), {"Content-Type": "application/json"})
        assert client.getresponse().status == 201
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        client.request("GET", "/items")
        assert json.loads(client.getresponse().read())["count"] >= 1  # and the cron
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        client.request("GET", "/_/health")
        assert client.getresponse().status == 200
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        client.request("GET", "/_/login")
        assert b"Admin key" in client.getresponse().read()
        end = time.monotonic() + 60
        while not list(tmp_path.glob("backups/*/backup.json")):
            assert time.monotonic() < end
            time.sleep(0.1)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate()
    assert process.returncode == 0
    assert len(os.listdir(tmp_path / "backups")) <= 2


def test_a_worker_beside_a_server_is_told_what_to_do(shell: Shell, tmp_path: Path) -> None:
    from minihttp import App

    with App(data=str(tmp_path / "data"), workers=0):
        done = shell("worker", code=1)
    assert "in use by process" in done.err and "runs its own jobs" in done.err
