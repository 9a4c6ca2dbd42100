# SPDX-License-Identifier: MIT
"""Jobs by state and function; one job with its arguments, attempts and error; run again, cancel."""

from __future__ import annotations

from typing import Any

from .html import Safe, join, tag
from .pieces import code, entry, facts, fields, first_line, options, short, state
from .view import Page, Redirect, View

STATES = ("pending", "inProgress", "failed", "success", "canceled")
_SHOWN = 50
_ENDED = ("failed", "success", "canceled")
_INBOX = "_webhooks:"  # what the names of jobs begin with that run the handlers of deliveries


def _retry(view: View, form: Any, id: str) -> Redirect:
    new = view.call("_jobs:retry", id=id)
    return Redirect(view.path("jobs", new), f"ran job {id} again as {new}")


def _cancel(view: View, form: Any, id: str) -> Redirect:
    view.call("_jobs:cancel", id=id)
    return Redirect(view.path("jobs", id), f"canceled job {id}")


def _list(view: View) -> Page:
    chosen = view.asked("state") if view.asked("state") in STATES else ""
    name = view.asked("name")
    found = view.page_of("_jobs:page", _SHOWN, state=chosen, name=name)
    choices = [("", "any state"), *((each, _WORDS.get(each, each)) for each in STATES)]
    chooser = view.chooser(
        ["jobs"],
        options("state", "State", choices, chosen),
        entry("name", "Function", name, placeholder="module:function"),
    )
    empty = (
        "No job fits."
        if chosen or name
        else "No jobs yet. A function schedules one with ctx.scheduler.run_after(seconds, function, …)."
    )
    heads = ("Id", "State", "Function", "Attempts", "Scheduled for", "Error")
    rows = [_row(view, job) for job in found["page"]]
    listed = view.listing(found, heads, rows, empty, "jobs", numbers=[3], state=chosen, name=name)
    return Page("Jobs", join([chooser, listed]))


_WORDS = {"inProgress": "in progress"}


def _row(view: View, job: Any) -> tuple[Any, ...]:
    return (
        view.id(job["_id"], "jobs", job["_id"]),
        state(job["state"]["kind"]),
        _said(job["name"]),
        int(job.get("attempts", 0)),
        view.when(_due(job)),
        first_line(job["state"].get("error") or job.get("lastError") or ""),
    )


def _due(job: Any) -> float:
    """When it runs next, or was to run."""
    is_waiting = job["state"]["kind"] == "pending"
    is_claimed = is_waiting and job["queue"].startswith("claimed:")
    return float(job["claimedDue" if is_claimed else "dueTime" if is_waiting else "scheduledTime"])


def _one(view: View, id: str) -> Page | None:
    job = view.call("_jobs:show", id=id)
    if job is None:
        return None
    kind = job["state"]["kind"]
    error = job["state"].get("error") or job.get("lastError")
    args = job["args"][0] if job.get("args") else {}
    request = job.get("requestId")  # which scheduled the job
    is_due_again = kind == "pending" and job.get("attempts")
    about = facts(
        [
            ("Id", tag("code", id, class_="whole")),
            ("Function", _function(view, job["name"])),
            ("State", state(kind)),
            ("Attempts", int(job.get("attempts", 0))),
            ("Scheduled for", view.when(job["scheduledTime"])),
            ("Next try", view.when(_due(job)) if is_due_again else None),
            ("Ended", view.when(job["completedTime"]) if job.get("completedTime") else None),
            ("Delivery", _delivery(view, job, args)),
            ("Request", view.link(request, "logs", request_id=request) if request else None),
            ("Log", view.link("lines about this job", "logs", text=id)),
        ]
    )
    is_inboxs = job["name"].startswith(_INBOX)
    body = [
        about,
        [tag("h2", "Error"), code(error)] if error else None,
        view.attempts(job.get("failures", ())),
        tag("h2", "Arguments"),
        code(fields(args)),
        [tag("h2", "Result"), code(fields(job["result"]))] if job.get("result") is not None else None,
        view.button("Run it again", "jobs", id, "retry") if kind in _ENDED and not is_inboxs else None,
        view.button("Cancel", "jobs", id, "cancel", sure="It will not run.", danger=True)
        if kind not in _ENDED
        else None,
    ]
    return Page(f"Job {_said(job['name'])} {short(id)}", join(body), trail=(("Jobs", "jobs"),))


def _said(name: str) -> str:
    """What a job is called: those of the inbox run the handler of a delivery, or note its end."""
    if not name.startswith(_INBOX):
        return name
    return "end of a delivery" if name.endswith("ended") else "handler of a delivery"


def _function(view: View, name: str) -> Any:
    return _said(name) if name.startswith("_") else view.link(name, "functions", *name.split("/"))


def _delivery(view: View, job: Any, args: Any) -> Safe | None:
    """The webhook delivery whose handler the job runs."""
    if not job["name"].startswith(_INBOX) or not view.app.http.webhooks:
        return None
    asked = {"endpoint": args.get("endpoint"), "delivery_id": args.get("delivery_id")}
    row = view.call("_webhooks:find", **asked) if all(asked.values()) else None
    return view.thing(row["_id"], "_webhook_deliveries") if row else None


PAGES = {"": _list, "*": _one}
CHANGES = {"*/retry": _retry, "*/cancel": _cancel}
