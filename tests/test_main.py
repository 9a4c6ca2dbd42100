# SPDX-License-Identifier: MIT
"""`python -m minihttp` as a shell runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
ROUTES = """
from minihttp import HttpRouter
http = HttpRouter()
http.route(path="/here", method="GET", handler=lambda ctx, request: {})
"""


@pytest.mark.parametrize("name", ["http.py", "routes.py"])
def test_it_works_inside_a_backend(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(ROUTES)
    command = [sys.executable, "-m", "minihttp", "routes", "."]
    found = subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    assert found.returncode == 0 and "/here" in found.stdout, found.stderr


@pytest.mark.parametrize("verb", ["config", "routes"])
def test_a_reader_that_leaves_is_no_traceback(tmp_path: Path, verb: str) -> None:
    (tmp_path / "routes.py").write_text(ROUTES)
    read, write = os.pipe()
    os.close(read)
    process = subprocess.Popen(
        [sys.executable, "-m", "minihttp", verb, "."],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(write)
    _, said = process.communicate(timeout=60)
    assert len(said.splitlines()) <= 1 and "Traceback" not in said and "Exception ignored" not in said
