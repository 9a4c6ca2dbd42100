# SPDX-License-Identifier: MIT
"""Crons: their schedules, last and next runs; run one now."""

from __future__ import annotations

from typing import Any

from .html import join, tag
from .pieces import code, first_line, state, table
from .view import Page, Redirect, View


def _list(view: View) -> Page:
    rows = [
        (
            cron["name"],
            view.link(cron["function"], "functions", *cron["function"].split("/")),
            _said(cron["schedule"]),
            view.when(cron["nextRun"]),
            view.when(cron["lastRun"]),
            state(cron["lastState"]) if cron["lastState"] else "",
            first_line(cron["lastError"] or ""),
            view.button("Run now", "crons", cron["name"]),
        )
        for cron in view.call("_app:crons")
    ]
    empty = "No crons. Make some with Crons() in crons.py, or App(crons=…)."
    heads = ("Cron", "Function", "Schedule (UTC)", "Next run", "Last run", "State", "Error", "")
    return Page("Crons", table(heads, rows, empty))


def _run(view: View, form: Any, name: str) -> Redirect:
    done = view.call("_app:run_cron", name=name)
    shown = [tag("h2", "It failed"), code(done["error"])] if done["error"] else []
    logged = [tag("h2", "Log lines"), code("\n".join(done["logs"]))] if done["logs"] else []
    return Redirect(view.path("crons"), f"ran cron {name}", join([*shown, *logged]))


def _said(schedule: Any) -> Any:
    """`every 5 minutes`, `daily at 03:30`."""
    kind, clock = schedule["type"], f"at {_two(schedule, 'hourUTC')}:{_two(schedule, 'minuteUTC')}"
    match kind:
        case "interval":
            given = [f"{value:g} {name}" for name, value in schedule.items() if name != "type"]
            return f"every {' '.join(given)}"
        case "hourly":
            return f"hourly at :{_two(schedule, 'minuteUTC')}"
        case "cron":
            return tag("code", schedule["cron"])
    day = schedule.get("dayOfWeek") or (f"day {schedule['day']:g}" if "day" in schedule else "")
    return f"{kind}{', ' if day else ''}{day} {clock}"


def _two(schedule: Any, name: str) -> str:
    return f"{int(schedule.get(name) or 0):02}"


PAGES = {"": _list}
CHANGES = {"*": _run}
