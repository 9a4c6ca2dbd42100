# SPDX-License-Identifier: MIT
"""`completion`: bash takes it, and it completes verbs, actions and flags."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cli.shell import Shell, shell

__all__ = ["shell"]
_TRY = 'COMP_WORDS=(minihttp {words}); COMP_CWORD={at}; _minihttp; echo "${{COMPREPLY[*]}}"'


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
@pytest.mark.parametrize(
    ("words", "at", "expected"),
    [("che", 1, "check"), ("jobs re", 2, "retry"), ("check --rep", 2, "--repair"), ("keys iss", 2, "issue")],
)
def test_bash(shell: Shell, words: str, at: int, expected: str) -> None:
    script = shell("completion", "bash").out + _TRY.format(words=words, at=at)
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [expected]


@pytest.mark.skipif(shutil.which("fish") is None, reason="no fish here")
@pytest.mark.parametrize(
    ("line", "expected"),
    [("minihttp che", "check"), ("minihttp jobs ret", "retry"), ("minihttp check --rep", "--repair")],
)
def test_fish(shell: Shell, tmp_path: Path, line: str, expected: str) -> None:
    (tmp_path / "minihttp.fish").write_text(shell("completion", "fish").out)
    command = ["fish", "-N", "-c", f"source minihttp.fish; complete -C '{line}'"]
    options = {"cwd": tmp_path, "env": {**os.environ, "HOME": str(tmp_path)}}
    done = subprocess.run(command, capture_output=True, text=True, check=True, **options)  # type: ignore[call-overload]
    assert [found.partition("\t")[0] for found in done.stdout.splitlines()] == [expected]


def test_the_others(shell: Shell) -> None:
    assert "bashcompinit" in shell("completion", "zsh").out
    assert "-a check" in shell("completion", "fish").out
    assert "invalid choice" in shell("completion", "tcsh", code=2).err
