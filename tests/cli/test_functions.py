# SPDX-License-Identifier: MIT
"""`functions`: names, kinds and arguments."""

from __future__ import annotations

from typing import Any

from tests.cli.asked import ask
from tests.cli.shell import shell

__all__ = ["ask", "shell"]


def test_functions(ask: Any) -> None:
    lines = ask("functions").out.splitlines()
    assert lines[0].split() == ["name", "kind", "visibility", "args", "returns", "location"]
    [line] = [line for line in lines if line.startswith("app:create ")]
    assert "name: string" in line and "n?: int64" in line and "id<items>" in line
    rows = {row["name"]: row for row in ask("functions", "--json").rows}
    assert rows["app:create"]["args"]["value"]["n"] == {"fieldType": {"type": "bigint"}, "optional": True}
    assert rows["app:fail"]["visibility"] == "internal"
