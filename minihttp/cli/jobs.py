# SPDX-License-Identifier: MIT
"""`jobs`: what is scheduled, what ran and how it ended; run, retry or cancel it.

Works on the app's database, which with SQLite belongs to one process at a time; `--server URL` asks a running
server instead. `run` needs the database: who has it runs what is due anyway.
"""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from ..errors import MinihttpError
from ..jobs.store import STATES
from . import confirm, plain, print_rows, utc
from ._admin import Access, access, opened_alone
from ._arguments import ACCESS, APP, Action, limit, option, word

if TYPE_CHECKING:
    from ..app.wsgi import App
    from ..data.catalog import Document

HELP = "list, show, run, retry or cancel scheduled functions"


def run(args: argparse.Namespace) -> int:
    if "server" not in args:
        with opened_alone(args, "a server or worker runs what is due itself") as app:
            args.action(app, args)
    else:
        with access(args) as jobs:
            args.action(jobs, args)
    return 0


def _list(jobs: Access, args: argparse.Namespace) -> None:
    rows = jobs.run_query("_jobs:list", state=args.state, limit=args.limit)
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
    return str(row["state"].get("error", row.get("lastError", "")))


def _show(jobs: Access, args: argparse.Namespace) -> None:
    _print_job(jobs.run_query("_jobs:show", id=args.id), args)


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
    print_rows([{"id": jobs.run_mutation("_jobs:retry", id=args.id)}], args.json)


def _cancel(jobs: Access, args: argparse.Namespace) -> None:
    confirm(args, f"cancel job {args.id}?")
    _print_job(jobs.run_mutation("_jobs:cancel", id=args.id), args)


def _run(app: App, args: argparse.Namespace) -> None:
    print_rows([{"ran": app.jobs.run_due()}], args.json)


_JOBS = (*ACCESS, "json")
_ID = word("id", "ID", "the id of a job")
_STATE = option("--state", "STATE", f"only jobs that are {', '.join(STATES)}", choices=STATES)
ACTIONS = {
    "list": Action(
        _list,
        "list jobs, the latest first; with --state pending those that are due first",
        (_STATE, limit(50), *_JOBS),
    ),
    "show": Action(_show, "show one job whole", (_ID, *_JOBS)),
    "retry": Action(_retry, "run a job that has ended once more, as a new job", (_ID, *_JOBS)),
    "cancel": Action(_cancel, "cancel a job that has not ended", (_ID, *_JOBS, "yes")),
    "run": Action(_run, "run what is due now, one after the other, and exit", (*APP, "json")),
}
