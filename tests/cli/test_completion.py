# SPDX-License-Identifier: MIT
"""`completion`: bash takes it, and it completes verbs, actions and flags."""

from __future__ import annotations

import shutil
import subprocess

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


def test_the_others(shell: Shell) -> None:
    assert "bashcompinit" in shell("completion", "zsh").out
    assert "-a check" in shell("completion", "fish").out
    assert "invalid choice" in shell("completion", "tcsh", code=2).err
