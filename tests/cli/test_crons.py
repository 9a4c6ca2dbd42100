# SPDX-License-Identifier: MIT
"""`crons`: when each runs next, and running one now."""

from __future__ import annotations

import json
from typing import Any

from tests.cli.asked import ask
from tests.cli.shell import shell

__all__ = ["ask", "shell"]


def test_crons(ask: Any) -> None:
    [row] = ask("crons", "--json").rows
    assert row["name"] == "tidy" and row["function"] == "app:create"
    assert "interval" in ask("crons").out
    assert len(json.loads(ask("crons", "run", "tidy").out)) == 32
    assert ask("run", "app:count").out == "1\n"
    assert "there is no cron 'nope'" in ask("crons", "run", "nope", code=1).err
    assert "takes the NAME" in ask("crons", "run", code=2).err
