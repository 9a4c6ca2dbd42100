# SPDX-License-Identifier: MIT
"""The last lines of the log: by level, function and request, the newest first."""

from __future__ import annotations

import time
from typing import Any

from .html import Safe, join, tag
from .view import Page, View, code, entry, options, table

_LEVELS = ("debug", "info", "warning", "error")
_SHOWN = 200
_SEARCHED = 10_000


def page(view: View, rest: list[str]) -> Page | None:
    if rest:
        return None
    level = view.asked("level", "info") if view.asked("level", "info") in _LEVELS else "info"
    asked = {name: view.asked(name) for name in ("function", "request_id", "route", "status", "text")}
    found = view.call(
        "_app:logs", level=level, function=asked["function"], request_id=asked["request_id"], limit=_SEARCHED
    )
    lines = [line for line in found["lines"] if _fits(line, asked)][-_SHOWN:]
    form = tag(
        "form",
        options("level", "Level", [(name, name) for name in _LEVELS], level),
        entry("route", "Route", asked["route"], size=12),
        entry("status", "Status", asked["status"], size=4, placeholder="5"),
        entry("function", "Function", asked["function"], size=12),
        entry("request_id", "Request", asked["request_id"], size=12),
        entry("text", "Text", asked["text"], size=12),
        tag("button", "Show"),
        action=view.path("logs"),
        class_="filter",
    )
    errors = [line for line in lines if line["level"] == "error"]
    jump = (
        tag("p", tag("a", f"{len(errors)} errors: to the newest", href=f"#l{errors[-1]['number']}"))
        if errors
        else None
    )
    rows = [_row(view, line) for line in reversed(lines)]
    empty = "No lines fit. A server keeps its last 10,000 lines in memory; they go when it stops."
    return Page("Logs", join([form, jump, table(("Time", "Level", "What", "Request"), rows, empty)]))


def _fits(line: dict[str, Any], asked: dict[str, str]) -> bool:
    return (
        _fits_route(str(line.get("route") or line.get("path") or ""), asked["route"])
        and str(line.get("status", "")).startswith(asked["status"])
        and (not asked["text"] or asked["text"] in str(line.get("message", "")))
    )


def _fits_route(route: str, asked: str) -> bool:
    """The dashboard's own requests are shown to who asks for them."""
    return asked in route if asked else not route.startswith("/_/")


def _row(view: View, line: dict[str, Any]) -> tuple[Any, ...]:
    exact = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(line["time"]))
    clock = time.strftime("%H:%M:%S", time.gmtime(line["time"]))
    moment = tag("time", clock, title=exact, id=f"l{line['number']}")
    level = tag("span", line["level"], class_=f"level-{line['level']}")
    request = line.get("requestId") or ""
    if "status" in line:
        what: Safe = tag(
            "span",
            f"{line['method']} {line['route'] or line['path']} ",
            tag("b", line["status"], class_=f"status-{line['status'] // 100}"),
            f" {line['ms']:.1f} ms, {line['bytes']} B",
        )
    else:
        head, _, trace = line["message"].partition("\n")
        _, found, id = head.partition("request_id=")
        request = id.split(" ")[0] if found else ""
        what = join([head, code(trace) if trace else None])
    return moment, level, what, view.link(request, "logs", request_id=request) if request else ""
