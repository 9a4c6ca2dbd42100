# SPDX-License-Identifier: MIT
"""`jobs`: what is scheduled, what ran and how it ended; run, retry or cancel it.

Works on the app's database, which with SQLite belongs to one process at a time: not beside a running server.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from ..errors import MinihttpError
from . import add_app_arguments, add_json_flag, count, opened_app, print_rows

if TYPE_CHECKING:
    from ..app import App
    from ..jobs.diary import Row

HELP = "list, show, run, retry or cancel scheduled functions"
_LISTED = 50


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    for name, (action, text, takes_id) in _ACTIONS.items():
        command = actions.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        if name == "list":
            from ..jobs.diary import STATES

            command.add_argument("--state", choices=STATES, help="only jobs in this state")
            command.add_argument(
                "--limit", type=count, default=_LISTED, help=f"how many, {_LISTED} by default"
            )
        if takes_id:
            command.add_argument("id", metavar="ID", help="the id of a job")
        add_app_arguments(command, optional=True)
        add_json_flag(command)
        command.set_defaults(action=action)


def run(args: argparse.Namespace) -> int:
    with opened_app(args) as app:
        try:
            args.action(app, args)
        except MinihttpError as error:
            print(f"jobs: {error}", file=sys.stderr)
            return 1
    return 0


def _list(app: App, args: argparse.Namespace) -> None:
    diary = app.jobs.diary
    rows = app.database.read(lambda transaction: diary.by_state(transaction, args.state, args.limit))
    print_rows((_summary(row) for row in rows), args.json)


def _summary(row: Row) -> dict[str, Any]:
    error = row["state"].get("error", row.get("lastError", ""))
    return {
        "id": row["_id"],
        "state": row["state"]["kind"],
        "name": row["name"],
        "scheduled": _utc(row["scheduledTime"]),
        "completed": _utc(row.get("completedTime")),
        "attempts": row["attempts"],
        "error": error.partition("\n")[0],
    }


def _show(app: App, args: argparse.Namespace) -> None:
    from ..values import encode_clean

    row = app.database.read(lambda transaction: app.jobs.diary.find(transaction, args.id))
    if row is None:
        raise MinihttpError(f"there is no job {args.id} (any more)")
    if args.json:
        print(json.dumps(encode_clean(row)))
        return
    summary = {**_summary(row), "error": row["state"].get("error", row.get("lastError", ""))}
    for name, value in {**summary, "args": row["args"][0], "result": row.get("result")}.items():
        print(f"{name + ':':11}{value if isinstance(value, str) else json.dumps(encode_clean(value))}")


def _retry(app: App, args: argparse.Namespace) -> None:
    print_rows([{"id": app.jobs.scheduler().retry(args.id)}], args.json)


def _cancel(app: App, args: argparse.Namespace) -> None:
    app.jobs.scheduler().cancel(args.id)
    _show(app, args)


def _run(app: App, args: argparse.Namespace) -> None:
    print_rows([{"ran": app.jobs.run_due()}], args.json)


def _utc(milliseconds: float | None) -> str | None:
    if milliseconds is None:
        return None
    return datetime.fromtimestamp(milliseconds / 1000, timezone.utc).isoformat(timespec="milliseconds")


_ACTIONS: dict[str, tuple[Callable[[App, argparse.Namespace], None], str, bool]] = {
    "list": (_list, "list jobs, the latest first", False),
    "show": (_show, "show one job whole", True),
    "retry": (_retry, "run a job that has ended once more, as a new job", True),
    "cancel": (_cancel, "cancel a job that has not ended", True),
    "run": (_run, "run what is due now, one after the other, and exit", False),
}
