# SPDX-License-Identifier: MIT
"""`init`: what it makes runs, and passes its own test inside the folder."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.cli.shell import Shell, shell

__all__ = ["shell"]


def test_it_runs_and_passes_its_own_test(shell: Shell, tmp_path: Path) -> None:
    done = shell("init", "shop")
    assert "serve --reload" in done.err and done.err.count("\n  ") == 3
    folder = tmp_path / "shop"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    tested = subprocess.run(command, cwd=folder, env=shell.environ, capture_output=True, text=True)
    assert tested.returncode == 0, tested.stdout
    inside = Shell.__new__(Shell)
    inside.folder, inside.environ = folder, shell.environ
    item = json.loads(inside("request", "POST", "/api/items", "-d", '{"name": "pen"}').out)
    assert json.loads(inside("request", "GET", f"/api/items/{item['_id']}").out) == item
    assert inside("check").err == "nothing is wrong\n"
    assert not inside("doctor", code=None).out.count("fail")


def test_nothing_is_overwritten(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "shop" / "backend").mkdir(parents=True)
    (tmp_path / "shop" / "backend" / "items.py").write_text("mine")
    assert "is there already" in shell("init", "shop", code=1).err
    assert not (tmp_path / "shop" / "test_app.py").exists()
