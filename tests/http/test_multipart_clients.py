# SPDX-License-Identifier: MIT
"""Forms from real clients, recorded now by a server of a few lines: curl, requests, httpx and Chromium.

Each sends the same fields and file; what is read must be what was sent. One that is not installed is skipped.
"""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.forms import Part, parts_of
from tests.http.environs import make_request

DATA = bytes(range(256)) * 300 + b"\r\n--\r\n\r\n"
NAME, FILENAME = 'a "quoted" field', 'é "日" 😀.bin'
TEXT = "line\r\nsecond é😀\r\n--"
SENT = [
    Part(NAME, TEXT.encode()),
    Part("file", DATA, FILENAME, "application/octet-stream"),
    Part("empty", b""),
]

PAGE = """<!doctype html><script>
const form = new FormData();
form.append('a "quoted" field', 'line\\r\\nsecond é😀\\r\\n--');
const data = new Uint8Array(76808).map((_, i) => i % 256);
data.set([13, 10, 45, 45, 13, 10, 13, 10], 76800);
form.append("file", new File([data], 'é "日" 😀.bin', {type: "application/octet-stream"}));
form.append("empty", "");
fetch("/", {method: "POST", body: form}).then(() => { document.title = "sent"; });
</script>"""


class Recorder(ThreadingHTTPServer):
    """Keeps each (Content-Type, body) that is posted to it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.posts: list[tuple[str, bytes]] = []
        self.url = f"http://127.0.0.1:{self.server_port}/"


class _Handler(BaseHTTPRequestHandler):
    server: Recorder

    def do_GET(self) -> None:
        self._answer(PAGE.encode())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posts.append((self.headers["Content-Type"], body))
        self._answer(b"ok")

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    with Recorder() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def command(*names: str) -> str:
    found = next(filter(None, map(shutil.which, names)), None)
    return found or pytest.skip(f"{names[0]} is not installed")


def received(recorder: Recorder) -> list[Part]:
    [(content_type, body)] = recorder.posts
    return parts_of(make_request("POST", body, content_type).form())


def test_curl(recorder: Recorder, tmp_path: Path) -> None:
    curl = command("curl")
    (tmp_path / "data").write_bytes(DATA)
    (tmp_path / "text").write_bytes(TEXT.encode())
    quoted = FILENAME.replace('"', '\\"')
    subprocess.run(
        [curl, "-sS", "--fail", recorder.url, "-F", f"{NAME}=<{tmp_path / 'text'}", "-F", "empty=",
         "-F", f'file=@{tmp_path / "data"};filename="{quoted}";type=application/octet-stream'],
        check=True, timeout=60,
    )  # fmt: skip
    assert sorted(received(recorder), key=repr) == sorted(SENT, key=repr)


def test_requests(recorder: Recorder) -> None:
    requests = pytest.importorskip("requests")
    with requests.Session() as session:
        session.post(
            recorder.url,
            data={NAME: TEXT, "empty": ""},
            files={"file": (FILENAME, DATA, "application/octet-stream")},
            timeout=60,
        )
    assert sorted(received(recorder), key=repr) == sorted(SENT, key=repr)


def test_httpx(recorder: Recorder) -> None:
    httpx = pytest.importorskip("httpx")
    files = {"file": (FILENAME, DATA, "application/octet-stream")}
    with httpx.Client(trust_env=False, timeout=60) as client:
        client.post(recorder.url, data={NAME: TEXT, "empty": ""}, files=files)
    assert sorted(received(recorder), key=repr) == sorted(SENT, key=repr)


def test_chromium(recorder: Recorder, tmp_path: Path) -> None:
    chromium = command("chromium", "chromium-browser", "google-chrome")
    with suppress(subprocess.TimeoutExpired):
        subprocess.run(
            [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--no-proxy-server", "--no-first-run",
             "--disable-dev-shm-usage", f"--user-data-dir={tmp_path}", "--virtual-time-budget=20000",
             "--dump-dom", recorder.url],
            check=False, timeout=60, capture_output=True,
        )  # fmt: skip
    if not recorder.posts:
        pytest.skip("chromium is installed but does not run here")
    assert received(recorder) == SENT
