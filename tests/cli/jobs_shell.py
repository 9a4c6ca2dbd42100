# SPDX-License-Identifier: MIT
"""A folder with an app whose jobs note, fail and colour, and the command line in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
APP = """
import sys
from minihttp import App, internal_action, internal_mutation

@internal_mutation
def note(ctx, text):
    ctx.db.insert("notes", {"text": text})
    print("noted", text, flush=True)
    return text

@internal_action
def fail(ctx):
    raise ValueError("no luck")

@internal_action
def colour(ctx):
    raise ValueError("\\x1b[31mred")

app = App(modules=["app"], data="data", workers=0)

if __name__ == "__main__":
    from app import app
    _, delay, name, *args = sys.argv
    with app:
        print(app.jobs.scheduler().run_after(float(delay), name, **dict(arg.split("=") for arg in args)))
"""


class Shell:
    """A current folder with an `app.py`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        (folder / "app.py").write_text(APP)

    def python(self, *argv: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *argv]
        done = subprocess.run(command, cwd=self.folder, env=self.environ, capture_output=True, text=True)
        assert done.returncode == code, done.stderr
        return done

    def schedule(self, name: str, *args: str, delay: float = 0) -> str:
        return self.python("app.py", str(delay), f"app:{name}", *args).stdout.strip()

    def jobs(self, *argv: str) -> list[Any]:
        """What `jobs … --json` prints as JSON."""
        lines = self.python("-m", "minihttp", "jobs", *argv, "--json").stdout.splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)
