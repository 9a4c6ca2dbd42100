# SPDX-License-Identifier: MIT
"""The script of the how-to: PostgreSQL, a bucket, and two processes that share documents, files and jobs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live import PATIENCE_SECONDS, ROOT, Client
from tests.postgresql_server import postgresql

SCRIPT = ROOT / "docs" / "deploy" / "many-machines.sh"
APP = """
from minihttp import App, HttpRouter, Response, internal_mutation, internal_query, v

http = HttpRouter()

@internal_mutation(args={"name": v.string()})
def add(ctx, name):
    id = ctx.db.insert("items", {"name": name})
    ctx.scheduler.run_after(0, done, id=id)
    return id

@internal_mutation(args={"id": v.string()})
def done(ctx, id):
    ctx.db.patch(id, {"done": True})

@internal_query()
def items(ctx):
    return [{"name": row["name"], "done": row.get("done", False)} for row in ctx.db.query("items").collect()]

@http.route(path="/items", method="POST")
def post(ctx, request):
    return Response.json(ctx.run_mutation(add, name=request.json(dict)["name"]))

@http.route(path="/items", method="GET")
def get(ctx, request):
    return Response.json(ctx.run_query(items))

@http.route(path="/files", method="POST")
def store(ctx, request):
    return Response.json(ctx.storage.get_url(ctx.storage.store(request.body, content_type="text/plain")))

app = App(http, modules=[__name__])
"""


def ports() -> int:
    """The first of thirty ports that are free."""
    for first in range(20_000, 32_000, 50):
        try:
            for port in range(first, first + 30):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    raise AssertionError("no ports are free")


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[list[Client]]:
    if not list(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or shutil.which("runuser") is None:
        postgresql()
        pytest.skip("the script is for Debian's PostgreSQL")
    pytest.importorskip("obstore", reason="the extra s3 is not installed")
    (tmp_path / "app.py").write_text(APP)
    folder = tempfile.mkdtemp(prefix="many-machines-")  # PostgreSQL's user has to come this far
    Path(folder).chmod(0o755)
    first = ports()
    environment = {**os.environ, "PYTHON": sys.executable, "PYTHONPATH": str(ROOT)}
    command = ["bash", str(SCRIPT), str(tmp_path / "app.py"), f"{folder}/data", str(first)]
    with open(tmp_path / "log", "wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        for port in (first, first + 1):
            end = time.monotonic() + PATIENCE_SECONDS
            while not is_ready(port):
                assert process.poll() is None and time.monotonic() < end, (tmp_path / "log").read_text()
                time.sleep(0.1)
        yield [Client(f"http://127.0.0.1:{port}") for port in (first, first + 1)]
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0, (tmp_path / "log").read_text()
        assert not any(is_open(port) for port in range(first, first + 4)), "nothing is left behind"
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def is_ready(port: int) -> bool:
    try:
        return Client(f"http://127.0.0.1:{port}").get("/_/ready").status == 200
    except OSError:
        return False


def test_two_machines_have_the_same_documents_files_and_jobs(machines: list[Client]) -> None:
    first, second = machines
    for n in range(4):
        assert machines[n % 2].post("/items", {"name": f"item {n}"}).status == 200
    end = time.monotonic() + PATIENCE_SECONDS
    while not all(row["done"] for row in second.get("/items").json()):
        assert time.monotonic() < end
        time.sleep(0.05)
    names = [row["name"] for row in first.get("/items").json()]
    assert sorted(names) == [f"item {n}" for n in range(4)]
    url = json.loads(first.request("POST", "/files", b"from the first").body)
    path = "/api/storage/" + url.rpartition("/")[2]
    reply = second.get(path)
    assert (reply.status, reply.body) == (200, b"from the first")
