# SPDX-License-Identifier: MIT
"""The plots in docs/images/plots are those of the tables in benchmarks/RESULTS.md."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.live import ROOT

KEPT = ROOT / "docs" / "images" / "plots"


def test_the_plots_are_drawn_from_the_tables_as_they_are(tmp_path: Path) -> None:
    subprocess.run([sys.executable, ROOT / "benchmarks" / "plots.py", tmp_path], check=True, timeout=60)
    drawn = {path.name: path.read_text() for path in tmp_path.glob("*.svg")}
    assert drawn == {path.name: path.read_text() for path in KEPT.glob("*.svg")}, "run benchmarks/plots.py"
    pages = (ROOT / "benchmarks" / "RESULTS.md").read_text()
    assert [name for name in drawn if f"images/plots/{name}" not in pages] == []
