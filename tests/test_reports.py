# SPDX-License-Identifier: MIT
"""Whole programs from public bug reports of other projects (tests/data/reports.json), each run as it stands.

A row has the `program`, the names of the `beginnings` that stand before it, what is `expected` in words, and
what the program may print (`accepts`, a regular expression). Rows whose id holds a G guard what was right.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

_ROOT = Path(__file__).parent.parent
_DATA = json.loads((Path(__file__).parent / "data" / "reports.json").read_text("utf-8"))


@pytest.mark.parametrize("row", _DATA["reports"], ids=lambda row: row["id"])
def test_the_program_of_a_report_prints_what_is_right(row: dict[str, Any], tmp_path: Path) -> None:
    beginnings = [_DATA["beginnings"][name] for name in row.get("begins", ())]
    program = "\n".join(line for part in (*beginnings, row["program"]) for line in part)
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(_ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=_ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        printed, _ = process.communicate(timeout=60)
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)  # the program, and a server that it left behind
        except ProcessLookupError:
            pass
    assert re.fullmatch(row["accepts"], printed.strip()), f"{row['expected']!r} is expected, not {printed!r}"
