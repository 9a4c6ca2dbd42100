# SPDX-License-Identifier: MIT
"""`crons`: each with its schedule, last and next run and last error; `crons run NAME` runs one now."""

from __future__ import annotations

import argparse
import json
from typing import Any

from . import print_rows, utc
from ._admin import access
from ._arguments import word
from ._settings import MisuseError
from .run import print_outcome

HELP = "list crons with their last and next runs, or run one now"
USAGE = "%(prog)s [-h] [--json] [--data PLACE] [--files PLACE] [--server URL] [run NAME] [TARGET]"
ARGUMENTS = (
    word("words", "run NAME, TARGET", "`run` and a cron to run it now; the app", nargs="*"),
    *("json", "data", "files", "server"),
)


def run(args: argparse.Namespace) -> int:
    cron, words = None, args.words
    if words[:1] == ["run"]:
        cron, words = (words[1:2] or [None])[0], words[2:]
        if cron is None:
            raise MisuseError("crons run takes the NAME of a cron, as `crons` shows it")
    if len(words) > 1:
        raise MisuseError("crons takes one TARGET, and `run NAME` before it")
    args.target = words[0] if words else None
    with access(args) as app:
        if cron is not None:
            return print_outcome(app.run_action("_app:run_cron", name=cron), pretty=not args.json)
        rows = app.run_query("_app:crons")
    print_rows(rows if args.json else map(_row, rows), args.json, empty="the app has no crons")
    return 0


def _row(row: dict[str, Any]) -> dict[str, Any]:
    schedule = {name: value for name, value in row["schedule"].items() if name != "type"}
    return {
        "name": row["name"],
        "schedule": f"{row['schedule']['type']} {json.dumps(schedule) if schedule else ''}".rstrip(),
        "function": row["function"],
        "next": utc(row["nextRun"]),
        "last": utc(row["lastRun"]),
        "state": row["lastState"],
        "error": (row["lastError"] or "").partition("\n")[0],
    }
