# SPDX-License-Identifier: MIT
"""Socket activation, as systemd does it: the socket outlives the server, and no connection is refused."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from minihttp.errors import ConfigurationError
from minihttp.server import inherited
from tests.live import PATIENCE_SECONDS, ROOT, Client

APP = ROOT / "tests" / "apps" / "endless.py"


def activated(listener: socket.socket, data: Path, *, count: int = 1) -> subprocess.Popen[bytes]:
    """A server to which this process passes its socket as descriptor 3."""
    serve = [sys.executable, "-m", "minihttp", "serve", str(APP), "--data", str(data), "--port", "1"]
    code = (
        f"import os; os.dup2({listener.fileno()}, 3);"
        f" os.environ.update(LISTEN_FDS='{count}', LISTEN_PID=str(os.getpid()));"
        f" os.execv({sys.executable!r}, {serve!r})"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, pass_fds=[listener.fileno()], stderr=subprocess.PIPE
    )


def says_and_ends(process: subprocess.Popen[bytes]) -> tuple[bytes, int]:
    _, said = process.communicate(timeout=PATIENCE_SECONDS)
    return said, process.returncode


def test_a_restart_refuses_no_connection(tmp_path: Path) -> None:
    """Requests are sent all the time while the server is restarted twice."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        client = Client(f"http://127.0.0.1:{listener.getsockname()[1]}")
        process = activated(listener, tmp_path / "data")
        statuses: list[int] = []
        wrong: list[Any] = []
        done = threading.Event()

        def ask() -> None:
            while not done.is_set():
                try:
                    statuses.append(client.get("/ok").status)
                except Exception as error:
                    wrong.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            for _ in range(2):
                before = len(statuses)
                while len(statuses) < before + 20 and process.poll() is None:
                    threading.Event().wait(0.02)
                process.send_signal(signal.SIGTERM)
                assert says_and_ends(process)[1] == 0
                process = activated(listener, tmp_path / "data")
            before = len(statuses)
            while len(statuses) < before + 20 and process.poll() is None:
                threading.Event().wait(0.02)
        finally:
            done.set()
            thread.join(PATIENCE_SECONDS)
            process.kill()
            process.communicate()
    assert wrong == []
    assert set(statuses) == {200}


@pytest.mark.parametrize("count", [2])
def test_several_sockets_are_refused(tmp_path: Path, count: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = activated(listener, tmp_path / "data", count=count)
        said, code = says_and_ends(process)
        assert b"systemd passes 2 sockets" in said
        assert code == 1


def test_a_unix_socket_is_refused(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        process = activated(listener, tmp_path / "data")
        said, code = says_and_ends(process)
        assert b"which is no TCP port" in said
        assert code == 1


def test_what_is_meant_for_another_process_is_left_alone() -> None:
    environ = {"LISTEN_PID": str(os.getpid() + 1), "LISTEN_FDS": "1"}
    assert inherited(environ) is None
    assert environ
    with pytest.raises(ConfigurationError, match="passes 3 sockets"):
        inherited({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "3"})
    assert inherited({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "0"}) is None, "none is passed"
