# SPDX-License-Identifier: MIT
"""Whether there are deliveries as an earlier version stored them: only then `upgrade.py` is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..data.migration import read_stored
from ..jobs.store import PENDING
from ..values import index_key
from .deliveries import DELIVERIES

if TYPE_CHECKING:
    from ..data.backend import Reading

BY_KEY = "by_key"  # the index by endpoint and id
IN_LANES = (f"{PENDING}/", f"{PENDING}0")  # pending, and behind it the lane, which begins with a path
# Bounds of the queues that rows had then, by the state that people see
FORMER_QUEUES: dict[str, list[tuple[str, str]]] = {
    "pending": [("pending", "pending "), IN_LANES],
    "waiting": [("waiting:", "waiting;")],
    "done": [("done", "done ")],
    "dead": [("dead", "dead ")],
}


def kept_indexes(engine: Reading) -> frozenset[tuple[str, str]]:
    """The (table, name) of the index by which rows of the old form are found, while there are any."""
    stored = [row for row in read_stored(engine).indexes if row["table"] == DELIVERIES]
    numbers = [row["number"] for row in stored if row["name"] == "by_queue"]
    queues = [bounds for some in FORMER_QUEUES.values() for bounds in some]
    there = any(
        engine.scan_index(number, (index_key((low,)), ""), (index_key((high,)), ""), reverse=False, limit=1)
        for number in numbers
        for low, high in queues
    )
    return frozenset({(DELIVERIES, BY_KEY)} if there else ())
