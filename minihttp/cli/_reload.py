# SPDX-License-Identifier: MIT
"""`serve --reload`: a parent that keeps the socket, and a child that serves until a file changes.

The parent polls the user's files. While the child cannot start, because of a syntax error say, the parent
answers every request with what the child said, and the page asks again by itself. Knows nothing of apps.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.util import cache_from_source
from typing import IO, Any

from . import PROGRAM

_POLL_SECONDS = 0.2
_GRACE_SECONDS = 1.0  # what a request in flight is given when a file has changed
_MAX_LINES_SHOWN = 20
_WATCHED = (".py", ".env", ".toml")
_SKIPPED = ("__pycache__", "node_modules", "site-packages", "dist-packages")


def reload(argv: Sequence[str], target: str, listener: socket.socket, environ: Mapping[str, str]) -> int:
    """Serves until interrupted, with a new child after each change; returns the exit code.

    Args:
        argv: the command, with `--reload`.
        target: its TARGET; the files below the current folder and below a target elsewhere are watched.
        listener: the bound socket, which every child in turn inherits.
        environ: the environment of every child, without `.env`: each reads that file itself.
    """
    folder = target if os.path.isdir(target) else os.path.dirname(target)
    folders = {os.path.realpath("."), os.path.realpath(folder or ".")}
    signal.signal(signal.SIGTERM, _exit)
    command = [sys.executable, "-m", PROGRAM, *(a for a in argv if a != "--reload")]
    command += ["--fd", str(listener.fileno()), "--grace", str(_GRACE_SECONDS)]
    if sys.stderr.isatty():
        command += ["--log-format", "text"]  # the child writes to a pipe
    child = None
    try:
        while True:
            before = stamps(folders)
            child = _Child(command, listener, environ)
            while child.is_running() and not has_changed(folders, before):
                child.wait(_POLL_SECONDS)
            if child.is_running():
                child.stop()
            elif child.code == 0:
                return 0
            else:
                while not has_changed(folders, before):
                    answer(listener, child.last_words(), _POLL_SECONDS)
    except KeyboardInterrupt:
        if child is not None:
            child.wait(_GRACE_SECONDS + 0.5)  # the terminal has told it too, and a second signal would cut it
        return 0
    finally:
        if child is not None:
            child.stop()


class _Child:
    """One run of the server; its standard error is passed on, and its end is kept."""

    def __init__(self, command: Sequence[str], listener: socket.socket, environ: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(  # noqa: S603  (our own command)
            command, pass_fds=[listener.fileno()], env=environ, stderr=subprocess.PIPE, text=True
        )
        assert self._process.stderr is not None
        self._lines: deque[str] = deque(maxlen=_MAX_LINES_SHOWN)
        self._reader = threading.Thread(target=self._pass_on, args=(self._process.stderr,), daemon=True)
        self._reader.start()

    def _pass_on(self, pipe: IO[str]) -> None:
        for line in pipe:
            self._lines.append(line)
            sys.stderr.write(line)
            sys.stderr.flush()

    def is_running(self) -> bool:
        return self._process.poll() is None

    @property
    def code(self) -> int | None:
        return self._process.returncode

    def wait(self, seconds: float) -> None:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            pass

    def stop(self) -> None:
        self._process.terminate()
        self.wait(_GRACE_SECONDS + 0.5)
        if self.is_running():
            self._process.kill()
            self._process.wait()

    def last_words(self) -> str:
        self._reader.join()
        return "".join(self._lines)


def has_changed(folders: set[str], before: dict[str, int]) -> bool:
    """Whether a watched file is not as it was.

    The bytecode of each such file is removed. Python knows a source by its size and the second of its last
    change, so it takes two quick saves of one size for the same.
    """
    changed = {path for path, _ in stamps(folders).items() ^ before.items()}
    for path in changed:
        with suppress(OSError):  # there is none
            os.unlink(cache_from_source(path))
    return bool(changed)


def stamps(folders: set[str]) -> dict[str, int]:
    """Path -> time of the last change in ns, of every watched file below `folders`."""
    found = {}
    for top in folders:
        for folder, subfolders, files in os.walk(top):
            subfolders[:] = [s for s in subfolders if not s.startswith(".") and s not in _SKIPPED]
            if "pyvenv.cfg" in files:
                subfolders.clear()
            for file in files:
                if file.endswith(_WATCHED):
                    path = os.path.join(folder, file)
                    with suppress(OSError):  # an editor replaces it just now
                        found[path] = os.stat(path).st_mtime_ns
    return found


def answer(listener: socket.socket, text: str, seconds: float) -> None:
    """Answers one request with `text` and status 500, if one comes within so many seconds."""
    if not select.select([listener], [], [], seconds)[0]:
        return
    body = text.encode("utf-8", "replace")
    head = (
        "HTTP/1.1 500 Internal Server Error\r\nContent-Type: text/plain; charset=utf-8\r\nRefresh: 1\r\n"
        f"X-Content-Type-Options: nosniff\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    try:
        client, _ = listener.accept()
        with client:
            client.settimeout(seconds)
            client.recv(65_536)
            client.sendall(head.encode("ascii") + body)
            client.shutdown(socket.SHUT_WR)
            client.recv(65_536)
    except OSError:  # it left, or is slow
        pass


def _exit(number: int, frame: Any) -> None:
    raise SystemExit(0)
