# SPDX-License-Identifier: MIT
"""Crons: their schedules, last and next runs; run one now."""

from __future__ import annotations

from typing import Any

from ..errors import HTTPError
from .html import join, tag
from .view import Page, Redirect, View, preview, state, table


def page(view: View, rest: list[str]) -> Page | None:
    if rest:
        return None
    rows = [
        (
            cron["name"],
            cron["function"],
            tag("code", cron["schedule"]),
            view.when(cron["nextRun"]),
            view.when(cron["lastRun"]),
            state(cron["lastState"]) if cron["lastState"] else "–",
            preview(cron["lastError"] or "", 80),
            view.button("Run now", "crons", cron["name"]),
        )
        for cron in view.call("_app:crons")
    ]
    empty = "No crons. Make some with Crons() in crons.py, or App(crons=…)."
    heads = ("Cron", "Function", "Schedule", "Next run", "Last run", "State", "Error", "")
    said = tag("p", f"{view.asked('ran')} has run.", role="status") if view.asked("ran") else None
    return Page("Crons", join([said, table(heads, rows, empty)]))


def change(view: View, form: Any, rest: list[str]) -> Redirect:
    match rest:
        case [name]:
            view.call("_app:run_cron", name=name)
            return Redirect(view.path("crons", ran=name), f"ran cron {name}")
    raise HTTPError(404, "There is nothing to change here")
