# SPDX-License-Identifier: MIT
"""An app whose cron leaves a sign of life, for servers that nobody sends a request to."""

from __future__ import annotations

import os
from typing import Any

from minihttp import App, Crons, HttpRouter, internal_action, mutation, query

crons = Crons()


@internal_action
def beat(ctx: Any) -> None:
    with open(os.environ["BEAT_FILE"], "a") as file:
        file.write(f"{os.getpid()}\n")


@mutation
def mark(ctx: Any) -> int:
    ctx.db.insert("marks", {})
    return os.getpid()


@query
def marks(ctx: Any) -> int:
    return len(ctx.db.query("marks").collect())


crons.interval("beat", hours=1, function="beating:beat")
app = App(
    HttpRouter(), modules={"beating": __name__}, crons=crons, data=os.environ.get("BEAT_DATA", ":memory:")
)
