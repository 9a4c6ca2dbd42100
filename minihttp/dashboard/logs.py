# SPDX-License-Identifier: MIT
"""The last lines of the log: by level, route, status, function, request and text, the newest first."""

from __future__ import annotations

from typing import Any

from .html import Safe, join, tag
from .pieces import clock, code, entry, options, table
from .view import Page, View

_LEVELS = ("debug", "info", "warning", "error")
_SHOWN = 100
_FIELDS = ("route", "status", "function", "request_id", "text")


def _list(view: View) -> Page:
    level = view.asked("level") if view.asked("level") in _LEVELS else "info"
    asked = {"level": level, **{name: view.asked(name) for name in _FIELDS}}
    before = float(view.asked("before")) if view.asked("before").isdecimal() else None
    found = view.call("_app:log_page", before=before, limit=_SHOWN + 1, **asked)
    lines, is_last = found[:_SHOWN], len(found) <= _SHOWN
    rows = [
        _row(view, line, later) for line, later in zip(lines, _next_errors(view, asked, lines), strict=True)
    ]
    fits = any(asked[name] for name in _FIELDS) or level != "info"
    empty = (
        "No line fits. Of what was said before the last 10,000 lines nothing is kept here."
        if fits
        else "Nothing has been logged yet. Requests, errors and what the app logs appear here."
    )
    heads = ("Time (UTC)", "Level", "What", "Request")
    body = [_form(view, asked), _jobs(view, asked), _jump(view, asked, lines), table(heads, rows, empty)]
    turn = []
    if before is not None:
        turn.append(view.link("← Newest", "logs", **_said(asked)))
    if not is_last:
        turn.append(view.link("Older →", "logs", **_said(asked), before=lines[-1]["number"]))
    body.append(tag("nav", join(turn), aria_label="Pages", class_="pages") if turn else Safe(""))
    return Page("Logs", join(body))


def _said(asked: dict[str, str]) -> dict[str, str]:
    """What a link has to say: not what is so by itself."""
    return {name: value for name, value in asked.items() if value != {"level": "info"}.get(name)}


def _form(view: View, asked: dict[str, str]) -> Safe:
    return view.chooser(
        ["logs"],
        options("level", "From level", [(name, name) for name in _LEVELS], asked["level"]),
        entry("route", "Route", asked["route"], size=10),
        entry("status", "Status", asked["status"], size=4, placeholder="5"),
        entry("function", "Function", asked["function"], size=14),
        entry("request_id", "Request", asked["request_id"], size=10),
        entry("text", "Text", asked["text"], size=14),
    )


def _next_errors(view: View, asked: dict[str, str], lines: list[Any]) -> list[str]:
    """For each line where the next error below it is: on this page, on an older one, or "" for nowhere."""
    places: list[str] = []
    place = _older_error(view, asked, lines[-1]["number"]) if lines else ""
    for line in reversed(lines):
        places.append(place)
        if line["level"] == "error":
            place = f"#l{line['number']}"
    places.reverse()
    return places


def _older_error(view: View, asked: dict[str, str], number: int) -> str:
    older = view.call("_app:log_page", before=number, limit=1, **{**asked, "level": "error"})
    if not older:
        return ""
    place = view.path("logs", **_said(asked), before=older[0]["number"] + 1)
    return f"{place}#l{older[0]['number']}"


def _jump(view: View, asked: dict[str, str], lines: list[Any]) -> Safe | None:
    first = next((line["number"] for line in lines if line["level"] == "error"), None)
    place = f"#l{first}" if first else _older_error(view, asked, lines[-1]["number"]) if lines else ""
    return tag("p", tag("a", "Next error ↓", href=place)) if place else None


def _jobs(view: View, asked: dict[str, str]) -> Safe | None:
    """The jobs that the chosen request scheduled."""
    if not asked["request_id"]:
        return None
    found = view.call("_jobs:page", request_id=asked["request_id"], limit=10)["page"]
    links = [tag("li", job["name"], " ", view.thing(job["_id"], "_scheduled_functions")) for job in found]
    return tag("div", "Jobs of this request:", tag("ul", links)) if found else None


def _row(view: View, line: dict[str, Any], next_error: str) -> tuple[Any, ...]:
    moment = view.time(line["time"], clock(line["time"]), id=f"l{line['number']}")
    level = tag("span", line["level"], class_=f"level-{line['level']}")
    request = line.get("requestId") or ""
    if "status" in line:
        status = tag("b", line["status"], class_=f"status-{line['status'] // 100}")
        took = tag("span", f" {line['ms']:.1f} ms, {line['bytes']} B", class_="muted")
        what: Safe = tag("span", f"{line['method']} {line['route'] or line['path']} ", status, took)
    else:
        request, what = _message(view, line)
        if line["level"] == "error" and next_error:
            what = join([what, tag("p", tag("a", "Next error ↓", href=next_error))])
    link = view.link(f"{request[:8]}…", "logs", request_id=request) if request else ""
    return moment, level, what, link


def _message(view: View, line: dict[str, Any]) -> tuple[str, Safe]:
    """The request that a line is of, if it is known, and the line with links to what it names."""
    head, _, trace = line["message"].partition("\n")
    before, found, id = head.partition("request_id=")
    request = id.split(" ")[0] if found else line.get("requestId", "")
    function = line.get("function") or ""
    by = (
        tag("span", view.link(function, "functions", *function.split("/")), ": ", class_="muted")
        if function and not function.startswith("_")
        else None
    )
    said = before.rstrip() + id[len(request) :] if found else head
    job = [" in job ", view.thing(line["jobId"], "_scheduled_functions")] if line.get("jobId") else None
    return request, join([by, view.linked(said), job, code(trace) if trace else None])


PAGES = {"": _list}
