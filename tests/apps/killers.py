# SPDX-License-Identifier: MIT
"""Jobs that kill the process in which they run, and innocent ones beside them."""

from __future__ import annotations

import ctypes
import os
import signal
from typing import Any

from minihttp import App, HttpRouter, internal_action, internal_mutation, mutation, query, v

WAYS = {
    "exit": lambda: os._exit(9),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "segfault": lambda: ctypes.string_at(0),
}


@internal_mutation(args={"way": v.string()})
def killer(ctx: Any, way: str) -> None:
    ctx.db.insert("marks", {"by": "killer"})
    WAYS[way]()


@internal_mutation(args={"number": v.number()})
def innocent(ctx: Any, number: int) -> None:
    ctx.db.insert("marks", {"by": f"innocent {number}"})


@internal_action
def nothing(ctx: Any) -> None:
    pass


@internal_mutation
def killing_end(ctx: Any, job_id: str, result: Any, context: Any = None) -> None:
    WAYS["exit"]()


@mutation(args={"way": v.string()})
def schedule(ctx: Any, way: str) -> None:
    """The killer among innocents, all due at once; or as what is called at a job's end."""
    for number in range(3):
        ctx.scheduler.run_after(0, innocent, number=number)
    if way == "on_complete":
        ctx.scheduler.with_options(on_complete=killing_end).run_after(0, nothing)
    else:
        ctx.scheduler.run_after(0, killer, way=way)
    for number in range(3, 6):
        ctx.scheduler.run_after(0, innocent, number=number)


@query
def state(ctx: Any) -> dict[str, Any]:
    jobs = ctx.db.system.query("_scheduled_functions").collect()
    return {
        "marks": sorted(row["by"] for row in ctx.db.query("marks").collect()),
        "jobs": [[job["name"].partition(":")[2], job["state"]["kind"], job.get("attempts")] for job in jobs],
    }


app = App(HttpRouter(), modules={"killers": __name__})
