# SPDX-License-Identifier: MIT
"""The example that holds minihttp as a part of itself: as its text says, without an installed one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from minihttp.cli import main
from tests.live import ROOT

PROGRAM = """
import sys
from acme.app import app
from acme.vendor.minihttp import testing

with testing.in_memory(app) as copy:
    environ = {"wsgi.url_scheme": "http", "REQUEST_METHOD": "GET", "HTTP_HOST": "a"}
    environ["PATH_INFO"] = "/hello/Ada"
    [answer] = copy(environ, lambda *given: None)
assert answer == b'{"visits":1}', answer
assert "minihttp" not in sys.modules
"""


def test_the_vendored_example_runs_on_its_own_copy(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples" / "vendored" / "acme", tmp_path / "acme")
    assert main(["vendor", str(tmp_path / "acme" / "vendor")], {}) == 0
    env = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONSAFEPATH": "1"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
