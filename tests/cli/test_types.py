# SPDX-License-Identifier: MIT
"""`types`: the documents of an app as TypedDicts."""

from __future__ import annotations

from pathlib import Path

import pytest

from minihttp import cli
from tests.cli.folder import folder

__all__ = ["folder"]


def test_types(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["types", folder.name], {}) == 0
    printed = capsys.readouterr().out
    assert "TypedDict" in printed
    assert cli.main(["types", folder.name, "-o", "documents.py"], {}) == 0
    assert Path("documents.py").read_text("utf-8") == printed and capsys.readouterr().out == ""
