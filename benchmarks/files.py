# SPDX-License-Identifier: MIT
"""Uploads, downloads and ranges of one large file: a bare socket, nginx, PocketBase, Flask, falcon, minihttp.

    python benchmarks/files.py [--mib 256] [--rounds 5] [--directory DIR]

The limit of an upload is a socket read into a file and synced, of a download `wsgi.file_wrapper` on stock
waitress. Only the limit and minihttp sync what they acknowledge; only minihttp and PocketBase keep a record
of it, and only minihttp its SHA-256. Needs curl and wrk; a peer that is missing is left out. Servers run side
by side and take turns; medians are printed, and the memory that each grew by.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
MIB = 1024 * 1024
RANGE_BYTES = 4096
WRK_SECONDS = 2

LIMIT = """
import os, socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
buffer = bytearray(1 << 20)
while True:
    connection, _ = listener.accept()
    head = b""
    while b"\\r\\n\\r\\n" not in head and (more := connection.recv(65536)):
        head += more
    if not head:
        continue
    head, _, body = head.partition(b"\\r\\n\\r\\n")
    left = int(head.lower().split(b"content-length:")[1].split()[0]) - len(body)
    with open(os.path.join(sys.argv[2], "limit.bin"), "wb", 0) as file:
        file.write(body)
        while left:
            size = connection.recv_into(buffer)
            file.write(memoryview(buffer)[:size])
            left -= size
        os.fsync(file.fileno())
    connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n")
    connection.close()
"""
BARE = """
import sys, waitress
def application(environ, start_response):
    file = open(sys.argv[3], "rb")
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return environ["wsgi.file_wrapper"](file, 65536)
waitress.serve(application, port=int(sys.argv[1]), _quiet=True)
"""
FLASK = """
import os, shutil, sys, flask, waitress
app = flask.Flask("files")
@app.post("/file")
def upload():
    with open(os.path.join(sys.argv[2], os.urandom(8).hex()), "wb") as file:
        shutil.copyfileobj(flask.request.stream, file, 1 << 18)
    return "ok"
@app.get("/file")
def download():
    return flask.send_file(sys.argv[3])
waitress.serve(app, port=int(sys.argv[1]), max_request_body_size=1 << 40, _quiet=True)
"""
FALCON = """
import os, shutil, sys, falcon, waitress
class Files:
    def on_post(self, request, response):
        with open(os.path.join(sys.argv[2], os.urandom(8).hex()), "wb") as file:
            shutil.copyfileobj(request.bounded_stream, file, 1 << 18)
    def on_get(self, request, response):
        response.set_stream(open(sys.argv[3], "rb"), os.path.getsize(sys.argv[3]))
app = falcon.App()
app.add_route("/file", Files())
waitress.serve(app, port=int(sys.argv[1]), max_request_body_size=1 << 40, _quiet=True)
"""
MINIHTTP = """
import sys
from minihttp import App, HttpRouter, Limits
from minihttp.server import serve
http = HttpRouter()
@http.route(path="/upload_url", method="POST")
def upload_url(ctx, request):
    return {"url": ctx.storage.generate_upload_url()}
@http.route(path="/", method="POST")
def upload(ctx, request):
    return {"url": ctx.storage.get_url(ctx.storage.store(request.body))}
app = App(http, data=sys.argv[2], files=sys.argv[4], limits=Limits(max_body_bytes=1 << 40), workers=0)
serve(app, port=int(sys.argv[1]), max_body_bytes=1 << 40)
"""
NGINX = """
daemon off; worker_processes 2; pid {folder}/pid; error_log /dev/null; user root;
events {{ worker_connections 64; }}
http {{
  access_log off; sendfile on; client_max_body_size 0; client_body_temp_path {folder}/tmp;
  server {{ listen 127.0.0.1:{port}; root {folder}/www; location / {{ dav_methods PUT; }} }}
}}
"""


class Server:
    """A child process that answers on a port of its own, in a folder of its own."""

    upload_url: str | None
    download_url: str | None

    def __init__(self, program: str, folder: Path, source: Path, kind: str = "") -> None:
        folder.mkdir()
        self.port = _free_port()
        self.base = f"http://127.0.0.1:{self.port}/"
        self.upload_url = self.download_url = f"{self.base}file"  # curl adds a name to a URL that ends with /
        self.method = ["-X", "POST"]
        self.process = self.start(program, folder, source, kind)
        _wait(self.port)

    def start(self, program: str, folder: Path, source: Path, kind: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", program, str(self.port), str(folder), str(source), kind]
        return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)  # `-c` imports from there

    def upload(self, source: Path) -> None:
        assert self.upload_url is not None
        _curl("-T", str(source), *self.method, self.upload_url)

    def memory_mib(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


class Minihttp(Server):
    def __init__(self, program: str, folder: Path, source: Path, kind: str) -> None:
        super().__init__(program, folder, source, kind)
        self.download_url = json.loads(_curl("--data-binary", f"@{source}", self.base))["url"]
        self.upload_url = json.loads(_curl("-X", "POST", f"{self.base}upload_url"))["url"]


class Nginx(Server):
    def start(self, program: str, folder: Path, source: Path, kind: str) -> subprocess.Popen[bytes]:
        (folder / "www").mkdir()
        shutil.copy(source, folder / "www" / "file")
        (folder / "conf").write_text(program.format(folder=folder, port=self.port))
        self.upload_url, self.method = f"{self.base}uploaded", ["-X", "PUT"]
        self.download_url = f"{self.base}file"
        return subprocess.Popen(["nginx", "-c", str(folder / "conf"), "-e", "/dev/null"])


class PocketBase(Server):
    def start(self, program: str, folder: Path, source: Path, kind: str) -> subprocess.Popen[bytes]:
        name = shutil.which("pocketbase", path=os.path.dirname(sys.executable)) or "pocketbase"
        self.login = ("bench@example.com", "1234567890")
        options = ["--dir", str(folder)]
        subprocess.run([name, "superuser", "upsert", *self.login, *options], check=True, capture_output=True)
        command = [name, "serve", f"--http=127.0.0.1:{self.port}", *options]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __init__(self, program: str, folder: Path, source: Path, kind: str) -> None:
        super().__init__(program, folder, source, kind)
        api = f"{self.base}api/collections"
        account = dict(zip(("identity", "password"), self.login, strict=True))
        token = _post(f"{api}/_superusers/auth-with-password", account)["token"]
        fields = [{"name": "file", "type": "file", "maxSelect": 1, "maxSize": 1 << 40}]
        rules = dict.fromkeys(("listRule", "viewRule", "createRule"), "")
        _post(api, {"name": "files", "type": "base", "fields": fields, **rules}, token)
        self.records = f"{api}/files/records"
        row = json.loads(_curl("-F", f"file=@{source}", self.records))
        self.download_url = f"{self.base}api/files/files/{row['id']}/{row['file']}"

    def upload(self, source: Path) -> None:
        _curl("-F", f"file=@{source}", self.records)


SERVERS: dict[str, tuple[type[Server], str, str]] = {
    "limit": (Server, LIMIT, ""),
    "file_wrapper, stock waitress": (Server, BARE, ""),
    "nginx": (Nginx, NGINX, ""),
    "PocketBase": (PocketBase, "", ""),
    "Flask": (Server, FLASK, ""),
    "falcon": (Server, FALCON, ""),
    "minihttp, filesystem": (Minihttp, MINIHTTP, "filesystem"),
    "minihttp, sqlite": (Minihttp, MINIHTTP, "sqlite"),
}
UPLOAD_LIMIT, DOWNLOAD_LIMIT = "limit", "file_wrapper, stock waitress"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _wait(port: int) -> None:
    for _ in range(200):
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.05)
    raise RuntimeError("a server did not start")


def _curl(*arguments: str) -> bytes:
    command = ["curl", "-sf", "-H", "Expect:", "-H", "Content-Type:", *arguments]
    if "-F" in arguments:
        command = ["curl", "-sf", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout


def _post(url: str, value: dict[str, Any], token: str = "") -> Any:
    headers = {"Content-Type": "application/json", "Authorization": token}
    request = urllib.request.Request(url, json.dumps(value).encode(), headers)
    with urllib.request.urlopen(request) as reply:
        return json.load(reply)


def _seconds(call: Any, *arguments: Any) -> float:
    os.sync()
    start = time.perf_counter()
    call(*arguments)
    return time.perf_counter() - start


def _ranges_per_second(url: str) -> float:
    field = f"Range: bytes={MIB}-{MIB + RANGE_BYTES - 1}"
    report = subprocess.run(
        ["wrk", "-t1", "-c8", f"-d{WRK_SECONDS}s", "-H", field, url],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return float(report.split("Requests/sec:")[1].split()[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mib", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--directory")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.directory) as folder:
        source = Path(folder, "source")
        with source.open("wb") as file:
            for _ in range(options.mib):
                file.write(os.urandom(MIB))
        servers: dict[str, Server] = {}
        try:
            for number, (name, (kind, program, argument)) in enumerate(SERVERS.items()):
                try:
                    servers[name] = kind(program, Path(folder, str(number)), source, argument)
                except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
                    print(f"{name} left out: {error}", file=sys.stderr)
            report(servers, source, options.mib, options.rounds)
        finally:
            for server in servers.values():
                server.stop()


def report(servers: dict[str, Server], source: Path, size_mib: int, rounds: int) -> None:
    before = {name: server.memory_mib() for name, server in servers.items()}
    uploads: dict[str, list[float]] = {name: [] for name in servers if name != DOWNLOAD_LIMIT}
    downloads: dict[str, list[float]] = {name: [] for name in servers if name != UPLOAD_LIMIT}
    for _ in range(rounds):
        for name, found in uploads.items():
            found.append(_seconds(servers[name].upload, source))
        for name, found in downloads.items():
            found.append(_seconds(_curl, "-o", os.devnull, servers[name].download_url))
    grown = {name: server.memory_mib() - before[name] for name, server in servers.items()}
    up = {name: statistics.median(found) for name, found in uploads.items()}
    down = {name: statistics.median(found) for name, found in downloads.items()}
    print(
        f"| {size_mib} MiB | upload, s | limit / it | download, s | limit / it | grew, MiB | 4 KiB ranges/s |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|")
    for name, server in servers.items():
        cells = [name]
        for seconds, limit in ((up, UPLOAD_LIMIT), (down, DOWNLOAD_LIMIT)):
            cells += (
                [f"{seconds[name]:.2f}", f"{seconds[limit] / seconds[name]:.2f}"]
                if name in seconds
                else ["–", "–"]
            )
        cells.append(f"{grown[name]:.0f}")
        ranged = name not in (UPLOAD_LIMIT, DOWNLOAD_LIMIT, "falcon") and server.download_url
        cells.append(f"{_ranges_per_second(ranged):,.0f}" if ranged else "–")
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
