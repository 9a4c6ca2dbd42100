# SPDX-License-Identifier: MIT
"""What the tests of values share."""

from __future__ import annotations

import json
from pathlib import Path

VECTORS = json.loads((Path(__file__).parent.parent / "data" / "values.json").read_text())


def circle() -> list[object]:
    itself: list[object] = []
    itself.append(itself)
    return itself
