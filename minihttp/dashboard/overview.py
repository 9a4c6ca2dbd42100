# SPDX-License-Identifier: MIT
"""The first page: what runs, what it does, and what needs a look."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping

from .. import __version__
from ..app.backends import storage_urls, without_password
from .activity import CLASSES, Step
from .html import Safe, join, tag
from .pieces import clock, facts, size, span
from .plots import Series, bars, lines
from .view import Page, View

_SPANS = {"": "Last hour", "day": "Last day"}
_SIZES = {"database_bytes": "Database", "wal_bytes": "Write-ahead log"}
_COUNTED = 100
_UNHEARD = "No request has been counted yet. Under another server than minihttp's own none will be."


def _overview(view: View) -> Page:
    chosen = view.asked("span") if view.asked("span") in _SPANS else ""
    steps = view.activity.day() if chosen else view.activity.hour()
    tabs = [
        tag("a", said, href=view.path("", span=name), aria_current="true" if name == chosen else None)
        for name, said in _SPANS.items()
    ]
    body = [
        _missing(view),
        _numbers(view),
        tag("nav", tabs, class_="tabs", aria_label="Time shown"),
        None if view.activity.has_heard else tag("p", _UNHEARD, class_="muted"),
        tag("div", _plots(view, steps), class_="plots"),
        tag("h2", "This server"),
        _facts(view),
    ]
    return Page("Overview", join(body))


# ------------------------------------------------------------ plots


def _plots(view: View, steps: list[Step]) -> list[Safe]:
    each = len(steps[0].minutes)
    per = "a minute" if each == 1 else f"in {each} minutes"
    times = [clock(step.minutes[0] * 60, "%H:%M UTC") for step in steps]
    logs = view.path("logs")
    statuses = [
        _counted(name, [step.statuses[n] for step in steps], view.path("logs", status=name[0]))
        for n, name in enumerate(CLASSES)
    ]
    times_ms = [
        _latest(name, [seconds * 1000 for seconds in values], logs)
        for name, values in (
            ("p50", [step.p50_seconds for step in steps]),
            ("p95", [step.p95_seconds for step in steps]),
        )
    ]
    ran = dict(view.call("_app:jobs_run"))
    jobs = [sum(ran.get(minute, 0) for minute in step.minutes) for step in steps]
    work = [
        _counted("jobs", jobs, view.path("jobs")),
        _counted("deliveries", [step.deliveries for step in steps], view.path("webhooks")),
    ]
    depths = _depths(view, steps)
    queue = Series("waiting", depths, f"{depths[-1]:,}", view.path("jobs", state="pending"))
    return [
        bars(f"Requests {per}", statuses, times),
        lines("Time to answer", times_ms, times, " ms"),
        bars(f"Jobs and deliveries {per}", work, times),
        bars("Jobs that are due and wait", [queue], times),
    ]


def _counted(name: str, values: list[int], href: str) -> Series:
    return Series(name, values, f"{sum(values):,}", href)


def _latest(name: str, values: list[float], href: str) -> Series:
    """Of a latency, what it was when there last was one."""
    last = next((value for value in reversed(values) if value), 0.0)
    return Series(name, values, f"{last:.3g} ms" if last else "", href)


def _depths(view: View, steps: list[Step]) -> list[int]:
    seen: Mapping[int, int] = dict(view.call("_app:queue_depth"))
    return [max((seen.get(minute, 0) for minute in step.minutes), default=0) for step in steps]


# ------------------------------------------------------------ numbers


def _missing(view: View) -> Safe | None:
    names = sorted({row["name"] for row in view.call("_app:environment") if not row["isSet"]})
    if not names:
        return None
    said = f"Not set in the environment: {', '.join(names)}. What needs it is refused until then."
    return tag("p", said, class_="warning", role="status")


def _numbers(view: View) -> Safe:
    errors = sum(step.statuses[-1] for step in view.activity.hour())
    tiles = [(errors, "errors (5xx) in the last hour", view.path("logs", status="5"), errors > 0)]
    for name, said in (
        ("pending", "jobs pending"),
        ("inProgress", "jobs running"),
        ("failed", "jobs failed"),
    ):
        count = len(view.call("_jobs:list", state=name, limit=_COUNTED + 1))
        tiles.append((count, said, view.path("jobs", state=name), name == "failed" and count > 0))
    if view.app.http.webhooks:
        dead = len(view.call("_webhooks:list", state="dead", limit=_COUNTED + 1))
        tiles.append((dead, "deliveries dead", view.path("webhooks", state="dead"), dead > 0))
    items = [
        tag("li", tag("a", tag("b", _capped(count), class_="bad" if is_bad else None), said, href=href))
        for count, said, href, is_bad in tiles
    ]
    return tag("ul", items, class_="tiles")


def _capped(count: int) -> str:
    return f"{_COUNTED}+" if count > _COUNTED else str(count)


def _facts(view: View) -> Safe:
    options = view.app.options
    documents, files = (without_password(url) for url in storage_urls(options.data, options.files))
    sizes = view.app.database.statistics()
    folder = documents.partition(":")[2]
    place = folder if os.path.isabs(folder) or os.path.exists(folder) else ""
    return facts(
        [
            ("App", view.name),
            ("minihttp", f"{__version__} on Python {sys.version.split()[0]}, process {os.getpid()}"),
            ("Up for", span(view.now - view.activity.started)),
            ("Engine", documents.partition(":")[0]),
            ("Documents in", tag("code", documents.partition(":")[2])),
            ("Files in", tag("code", files)),
            *((said, size(sizes[name])) for name, said in _SIZES.items() if name in sizes),
            ("Disk", _free(place) if place and place != ":memory:" else None),
            ("Mode", "read and write" if view.may_write else "read only: --dashboard write changes things"),
        ],
        is_wide=True,
    )


def _free(path: str) -> str | None:
    try:
        usage = shutil.disk_usage(os.path.dirname(os.path.abspath(path)))
    except OSError:
        return None
    return f"{size(usage.free)} free of {size(usage.total)}"


PAGES = {"": _overview}
