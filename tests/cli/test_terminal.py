# SPDX-License-Identifier: MIT
"""No text of a stranger reaches a terminal as anything but text, whichever verb prints it."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from minihttp import cli
from minihttp.cli._terminal import safe

ROOT = Path(__file__).resolve().parent.parent.parent
EVIL = "\x1b]0;owned\x07\x9b2J\x08\r\u202egnp\u2028"
APP = f"""
from minihttp import App, HttpRouter, Response, internal_mutation, v
from minihttp.webhooks import github
http = HttpRouter()
EVIL = {EVIL!r}

@http.route(path="/evil", method="GET")
def evil(ctx, request):
    return Response(EVIL + "é")

http.webhook("/hook", github.provider(secret="S"), None, keep_refused_bodies=True)

@internal_mutation(args={{}})
def insert(ctx):
    return ctx.db.insert("things", {{"text": EVIL, "number": 1}})

@internal_mutation(args={{}})
def fails(ctx):
    raise ValueError(EVIL)

app = App(http, modules=[__name__], workers=0)
"""
COMMANDS = {
    "run": ["app:insert"],
    "data": ["things"],
    "request": ["GET", "/evil"],
    "jobs": ["list"],
    "webhooks": ["list"],
    "files": ["list"],
    "check": [],
    "config": [],
    "crons": ["list"],
    "doctor": [],
    "functions": [],
    "routes": [],
    "types": [],
}


STORED = {  # what shows one thing that a stranger has sent
    "jobs": ("jobs", "list", "--json"),
    "webhooks": ("webhooks", "list", "--json", "--state", "refused"),
}
STORE = """
import webtest
from app import EVIL, app, fails
with app:
    client = webtest.TestApp(app)
    hidden = {"X-Hub-Signature-256": "sha256=" + "0" * 64, "X-GitHub-Event": "\\x9b2J\\xad"}
    client.post("/hook", EVIL.encode(), hidden, status=400)
    app.jobs.scheduler(None, None).run_after(0, fails)
    app.jobs.run_due()
"""


def on_a_terminal(folder: Path, *argv: str) -> str:
    """What a command writes to a terminal."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "minihttp", *argv]
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    process = subprocess.Popen(command, cwd=folder, env=environ, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    written = b""
    try:
        while chunk := os.read(ours, 65_536):
            written += chunk
    except OSError:  # Linux's way to say that nobody writes any more
        pass
    process.wait()
    os.close(ours)
    return written.decode().replace("\r\n", "\n")


def test_every_verb_that_shows_what_is_stored_is_tried() -> None:
    silent = {"backup", "completion", "env", "export", "import", "init", "keys", "logs", "restore", "serve"}
    assert set(cli.verbs()) - silent - {"vendor", "worker", "dashboard", "move", "migrate"} <= set(COMMANDS)


def test_nothing_that_a_terminal_acts_on_is_written(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP, "utf-8")
    shown = {}
    for verb, options in COMMANDS.items():
        shown[verb] = on_a_terminal(tmp_path, verb, *options)
        shown[f"{verb} of evil"] = on_a_terminal(tmp_path, verb, *options, EVIL.replace("\r", ""))
    for label, text in shown.items():
        assert safe(text) == text, label
    assert r"\x1b]0;owned\x07" in shown["data"] and r"\x1b]0;owned\x07" in shown["request"]
    assert "é" in shown["request"], "letters are as they are"


@pytest.mark.parametrize("verb", STORED)
def test_one_thing_that_a_stranger_has_sent_is_shown_as_text(
    tmp_path: Path, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "app.py").write_text(APP, "utf-8")
    monkeypatch.setenv("S", "a secret of 16 bytes")
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", STORE], cwd=tmp_path, env=environ, check=True)
    command = [sys.executable, "-m", "minihttp", *STORED[verb]]
    listed = subprocess.run(command, cwd=tmp_path, env=environ, check=True, capture_output=True, text=True)
    [row] = [json.loads(line) for line in listed.stdout.splitlines()]
    shown = on_a_terminal(tmp_path, verb, "show", row["id"])
    assert safe(shown) == shown and r"\x1b]0;owned\x07" in shown


@pytest.mark.parametrize("text", ["plain", "tab\tand\nline", "é 你好 🎉 a\u0301"])
def test_what_is_text_stays_as_it_is(text: str) -> None:
    assert safe(text) == text
