# SPDX-License-Identifier: MIT
"""`move`: the command, and which setting it says to change."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from minihttp.cli import main
from tests.snapshot.moved import filled

__all__ = ["filled"]


def run(*argv: str) -> int:
    return main(["move", *argv], {})


@pytest.mark.sqlite  # moves between two files
def test_the_command_moves_and_says_which_setting_to_change(
    filled: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "app.py").write_text("from minihttp import HttpRouter\nhttp = HttpRouter()\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "app", raising=False)  # of another test
    target = (f"sqlite:{tmp_path}/new/app.db", f"sqlite:{tmp_path}/new/files.db")
    options = ("--data", filled, "app:http")
    assert run("--to", target[0], "--dry-run", *options) == 0
    assert not (tmp_path / "new").exists()
    assert run("--to", target[0], "--files-to", target[1], "-y", *options) == 0
    said = capsys.readouterr()
    assert said.out == f"--data {target[0]} --files {target[1]}\n"
    assert "both sides are the same" in said.err
    assert run("--to", target[0], "-y", *options) == 1
    assert "--resume" in capsys.readouterr().err
    assert run("--to", target[0], "--resume", "-y", *options) == 0
    assert run("--to", f"sqlite:{filled}/app.db", *options) == 2
    assert "the target is the source" in capsys.readouterr().err
    assert run("--to", "floppy:x", "-y", *options) == 1
