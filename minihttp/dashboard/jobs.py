# SPDX-License-Identifier: MIT
"""Jobs by state; one job with its arguments, attempts and error; run again, cancel."""

from __future__ import annotations

from typing import Any

from ..errors import HTTPError
from .html import join, tag
from .view import Page, Redirect, View, code, facts, fields, options, preview, state, table

STATES = ("pending", "inProgress", "failed", "success", "canceled")
_SHOWN = 100
_ENDED = ("failed", "success", "canceled")


def page(view: View, rest: list[str]) -> Page | None:
    match rest:
        case []:
            return _list(view)
        case [id]:
            return _one(view, id)
    return None


def change(view: View, form: Any, rest: list[str]) -> Redirect:
    match rest:
        case [id, "retry"]:
            new = view.call("_jobs:retry", id=id)
            return Redirect(view.path("jobs", new), f"ran job {id} again as {new}")
        case [id, "cancel"]:
            view.call("_jobs:cancel", id=id)
            return Redirect(view.path("jobs", id), f"canceled job {id}")
    raise HTTPError(404, "There is nothing to change here")


def _list(view: View) -> Page:
    chosen = view.asked("state") if view.asked("state") in STATES else ""
    found = view.call("_jobs:list", state=chosen or None, limit=_SHOWN)
    rows = [
        (
            view.id(job["_id"], "jobs", job["_id"]),
            job["name"],
            state(job["state"]["kind"]),
            job.get("attempts", 0),
            view.when(job["scheduledTime"]),
            preview(job["state"].get("error") or job.get("lastError") or "", 80),
        )
        for job in found
    ]
    choices = [("", "any state"), *((name, name) for name in STATES)]
    chooser = tag(
        "form",
        options("state", "State", choices, chosen),
        tag("button", "Show"),
        action=view.path("jobs"),
        class_="filter",
    )
    empty = "No jobs here. A function schedules one with ctx.scheduler.run_after(seconds, function, …)."
    heads = ("Id", "Function", "State", "Attempts", "Scheduled for", "Error")
    more = tag("p", f"The first {_SHOWN} are shown.", class_="muted") if len(found) == _SHOWN else None
    return Page("Jobs", join([chooser, table(heads, rows, empty, [3]), more]))


def _one(view: View, id: str) -> Page | None:
    job = view.call("_jobs:show", id=id)
    if job is None:
        return None
    kind = job["state"]["kind"]
    error = job["state"].get("error") or job.get("lastError")
    args = job["args"][0] if job.get("args") else {}
    parts = [
        facts(
            [
                ("Id", tag("code", id, class_="whole")),
                ("Function", job["name"]),
                ("State", state(kind)),
                ("Attempts", job.get("attempts", 0)),
                ("Scheduled for", view.when(job["scheduledTime"])),
                ("Ended", view.when(job["completedTime"]) if job.get("completedTime") else None),
                ("Log", view.link("lines of this job", "logs", text=id)),
            ]
        ),
        [tag("h2", "Error"), code(error)] if error else None,
        tag("h2", "Arguments"),
        code(fields(args)),
        view.button("Run it again", "jobs", id, "retry") if kind in _ENDED else None,
        view.button("Cancel", "jobs", id, "cancel", danger=True) if kind not in _ENDED else None,
    ]
    return Page(f"Job {job['name']}", join(parts))
