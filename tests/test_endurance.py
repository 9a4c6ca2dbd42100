# SPDX-License-Identifier: MIT
"""A short run of the journal of kills; `python -m tests.endurance --minutes 30` is the long one."""

from __future__ import annotations

from pathlib import Path

from tests.endurance import run


def test_a_short_run(tmp_path: Path) -> None:
    for world in run(0.1, tmp_path, seed=11):
        assert world.figures["kills"] >= 1
        assert sum(n for name, n in world.figures.items() if name.endswith("acknowledged"))
