# SPDX-License-Identifier: MIT
"""`vendor`: a copy in three sizes that works under any package, is updated, and never loses a change."""

from __future__ import annotations

import ast
import io
import json
import os
import re
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest

from tests.cli.shell import ROOT, Shell, shell

__all__ = ["shell"]
ROUTER = """
from acme.vendor.minihttp.http.router import HttpRouter
from acme.vendor.minihttp.http.request import Request
from acme.vendor.minihttp.http.response import Response
from acme.vendor.minihttp.http.multipart import parse_multipart
from acme.vendor.minihttp.http.cors import Cors
from acme.vendor.minihttp.webhooks import github, stripe, svix

from acme.vendor.minihttp.http.error_response import response_for
from acme.vendor.minihttp.errors import ApplicationError

assert b'"data":{"a":1}' in response_for(ApplicationError({"a": 1}), {}).body
assert b"Internal server error" in response_for(ApplicationError(object()), {}).body
router = HttpRouter()
router.route(path="/x", method="GET", handler=lambda ctx, request: Response.json({"a": 1}), cors=Cors(["*"]))
assert router.find("/x", "GET") is not None
try:
    from acme.vendor.minihttp import App
except ImportError as error:
    assert "App is not in this copy of minihttp, which lacks acme.vendor.minihttp.app" in str(error), error
for provider, secret in ((github, "s"), (stripe, "s"), (svix, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")):
    assert provider.verify(b"{}", provider.sign(b"{}", secret), secret).body == b"{}"
"""
BACKEND = """
from acme.vendor.minihttp import App, Schema, Table, mutation, query, v

@mutation
def add(ctx):
    return ctx.db.insert("notes", {"text": "a"})

schema = Schema(notes=Table({"text": v.string()}))
with App(schema=schema, modules=[__import__("sys").modules["__main__"]], data="d") as app:
    app.run_mutation(add)
    assert app.files.outside().store(b"x")
    assert app.run_action("_app:check") == []
"""
ALL = BACKEND + "import acme.vendor.minihttp.cli\n"


def run_python(folder: Path, program: str) -> None:
    env = {"PATH": os.environ["PATH"], "PYTHONSAFEPATH": "1", "PYTHONPATH": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("part", "program", "absent"),
    [
        (("--only", "router"), ROUTER, ("data", "app", "cli", "server", "values", "webhooks/ed25519.py")),
        (("--only", "backend"), BACKEND, ("cli", "server")),
        ((), ALL, ()),
    ],
)
def test_a_copy_works_under_another_package(
    shell: Shell, tmp_path: Path, part: tuple[str, ...], program: str, absent: tuple[str, ...]
) -> None:
    [row] = shell("vendor", "acme/vendor", "--json", *part).rows
    copy = tmp_path / "acme" / "vendor"
    assert (copy / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
    assert row["files"] == len(json.loads((copy / "VENDORED.json").read_text())["files"])
    assert not [name for name in absent if (copy / "minihttp" / name).exists()]
    run_python(tmp_path, program)


@pytest.mark.parametrize("part", [("--only", "router"), ("--only", "backend"), ()])
def test_the_public_names_for_type_checkers_are_those_of_the_copy(
    shell: Shell, tmp_path: Path, part: tuple[str, ...]
) -> None:
    shell("vendor", "lib", *part)
    package = tmp_path / "lib" / "minihttp"
    typed = [
        node
        for node in ast.walk(ast.parse((package / "__init__.py").read_text()))
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    for node in typed:
        module = (node.module or node.names[0].name).replace(".", "/")
        assert (package / f"{module}.py").is_file() or (package / module).is_dir(), module
    names = {node.names[0].name for node in typed}
    assert {"HttpRouter", "Request", "Response", "Cors", "webhooks", "HTTPError"} <= names
    assert ("App" in names) is ("router" not in part)


def code_lines(path: Path) -> int:
    """Lines without the blank ones, comments and docstrings."""
    text = path.read_bytes()
    docstrings: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if is_text and isinstance(node.value.value, str):
            docstrings |= set(range(node.lineno, (node.end_lineno or 0) + 1))
    tokens = tokenize.tokenize(io.BytesIO(text).readline)
    code = [
        token
        for token in tokens
        if token.type in (tokenize.NAME, tokenize.OP, tokenize.NUMBER, tokenize.STRING)
    ]
    return len({line for token in code for line in range(token.start[0], token.end[0] + 1)} - docstrings)


def test_the_router_alone_stays_small(shell: Shell, tmp_path: Path) -> None:
    """A bound, not a wish: what apps alone need goes elsewhere."""
    shell("vendor", "lib", "--only", "router")
    assert sum(map(code_lines, (tmp_path / "lib").rglob("*.py"))) <= 3_470


@pytest.mark.parametrize(
    ("part", "tests", "least"),
    [
        (("--only", "router"), ("http", "webhooks/test_stripe.py"), 500),
        (("--only", "backend"), ("values", "functions", "data/test_schema.py", "jobs/test_crons.py"), 250),
        ((), ("webhooks", "cli/test_progress.py", "server/test_descriptors.py"), 500),
    ],
)
def test_the_copy_passes_its_own_tests(
    shell: Shell, tmp_path: Path, part: tuple[str, ...], tests: tuple[str, ...], least: int
) -> None:
    """Those of its rooms; a file that needs more than the copy has cannot be imported, and is left out."""
    shell("vendor", "copy", *part)
    copy = tmp_path / "copy"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", f"pythonpath={copy}"]
    command += ["--continue-on-collection-errors", *(f"tests/{path}" for path in tests)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(copy), str(ROOT)]), "PYTHONSAFEPATH": "1"}
    options = {"cwd": ROOT, "env": env, "capture_output": True, "text": True}
    done = subprocess.run(command, **options)  # type: ignore[call-overload]
    errors = re.findall(r"^(?:ERROR|FAILED) (\S+)", done.stdout, re.MULTILINE)
    assert not [test for test in errors if "::" in test], done.stdout[-3_000:]
    assert part or not errors, errors
    assert int(re.findall(r"(\d+) passed", done.stdout)[-1]) >= least, done.stdout[-3_000:]
    (copy / "minihttp" / "errors.py").write_text("raise SystemError('the copy')")
    broken = subprocess.run(command, **options)  # type: ignore[call-overload]
    assert "the copy" in broken.stdout + broken.stderr, "the tests do run against the copy"


def test_an_update_keeps_what_somebody_has_changed(shell: Shell, tmp_path: Path) -> None:
    shell("vendor", "lib", "--only", "router")
    shell("vendor", "lib", "--only", "router")
    changed = tmp_path / "lib" / "minihttp" / "http" / "cors.py"
    changed.write_text(changed.read_text() + "# mine\n")
    done = shell("vendor", "lib", "--only", "router", code=1)
    assert f"changed since it was copied: {os.path.join('lib', 'minihttp', 'http', 'cors.py')}" in done.err
    assert changed.read_text().endswith("# mine\n")
    changed.unlink()
    shell("vendor", "lib")
    shell("vendor", "lib", "--only", "router")
    assert not (tmp_path / "lib" / "minihttp" / "data" / "database.py").exists(), "what is no part of it goes"


def test_what_is_not_ours_is_not_overwritten(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "LICENSE").write_text("mine")
    assert "changed since" in shell("vendor", "lib", code=1).err
    assert os.listdir(tmp_path / "lib") == ["LICENSE"]
