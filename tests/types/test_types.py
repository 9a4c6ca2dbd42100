# SPDX-License-Identifier: MIT
"""Type checkers take what is right and find every mistake: `right.py`, `wrong.py` and the examples."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live import ROOT

HERE = Path(__file__).parent


def mypy(*arguments: str) -> str:
    pytest.importorskip("mypy")
    command = [sys.executable, "-m", "mypy", "--strict", "--python-version", "3.10"]
    command += ["--explicit-package-bases", *arguments]  # so that wrong.py finds right.py beside it
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout


def pyright(*paths: str) -> list[tuple[str, int]]:
    pytest.importorskip("pyright")
    command = [sys.executable, "-m", "pyright", "--outputjson", *paths]
    said = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout)
    found = [d for d in said["generalDiagnostics"] if d["severity"] == "error"]
    return sorted({(Path(d["file"]).name, d["range"]["start"]["line"] + 1) for d in found})


def expected_errors() -> list[tuple[str, int]]:
    lines = (HERE / "wrong.py").read_text("utf-8").splitlines()
    return [
        ("wrong.py", number) for number, line in enumerate(lines, 1) if re.search("  # error(  |$)", line)
    ]


def test_mypy_takes_what_is_right_and_finds_every_mistake() -> None:
    assert mypy("tests/types/right.py").startswith("Success")
    found = re.findall(r"(wrong\.py):(\d+): error", mypy("tests/types/wrong.py"))
    assert sorted({(name, int(line)) for name, line in found}) == expected_errors()


def test_mypy_takes_the_examples() -> None:
    said = mypy(*sorted(str(path) for path in (ROOT / "examples").glob("*.py")))
    assert said.startswith("Success"), said
    said = mypy("-p", "examples.shop")
    assert said.startswith("Success"), said


def test_pyright_takes_what_is_right_and_the_examples_and_finds_every_mistake() -> None:
    assert pyright() == expected_errors()
