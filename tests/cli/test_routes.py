# SPDX-License-Identifier: MIT
"""`routes`: rows, JSON, and what would stop a start."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from minihttp import cli
from tests.cli.folder import APP, folder

__all__ = ["folder"]


def test_routes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["routes", folder.name], {}) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["method", "path", "handler", "location"]
    assert [line.split()[:2] for line in lines[1:]] == [
        ["POST", "/hooks/stripe"],
        ["GET", "/items"],
        ["GET", "/files/*"],
    ]
    handler, place = lines[2].split()[2:]
    assert handler == "list_items" and place in (f"{folder.name}:6", f"{folder.name}:7")  # Python 3.10 says 7


def test_routes_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["routes", folder.name, "--json"], {}) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows[1]["path"] == "/items" and rows[1]["handler"] == "list_items"


@pytest.mark.parametrize("verb", ["routes", "config"])
def test_a_mistake_that_would_stop_a_start_is_told_after_the_rows(
    verb: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.write_text(APP.replace("modules=[__name__]", "modules=['no_such_module']"))
    assert cli.main([verb, folder.stem], {}) == 1
    told = capsys.readouterr()
    assert told.out and told.err.startswith("minihttp: App(modules=…): no module named 'no_such_module'")
    assert told.err.count("\n") == 1
