# SPDX-License-Identifier: MIT
"""A short run of backups under load; `python -m tests.backups --seconds 60` is the long one."""

from __future__ import annotations

from pathlib import Path

from tests.backups import run


def test_a_short_run(tmp_path: Path) -> None:
    figures = run(tmp_path, 3.0)
    assert figures["backups restored"] >= 1 and figures["writes"] and figures["writers killed"]
