# SPDX-License-Identifier: MIT
"""`env`: which variables an app needs, and which are set."""

from __future__ import annotations

from tests.cli.shell import Shell, shell

__all__ = ["shell"]


def test_env(shell: Shell) -> None:
    assert "GITHUB_WEBHOOK_SECRET" in shell("env").out
    [row] = shell("env", "--json", "--check", code=1).rows
    assert row == {
        "name": "GITHUB_WEBHOOK_SECRET",
        "set": False,
        "from": None,
        "for": "webhook /hooks/github",
    }
    (shell.folder / ".env").write_text("GITHUB_WEBHOOK_SECRET=abcdefghijklmnopqrst\n")
    [row] = shell("env", "--json", "--check", "--show").rows
    assert (row["from"], row["value"]) == (".env", "abcd…")
    shell.environ["GITHUB_WEBHOOK_SECRET"] = "short"
    [row] = shell("env", "--json", "--show").rows
    assert (row["from"], row["value"]) == ("the environment", "…")
