# SPDX-License-Identifier: MIT
"""A folder with an app, and the command line in it: in this process (fast), or as a person has it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from minihttp.cli import main
from tests.live import live

ROOT = Path(__file__).resolve().parents[2]
APP = """
import logging
from minihttp import App, Crons, HttpRouter, Response, Schema, Table, v
from minihttp import action, internal_mutation, mutation, query
from minihttp.webhooks import github

http = HttpRouter()
schema = Schema(items=Table({"name": v.string(), "n": v.optional(v.int64()), "on": v.optional(v.boolean())})
                .index("by_name", ["name"]))
crons = Crons()
crons.interval("tidy", seconds=3600, function="app:create", args={"name": "cron"})

@mutation(args={"name": v.string(), "n": v.optional(v.int64())}, returns=v.id("items"))
def create(ctx, name, n=None):
    "Adds an item."
    logging.getLogger("shop").warning("creating %s", name)
    return ctx.db.insert("items", {"name": name, "n": n})

@query(args={})
def count(ctx):
    return len(ctx.db.query("items").collect())

@query(args={})
def whoami(ctx):
    identity = ctx.auth.get_user_identity()
    return identity and identity.subject

@action(args={"data": v.bytes()}, returns=v.id("_storage"))
def keep(ctx, data):
    return ctx.storage.store(data)

@internal_mutation
def fail(ctx):
    raise ValueError("no luck")

@http.route(path="/items", method="GET")
def items(ctx, request):
    return Response.json({"count": ctx.run_query(count)})

@http.route(path="/items", method="POST")
def post(ctx, request):
    return Response.json({"id": ctx.run_mutation(create, name=request.json()["name"])}, status=201)

http.webhook("/hooks/github", github.provider(secret="GITHUB_WEBHOOK_SECRET"), handler=None)
app = App(http, schema=schema, modules=["app"], crons=crons, data="data")
"""


class Done(NamedTuple):
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


class Shell:
    """A current folder with an `app.py`."""

    def __init__(self, folder: Path, app: str = APP) -> None:
        self.folder = folder
        self.environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
        (folder / "app.py").write_text(app)

    def __call__(self, *argv: str, stdin: str = "", code: int | None = 0) -> Done:
        """Run one command in this process."""
        out, err = io.TextIOWrapper(io.BytesIO(), write_through=True), io.StringIO()
        given = io.TextIOWrapper(io.BytesIO(stdin.encode()))
        for name in [name for name in sys.modules if name == "app"]:
            del sys.modules[name]
        before, path, stdin_before = os.getcwd(), list(sys.path), sys.stdin
        os.chdir(self.folder)
        sys.stdin = given
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                found = main(argv, dict(self.environ))
        finally:
            os.chdir(before)
            sys.path[:], sys.stdin = path, stdin_before
        done = Done(found, out.buffer.getvalue().decode(errors="replace"), err.getvalue())  # type: ignore[attr-defined]
        assert code is None or done.code == code, done
        return done

    def process(self, *argv: str, **options: Any) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "minihttp", *argv]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, cwd=self.folder, env=self.environ, **{**pipes, **options})

    @contextlib.contextmanager
    def served(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
        """The app in a server of this process; its URL. The shell has its admin key."""
        monkeypatch.chdir(self.folder)
        monkeypatch.syspath_prepend(str(self.folder))
        monkeypatch.setenv("MINIHTTP_ADMIN_KEY", "the-key-of-the-operator")
        self.environ["MINIHTTP_ADMIN_KEY"] = "the-key-of-the-operator"
        sys.modules.pop("app", None)
        from minihttp import App

        app = App.from_target("app:app").configure(workers=0)
        with app, live(app) as client:
            yield client.url
        sys.modules.pop("app", None)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)
