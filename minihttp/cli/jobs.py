# SPDX-License-Identifier: MIT
"""`jobs`: what is scheduled, what ran and how it ended; run, retry or cancel it.

Works on the app's database, which with SQLite belongs to one process at a time; `--server URL` asks a running
server instead. `run` needs the database: who has it runs what is due anyway.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import MinihttpError
from . import ACCESS, APP, add_arguments, confirm, count, plain, print_rows, utc
from ._admin import Access, access, opened_alone

if TYPE_CHECKING:
    from ..app.wsgi import App
    from ..data.catalog import Document

HELP = "list, show, run, retry or cancel scheduled functions"
_LISTED = 50


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    for name, (action, text, takes_id) in _ACTIONS.items():
        command = actions.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        if name == "list":
            from ..jobs.store import STATES

            command.add_argument(
                "--state", choices=STATES, metavar="STATE", help=f"only jobs that are {', '.join(STATES)}"
            )
            command.add_argument(
                "--limit", type=count, default=_LISTED, metavar="N", help=f"how many, {_LISTED} by default"
            )
        if takes_id:
            command.add_argument("id", metavar="ID", help="the id of a job")
        if action is _run:
            add_arguments(command, *APP)
        else:
            add_arguments(command, *ACCESS)
        add_arguments(command, "json", *(["yes"] if action is _cancel else []))
        command.set_defaults(action=action)


def run(args: argparse.Namespace) -> int:
    if args.action is _run:
        with opened_alone(args, "a server or worker runs what is due itself") as app:
            _run(app, args)
    else:
        with access(args) as jobs:
            args.action(jobs, args)
    return 0


def _list(jobs: Access, args: argparse.Namespace) -> None:
    rows = jobs.query("_jobs:list", state=args.state, limit=args.limit)
    print_rows(
        ({**_summary(row), "error": _error(row).partition("\n")[0]} for row in rows),
        args.json,
        empty="there are no such jobs",
    )


def _summary(row: Document) -> dict[str, Any]:
    return {
        "id": row["_id"],
        "state": row["state"]["kind"],
        "name": row["name"],
        "scheduled": utc(row["scheduledTime"]),
        "completed": utc(row.get("completedTime")),
        "attempts": int(row["attempts"]),
    }


def _error(row: Document) -> str:
    """Why it failed, or its last attempt did."""
    error: str = row["state"].get("error", row.get("lastError", ""))
    return error


def _show(jobs: Access, args: argparse.Namespace) -> None:
    _print_job(jobs.query("_jobs:show", id=args.id), args)


def _print_job(row: Document | None, args: argparse.Namespace) -> None:
    from ..values import encode_clean

    if row is None:
        raise MinihttpError(f"there is no job {args.id} (any more)")
    if args.json:
        print(json.dumps(encode_clean(row)))
        return
    shown = {**_summary(row), "error": _error(row) or None}
    for name, value in (("args", row["args"][0]), ("result", row.get("result"))):
        shown[name] = None if value is None else json.dumps(encode_clean(value))
    for name, value in shown.items():
        text = "-" if value is None else "\n".join(map(plain, str(value).splitlines()))
        print(f"{name + ':':11}{text}")


def _retry(jobs: Access, args: argparse.Namespace) -> None:
    print_rows([{"id": jobs.mutation("_jobs:retry", id=args.id)}], args.json)


def _cancel(jobs: Access, args: argparse.Namespace) -> None:
    confirm(args, f"cancel job {args.id}?")
    _print_job(jobs.mutation("_jobs:cancel", id=args.id), args)


def _run(app: App, args: argparse.Namespace) -> None:
    print_rows([{"ran": app.jobs.run_due()}], args.json)


_ACTIONS: dict[str, tuple[Callable[[Any, argparse.Namespace], None], str, bool]] = {
    "list": (_list, "list jobs, the latest first; with --state pending those that are due first", False),
    "show": (_show, "show one job whole", True),
    "retry": (_retry, "run a job that has ended once more, as a new job", True),
    "cancel": (_cancel, "cancel a job that has not ended", True),
    "run": (_run, "run what is due now, one after the other, and exit", False),
}
