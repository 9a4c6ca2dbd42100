# SPDX-License-Identifier: MIT
"""`export`, `import` and `check` of a running server."""

from __future__ import annotations

from typing import Any

from tests.cli.asked import ask, filled
from tests.cli.shell import Shell, shell

__all__ = ["ask", "shell"]


def test_snapshots_and_check_of_a_server(ask: Any, shell: Shell) -> None:
    filled(ask)
    ask("run", "app:keep", '{"data": {"$bytes": "AAE="}}')
    assert ask("export", "s.zip").err.endswith("1 files\n")
    assert ask("check").err == "nothing is wrong\n"
    assert "has documents" in ask("import", "s.zip", code=1).err
    ask("run", "app:create", '{"name": "more"}')
    rows = ask("import", "s.zip", "--replace", "--json").rows
    assert {"table": "items", "documents": 5} in rows
    assert ask("run", "app:count").out == "5\n"
    assert ask("check").err == "nothing is wrong\n"
    assert "is there already" in ask("export", "s.zip", code=1).err
    ask("export", "s.zip", "-y")
