# SPDX-License-Identifier: MIT
"""Both folders copied under another package name work, backends, worker and command line included."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import minihttp
import storage_backends

APP = """
from acme.vendor.web import App, HttpRouter, Response, Schema, Table, mutation, query, v

http = HttpRouter()
schema = Schema(notes=Table({"text": v.string()}).index("by_text", ["text"]))

@mutation(args={"text": v.string()})
def add(ctx, text):
    ctx.scheduler.run_after(0, add_quietly, text=text + " later")
    return ctx.db.insert("notes", {"text": text})

@mutation(args={"text": v.string()})
def add_quietly(ctx, text):
    ctx.db.insert("notes", {"text": text})

@query(args={})
def texts(ctx):
    return [note["text"] for note in ctx.db.query("notes")]

@http.route(path="/", method="GET")
def index(ctx, request):
    return Response.json(ctx.run_query(texts))

app = App(http, schema=schema, modules=[__name__])
"""
PROGRAM = """
import sys, time
from acme_app import app
from acme.vendor.web import testing

for files in ("filesystem", "sqlite"):
    copy = testing.in_memory(app)
    with copy:
        copy.run_mutation("acme_app:add", text="now")
        assert testing.run_jobs(copy) == 1
        assert copy.run_query("acme_app:texts") == ["now", "now later"]

app.configure(data=sys.argv[1], files="sqlite")
with app:  # with a real worker thread
    app.run_mutation("acme_app:add", text="a")
    stop = time.monotonic() + 60
    while len(app.run_query("acme_app:texts")) < 2:
        assert time.monotonic() < stop, "the worker never ran the job"
        time.sleep(0.01)
    storage = app.files.outside("")
    with storage.get(storage.store(b"bytes")) as blob:
        assert blob.read() == b"bytes"

assert "minihttp" not in sys.modules and "storage_backends" not in sys.modules
print("fine")
"""


def test_copied_under_another_name(tmp_path: Path) -> None:
    vendor = tmp_path / "acme" / "vendor"
    vendor.mkdir(parents=True)
    (tmp_path / "acme" / "__init__.py").touch()
    (vendor / "__init__.py").touch()
    without_caches = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(minihttp.__file__).parent, vendor / "web", ignore=without_caches)
    shutil.copytree(
        Path(storage_backends.__file__).parent, vendor / "storage_backends", ignore=without_caches
    )
    (tmp_path / "acme_app.py").write_text(APP)
    env = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONSAFEPATH": "1"}
    run = {"cwd": tmp_path, "env": env, "capture_output": True, "text": True}
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path / "data")], **run)
    assert done.stdout == "fine\n", done.stderr
    listed = subprocess.run([sys.executable, "-m", "acme.vendor.web", "routes", "acme_app:app"], **run)
    assert listed.returncode == 0, listed.stderr
    assert "acme_app.py:" in listed.stdout


ALONE = """
from small import errors, limits
from small.http.router import HttpRouter
from small.http.request import Request
from small.http.response import Response
from small.http.multipart import parse_multipart
from small.webhooks import github, stripe, svix

router = HttpRouter()
router.route(path="/x", method="GET", handler=lambda ctx, request: Response.json({}))
assert router.find("/x", "GET") is not None
for provider, secret in ((github, "s"), (stripe, "s"), (svix, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")):
    assert provider.verify(b"{}", provider.sign(b"{}", secret), secret).body == b"{}"
print("fine")
"""


def test_the_router_and_the_verifiers_alone(tmp_path: Path) -> None:
    """The ground floor, http/ and webhooks/ are usable without the rest of the house."""
    source, small = Path(minihttp.__file__).parent, tmp_path / "small"
    small.mkdir()
    (small / "__init__.py").touch()
    for name in ("errors.py", "hashing.py", "json_numbers.py", "limits.py", "loggers.py"):
        shutil.copy(source / name, small)
    for name in ("http", "webhooks"):
        shutil.copytree(source / name, small / name, ignore=shutil.ignore_patterns("__pycache__"))
    env = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONSAFEPATH": "1"}
    done = subprocess.run(
        [sys.executable, "-c", ALONE], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert done.stdout == "fine\n", done.stderr
