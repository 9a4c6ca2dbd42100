# SPDX-License-Identifier: MIT
"""The files of docs/deploy/, tried with the programs they are for, and the app under other WSGI servers."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server
from wsgiref.validate import validator

import pytest

from minihttp import App, HttpRouter, Limits, Response
from minihttp.cli._settings import PREFIX, SETTINGS

from .server import test_edges as odd
from .server.wire import PATIENCE_SECONDS, Connection, posted, running

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "docs" / "deploy"


def make_app() -> App:
    """What the proxy or the server hands on, as the handler sees it."""
    http = HttpRouter()

    @http.route(path="/seen", method="GET")
    def seen(ctx: Any, request: Any) -> Response:
        environ = request.environ
        return Response.json(
            {
                "url": request.url,
                "client": environ["REMOTE_ADDR"],
                "request_id": environ.get("minihttp.request_id"),
                "forwarded_for": request.headers.get("X-Forwarded-For"),
            }
        )

    @http.route(path="/echo/{name}", method="POST")
    def echo(ctx: Any, request: Any) -> Response:
        return Response.json({"name": request.path_params["name"], "got": request.json()}, status=201)

    @http.route(path="/stream", method="GET")
    def stream(ctx: Any, request: Any) -> Response:
        return Response(iter([b"x" * 1000] * 100), headers={"Content-Type": "text/plain"})

    return App(http)


app = make_app()  # what gunicorn and granian import


def call(
    url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None, method: str | None = None
) -> tuple[int, bytes]:
    request = urllib.request.Request(url, body, dict(headers or {}), method=method)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


@contextmanager
def reserved_port() -> Iterator[int]:
    """A port that nobody gets who asks for any: a socket that does not listen holds it meanwhile.

    A program that asks for this very port with SO_REUSEADDR, as servers do, may listen on it.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield int(holder.getsockname()[1])


@pytest.fixture
def port() -> Iterator[int]:
    with reserved_port() as port:
        yield port


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@contextmanager
def program(*command: str, port: int, env: Mapping[str, str] | None = None) -> Iterator[str]:
    """A server program that is to listen on `port`; the URL it answers on, once it does."""
    process = subprocess.Popen(command, env={**os.environ, **(env or {})}, stderr=subprocess.PIPE, cwd=ROOT)
    try:
        while not listens(port):
            try:
                process.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
            raise AssertionError(process.communicate()[1].decode())
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE_SECONDS)


def smoke(url: str) -> None:
    """One request of each kind; the app is the same under every server."""
    assert call(url + "/_/health") == (200, b'{"status":"ok"}')
    status, body = call(url + "/echo/a%20b", b'{"n": 1}', {"Content-Type": "application/json"})
    assert status == 201 and json.loads(body) == {"name": "a b", "got": {"n": 1}}
    assert call(url + "/echo/x", b"{", {"Content-Type": "application/json"})[0] == 400
    assert call(url + "/seen", method="HEAD") == (200, b"")
    assert call(url + "/stream") == (200, b"x" * 100_000)
    assert call(url + "/nowhere")[0] == 404
    assert call(url + "/%00")[0] == 400
    assert call(url + "/seen", b"")[0] == 405


class Quiet(WSGIRequestHandler):
    def log_message(self, *arguments: Any) -> None:
        pass


def test_under_wsgiref_and_its_validator() -> None:
    server = make_server("127.0.0.1", 0, validator(make_app()), handler_class=Quiet)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        smoke(f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_under_our_server_and_the_validator() -> None:
    with running(validator(make_app())) as server:
        smoke(server.url)


def test_under_plain_waitress(port: int) -> None:
    run = (
        f"import waitress; from tests.test_deploy import app; waitress.serve(app, listen='127.0.0.1:{port}')"
    )
    with program(sys.executable, "-c", run, port=port) as url:
        smoke(url)


def test_under_gunicorn(port: int) -> None:
    pytest.importorskip("gunicorn")
    command = [sys.executable, "-m", "gunicorn", "-k", "gthread", "--threads", "4", "-b", f"127.0.0.1:{port}"]
    with program(*command, "tests.test_deploy:app", port=port) as url:
        smoke(url)


def test_under_granian(port: int) -> None:
    pytest.importorskip("granian")
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--port", str(port)]
    with program(*command, "tests.test_deploy:app", port=port) as url:
        smoke(url)


def needs(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def behind_a_proxy(url: str, server_url: str) -> None:
    """What holds behind any proxy that is set up as documented."""
    status, body = call(url + "/seen", headers={"X-Forwarded-For": "192.0.2.66", "X-Request-Id": "forged"})
    seen = json.loads(body)
    assert status == 200 and seen["client"] == "127.0.0.1"
    assert seen["url"] == url + "/seen"
    assert seen["request_id"] not in (None, "forged") and len(seen["request_id"]) > 16
    assert call(url + "/echo/x", b'{"n": 1}', {"Content-Type": "application/json"})[0] == 201
    assert posted(url, "/echo/x", 21_000_000, {"Content-Type": "application/json"}) == 413
    assert call(url + "/stream") == (200, b"x" * 100_000)
    assert call(url + "/_/health")[0] in (403, 404) and call(server_url + "/_/health")[0] == 200


@contextmanager
def behind_nginx(tmp_path: Path, port: int, server_port: int, host: str) -> Iterator[str]:
    """nginx on `port` as documented but for the Host that it passes on, in front of a server; its URL."""
    nginx = needs("nginx")
    site = (DEPLOY / "nginx.conf").read_text()
    assert "127.0.0.1:8080" in site and "listen 80;" in site
    site = site.replace("127.0.0.1:8080", f"127.0.0.1:{server_port}").replace("listen 80;", f"listen {port};")
    site = site.replace("Host $host;", f"Host {host};")
    paths = "".join(
        f"{kind}_temp_path {tmp_path};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    main = f"daemon off; pid {tmp_path}/pid; events {{}} http {{ access_log off; {paths}\n{site}\n}}"
    (tmp_path / "main.conf").write_text(main)
    with program(nginx, "-e", "stderr", "-c", str(tmp_path / "main.conf"), port=port) as url:
        yield url


def test_behind_nginx(tmp_path: Path, port: int) -> None:
    with (
        running(make_app(), trusted_proxy="127.0.0.1") as server,
        behind_nginx(tmp_path, port, server.port, "$http_host") as url,  # the port is not the standard one
    ):
        behind_a_proxy(url, server.url)


# nginx takes these and writes a request of its own, which is a good one; directly they are refused.
MENDED_BY_NGINX = {
    "bare LF in a header",
    "header without colon",
    "two empty lines first",
    "a line feed first",
    "bare LF after a size",
    "trailers ended by bare LF",
    "no version",
}


def verdicts(server: Any, sent: bytes, count: int) -> tuple[list[bool], int]:
    """Whether each of so many requests was accepted; and how many were handled beyond the responses.

    One more request at the end ends the connection.
    """
    odd.handled.clear()
    with Connection(server) as client:
        with suppress(OSError):
            client.send(sent + odd.get("/x", "Connection: close"))
        received = b""
        with suppress(OSError):
            while data := client.socket.recv(65_536):
                received += data
    statuses = [int(status) for status in re.findall(rb"HTTP/1\.[01] ([2-5][0-9]{2}) ", received)]
    found = [status < 400 for status in statuses] or [b'"error"' not in received]  # HTTP/0.9 has no status
    return found[:count], max(0, len(odd.handled) - len(found))


def test_nginx_in_front_changes_no_verdict(tmp_path: Path, port: int) -> None:
    """Of the same hostile bytes, what is refused stays refused, and what is accepted stays accepted."""
    app = App(odd.http, limits=Limits(max_body_bytes=100_000))
    with (
        running(app, max_body_bytes=100_000, trusted_proxy="127.0.0.1") as server,
        behind_nginx(tmp_path, port, server.port, "$host"),
    ):
        front = SimpleNamespace(host="127.0.0.1", port=port)
        found = {
            name: [verdicts(to, sent, max(1, len(statuses))) for to in (server, front)]
            for name, sent, statuses in odd.CASES
        }
    changed = {name for name, (directly, through) in found.items() if directly[0] != through[0]}
    assert changed == MENDED_BY_NGINX
    assert not any(found[name][0][0][0] for name in MENDED_BY_NGINX), "never the other way round"
    assert {name for name, both in found.items() if both[0][1] or both[1][1]} == set(), "nothing is smuggled"


def test_behind_caddy(tmp_path: Path, port: int) -> None:
    caddy = needs("caddy")
    with running(make_app(), trusted_proxy="127.0.0.1") as server:
        site = (DEPLOY / "Caddyfile").read_text()
        assert "127.0.0.1:8080" in site and "api.example.com" in site
        site = site.replace("127.0.0.1:8080", f"127.0.0.1:{server.port}")
        site = "{\n\tadmin off\n}\n" + site.replace("api.example.com", f"http://127.0.0.1:{port}")
        (tmp_path / "Caddyfile").write_text(site)
        command = [caddy, "run", "--config", str(tmp_path / "Caddyfile"), "--adapter", "caddyfile"]
        with program(*command, port=port, env={"HOME": str(tmp_path)}) as url:
            behind_a_proxy(url, server.url)


def test_the_systemd_unit_is_valid(tmp_path: Path) -> None:
    analyze = needs("systemd-analyze")
    text = (DEPLOY / "minihttp.service").read_text()
    unit = tmp_path / "minihttp.service"
    unit.write_text(text.replace("/srv/app/.venv/bin/python", sys.executable))
    unit.chmod(0o644)
    done = subprocess.run([analyze, "verify", str(unit)], capture_output=True, text=True, check=False)
    assert "minihttp.service" not in done.stderr, done.stderr
    assert int(re.findall(r"TimeoutStopSec=([0-9]+)", text)[0]) > SETTINGS["grace"].default


def test_every_setting_in_the_files_is_one() -> None:
    text = "\n".join(path.read_text() for path in DEPLOY.iterdir())
    names = re.findall(PREFIX + "([A-Z_]+)", text) + re.findall(
        r"--(trusted-proxy|data|host|port|grace)\b", text
    )
    assert names and {name.lower().replace("-", "_") for name in names} <= set(SETTINGS)
