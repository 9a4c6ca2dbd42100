# SPDX-License-Identifier: MIT
"""What holds for every verb: mistakes, `jq`, flags in any place, help."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.asked import ask, filled
from tests.cli.shell import Shell, shell
from tests.live import ROOT

__all__ = ["ask", "shell"]


def test_a_mistake_in_the_command_is_misuse(ask: Any) -> None:
    assert "data takes TABLE" in ask("data", "a", "b", "c", code=2).err
    assert "must end with .jsonl or .csv" in ask("data", "import", "items", "a.txt", code=2).err


def test_json_goes_through_jq(shell: Shell) -> None:
    jq = shutil.which("jq")
    if jq is None:
        pytest.skip("no jq here")
    filled(shell)
    out = shell("data", "items", "--json").out
    picked = subprocess.run([jq, "-r", ".name"], input=out, capture_output=True, text=True, check=True)
    assert picked.stdout.splitlines() == [f"item {number}" for number in range(5)]


def test_flags_may_stand_anywhere(shell: Shell) -> None:
    """TARGET may be left out, and does not mind what stands before it."""
    for argv in (("routes", "--json", "app.py"), ("routes", "app.py", "--json"), ("routes", "--json")):
        assert len(shell(*argv).rows) == 3
    shell("export", "--data", "other", "s.zip", "app.py")
    assert "unrecognized arguments: --jso" in shell("routes", "--jso", "app.py", code=2).err


def test_help_and_version(shell: Shell) -> None:
    assert shell("--version").out.startswith("minihttp ")
    assert "FUNCTION" in shell("help", "run").out
    assert "import" in shell("help").out


@pytest.mark.parametrize("command", ["routes", "routes --json", "types"])
def test_an_output_on_a_full_disk_is_one_line_and_1(command: str, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "from minihttp import App, HttpRouter, Schema, Table, v\n"
        "http = HttpRouter()\nhttp.get('/x', lambda ctx, request: {})\n"
        "app = App(http, schema=Schema(items=Table({'name': v.string()})))\n"
    )
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    with open("/dev/full", "w") as full:
        argv = [sys.executable, "-m", "minihttp", *command.split()]
        done = subprocess.run(argv, cwd=tmp_path, env=environ, stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (1, "minihttp: the output: No space left on device\n")
