# SPDX-License-Identifier: MIT
"""The first page: what runs, what it does, and what needs a look."""

from __future__ import annotations

import os
import sys

from .. import __version__
from .activity import CLASSES, Step
from .html import Safe, join, tag
from .plots import bars, lines
from .view import Page, View, facts, size, span

_SPANS = {"": (60, 1, "1 h"), "day": (24 * 60, 15, "24 h")}  # minutes, minutes a step, how it is said
_ERROR_MINUTES = 60
_WORDS = {"inProgress": "in progress"}
_SIZES = {"database_bytes": "Database", "wal_bytes": "Write-ahead log"}


def page(view: View, rest: list[str]) -> Page | None:
    if rest:
        return None
    chosen = view.asked("span") if view.asked("span") in _SPANS else ""
    minutes, each, said = _SPANS[chosen]
    steps = view.activity.steps(minutes, each)
    other = view.link("the last day", "", span="day") if not chosen else view.link("the last hour", "")
    body = [
        _missing(view),
        _numbers(view),
        tag("p", "Show ", other, ".", class_="muted"),
        tag("div", _plots(steps, each, said, dict(view.call("_app:jobs_run"))), class_="plots"),
        tag("h2", "This server"),
        _facts(view),
    ]
    return Page("Overview", join(body))


def _plots(steps: list[Step], each: int, said: str, jobs: dict[int, int]) -> list[Safe]:
    per = "a minute" if each == 1 else f"in {each} minutes"
    statuses = [(name, [step.statuses[n] for step in steps]) for n, name in enumerate(CLASSES)]
    latency = [
        ("p50", [step.p50_seconds * 1000 for step in steps]),
        ("p95", [step.p95_seconds * 1000 for step in steps]),
    ]
    work = [
        ("jobs", [sum(jobs.get(minute, 0) for minute in step.minutes) for step in steps]),
        ("deliveries", [step.deliveries for step in steps]),
    ]
    return [
        bars(f"Requests {per}", statuses, said),
        lines("Time to answer", latency, said, " ms"),
        bars(f"Jobs and deliveries {per}", work, said),
    ]


def _missing(view: View) -> Safe | None:
    names = sorted({row["name"] for row in view.call("_app:environment") if not row["isSet"]})
    if not names:
        return None
    return tag("p", f"Not set in the environment: {', '.join(names)}.", class_="warning", role="status")


def _numbers(view: View) -> Safe:
    errors = sum(step.statuses[-1] for step in view.activity.steps(_ERROR_MINUTES, 1))
    log = view.path("logs", level="error")
    tiles: list[tuple[str, object, str]] = [("5xx in the last hour", errors, log)]
    for name in ("pending", "inProgress", "failed"):
        found = view.call("_jobs:list", state=name, limit=101)
        tiles.append((f"jobs {_WORDS.get(name, name)}", _capped(len(found)), view.path("jobs", state=name)))
    if view.app.http.webhooks:
        dead = view.call("_webhooks:list", state="dead", limit=101)
        tiles.append(("deliveries dead", _capped(len(dead)), view.path("webhooks", state="dead")))
    return tag(
        "ul",
        [tag("li", tag("a", tag("b", number), " ", label, href=href)) for label, number, href in tiles],
        class_="tiles",
    )


def _capped(count: int) -> str:
    return "100+" if count > 100 else str(count)


def _facts(view: View) -> Safe:
    app = view.app
    sizes = {name: number for name, number in app.database.statistics().items() if name.endswith("_bytes")}
    return facts(
        [
            ("minihttp", f"{__version__} on Python {sys.version.split()[0]}, process {os.getpid()}"),
            ("Up for", span(view.now - view.activity.started)),
            ("Data", app.options.data),
            *((_SIZES.get(name, name), size(number)) for name, number in sizes.items()),
            ("Mode", "read and write" if view.may_write else "read only"),
        ]
    )
