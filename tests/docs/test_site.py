# SPDX-License-Identifier: MIT
"""The site is built without a warning, from docstrings and from `--help`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from minihttp import cli
from tests.docs.pages import ROOT


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    for package in ("mkdocs", "material", "mkdocstrings_handlers"):
        pytest.importorskip(package)
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr

    def page(name: str) -> str:
        return (tmp_path / name / "index.html").read_text("utf-8")

    commands = page("reference/command-line")
    for verb in cli.verbs():
        assert f'id="{verb}"' in commands, verb
    assert "max_upload_bytes" in page("reference/settings") and "consistent_queries" in page(
        "reference/settings"
    )
    assert "run_mutation" in page("reference/functions")
    assert "with_index" in page("reference/documents")
    for name in ("convex.md", "howto/stripe.md", "llms.txt"):
        assert (tmp_path / name).is_file(), "programs read the pages as Markdown"
    assert "https://" not in "".join(
        line for line in page(".").splitlines() if "<script" in line or "stylesheet" in line
    ), "nothing is loaded from other hosts"
