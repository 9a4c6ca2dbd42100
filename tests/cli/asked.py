# SPDX-License-Identifier: MIT
"""Commands that are tried twice: on a folder, and on a running server of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cli.shell import Shell, shell

__all__ = ["shell"]


@pytest.fixture(params=["folder", "server"])
def ask(shell: Shell, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Runs a command on the folder, or on a server of it."""
    if request.param == "folder":
        yield shell
        return
    with shell.served(monkeypatch) as url:
        yield lambda *argv, **options: shell(*argv, "--server", url, **options)


def filled(ask: Any) -> None:
    for number in range(5):
        ask("run", "app:create", json.dumps({"name": f"item {number}", "n": number}))
