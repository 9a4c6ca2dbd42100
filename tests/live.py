# SPDX-License-Identifier: MIT
"""An app on a real socket, for tests: in a thread of this process, or as `minihttp serve` in one of its own.

Every request goes through `wsgiref.validate`.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from wsgiref.validate import validator

from minihttp.server import Server

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_SECONDS = 60.0  # a test that hangs fails; none waits so long
# A busy machine is no fault of a function.
_SERVER = {"PYTHONUNBUFFERED": "1"} | dict.fromkeys(
    ("MINIHTTP_LIMITS_QUERY_SECONDS", "MINIHTTP_LIMITS_MUTATION_SECONDS"), str(PATIENCE_SECONDS)
)
_METHODS = ("GET", "HEAD", "POST", "OPTIONS", "PATCH", "PUT", "DELETE", "TRACE")


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]  # by lower-case name
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


class Client:
    """One HTTP/1.1 connection at a time to one server."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.host, self.port = urlsplit(url).hostname, urlsplit(url).port

    def request(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Send a request; `body` may be bytes, an iterable of bytes (sent chunked), or a value to send as
        JSON.
        """
        headers = dict(headers or {})
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection(self.host, self.port, timeout=PATIENCE_SECONDS)
        try:
            connection.request(method, path, body=body, headers=headers)
            response = connection.getresponse()
            fields = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, fields, response.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Reply:
        return self.request("GET", path, headers={k.replace("_", "-"): v for k, v in headers.items()})

    def post(self, path: str, body: Any = b"", headers: Mapping[str, str] | None = None) -> Reply:
        return self.request("POST", path, body, headers)


_SHOWN = ("Content-Type", "text/x-shown-to-the-validator")


class Validated:
    """A WSGI application inside `wsgiref.validate`; what a server asks of an `App` besides goes to the app.

    The server's own file wrapper and the descriptor of a spooled body pass through it, or the checker would
    hide them. A path without a slash and a method of no RFC go past: it takes them for the server's mistake.
    A redirect without a Content-Type, which RFC 9110 §8.3 does not want, is shown to it with one.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self._checked = validator(self._inside)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        if not environ["PATH_INFO"].startswith("/") or environ["REQUEST_METHOD"] not in _METHODS:
            return self._app(environ, start_response)

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            sent = [pair for pair in headers if pair != _SHOWN]
            return start_response(status, sent, exc_info) if exc_info else start_response(status, sent)

        reply = self._checked(environ, start)
        if not isinstance(reply.original_iterator, environ.get("wsgi.file_wrapper", ())):
            return reply
        reply.closed = True  # by the server, which the file itself goes to
        return reply.original_iterator

    def _inside(self, environ: dict[str, Any], start_response: Any) -> Any:
        environ["wsgi.input"] = _Input(environ["wsgi.input"])

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            if status[0] == "3" and not any(name.lower() == "content-type" for name, _ in headers):
                headers = [*headers, _SHOWN]
            return start_response(status, headers, exc_info) if exc_info else start_response(status, headers)

        return self._app(environ, start)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._app, name)


class _Input:
    """A request body whose reading is checked and whose other methods are those of the server's file."""

    def __init__(self, checked: Any) -> None:
        self._checked = checked

    def __getattr__(self, name: str) -> Any:
        return getattr(self._checked if hasattr(self._checked, name) else self._checked.input, name)


@contextmanager
def live(app: Any, **settings: Any) -> Iterator[Client]:
    """Serve a WSGI callable on a port of its own, in a thread, drained at the end."""
    server = Server(Validated(app), port=0, **{"grace_seconds": 5.0, **settings})
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield Client(server.url)
    finally:
        server.stop()
        thread.join()


def serve_command(
    target: str | Path, data: Path, *options: str, module: str = "tests.validated"
) -> list[str]:
    """What to run, in ROOT, for a server on a port of its own, inside `wsgiref.validate`; the module
    "minihttp" is the one of users.
    """
    serve = [sys.executable, "-m", module, "serve", str(target)]
    return [*serve, "--port", "0", "--data", str(data), *options]


class Process:
    """`minihttp serve TARGET` as a process; `client` talks to it."""

    def __init__(
        self,
        target: str | Path,
        data: Path,
        *options: str,
        env: Mapping[str, str] | None = None,
        module: str = "tests.validated",
    ) -> None:
        self.log = open(data.parent / f"{data.name}.log", "a+b")  # noqa: SIM115  (closed by kill)
        start = self.log.seek(0, os.SEEK_END)
        self.popen = subprocess.Popen(
            serve_command(target, data, *options, module=module),
            cwd=ROOT,
            env={**os.environ, **_SERVER, **(env or {})},
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )
        try:
            self.client = Client(self._wait_for_url(start))
        except BaseException:
            self.kill()
            raise

    def _wait_for_url(self, start: int) -> str:
        while True:
            text = self.output(start)
            found = re.search(r"http://[0-9.]+:[0-9]+", text)
            if found:
                return found[0]
            try:
                self.popen.wait(0.02)
            except subprocess.TimeoutExpired:
                continue
            raise AssertionError(f"the server ended with {self.popen.returncode}:\n{text}")

    def output(self, start: int = 0) -> str:
        with open(self.log.name, "rb") as file:
            file.seek(start)
            return file.read().decode(errors="replace")

    def kill(self) -> None:
        """SIGKILL."""
        self.popen.kill()
        self.popen.wait()
        self.log.close()

    def terminate(self) -> int:
        """SIGTERM; returns the exit code."""
        self.popen.terminate()
        code = self.popen.wait(PATIENCE_SECONDS)
        self.log.close()
        return code


@contextmanager
def small_disk(options: str) -> Iterator[Path]:
    """A file system in memory, made with these options of mount(8); skips where that is not allowed.

    Not below pytest's own folders, which it tidies up.
    """
    import pytest  # here: the servers of the tests load this module too

    with tempfile.TemporaryDirectory() as folder:
        mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder]
        if subprocess.run(mount, capture_output=True).returncode:
            pytest.skip("only root can mount a small file system")
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)
