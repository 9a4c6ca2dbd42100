# SPDX-License-Identifier: MIT
"""`python -m minihttp` as a process, whose standard error is read line by line."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PATIENCE_SECONDS = 60.0
APP = """
from minihttp import App, HttpRouter, Response
http = HttpRouter()

@http.route(path="/hello/{name}", method="GET")
def hello(ctx, request):
    return Response("hello")

@http.route(path="/fails", method="GET")
def fails(ctx, request):
    return helper()

def helper():
    raise ValueError("this went\\nwrong")

app = App(http)
"""


class Program:
    """`python -m minihttp …` in `folder`; its standard error is read line by line."""

    def __init__(
        self,
        folder: Path,
        *argv: str,
        env: Mapping[str, str] | None = None,
        start_new_session: bool = False,
    ) -> None:
        environ = {**os.environ, "PYTHONPATH": str(ROOT), **(env or {})}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "minihttp", *argv],
            cwd=folder,
            env=environ,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=start_new_session,
        )
        self.lines: deque[str] = deque()
        self._come = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._come:
                self.lines.append(line.rstrip("\n"))
                self._come.notify()

    def wait_for(self, pattern: str) -> re.Match[str]:
        """The next line that holds `pattern`; those before it are dropped."""
        while True:
            with self._come:
                assert self._come.wait_for(lambda: bool(self.lines), PATIENCE_SECONDS), (
                    f"no line has {pattern!r}"
                )
                found = re.search(pattern, self.lines.popleft())
            if found:
                return found

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.finish()

    def finish(self) -> int:
        code = self.process.wait(PATIENCE_SECONDS)
        self._reader.join(PATIENCE_SECONDS)
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code


@pytest.fixture
def programs() -> Iterator[list[Program]]:
    started: list[Program] = []
    yield started
    for program in started:
        if program.process.poll() is None:
            program.end(signal.SIGKILL)


def get(url: str) -> tuple[int, Mapping[str, str], str]:
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE_SECONDS) as reply:
            return reply.status, dict(reply.headers), reply.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read().decode()
