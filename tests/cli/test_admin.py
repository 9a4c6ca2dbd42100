# SPDX-License-Identifier: MIT
"""How a command reaches an app: its server, or its folder while no server has it open."""

from __future__ import annotations

import pytest

from tests.cli.shell import Shell, shell

__all__ = ["shell"]


def test_a_server_without_its_key(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    with shell.served(monkeypatch) as url:
        del shell.environ["MINIHTTP_ADMIN_KEY"]
        assert "MINIHTTP_ADMIN_KEY must be set" in shell("data", "--server", url, code=1).err
        shell.environ["MINIHTTP_ADMIN_KEY"] = "wrong"
        assert shell("data", "--server", url, code=1).err.count("\n") == 1


def test_beside_a_server_the_message_says_what_to_do(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    with shell.served(monkeypatch):
        for command in ("data", "run app:count", "check", "export s.zip", "request GET /"):
            assert "in use by process" in shell(*command.split(), code=1).err
