# SPDX-License-Identifier: MIT
"""What holds for every verb: mistakes, `jq`, flags in any place, help."""

from __future__ import annotations

import shutil
import subprocess
from typing import Any

import pytest

from tests.cli.asked import ask, filled
from tests.cli.shell import Shell, shell

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
