# SPDX-License-Identifier: MIT
"""`env`: the environment variables that an app needs, whether each is set, and from where; never a value."""

from __future__ import annotations

import argparse
from typing import Any

from . import named_app, print_rows
from ._admin import access
from ._arguments import ACCESS, switch

HELP = "list the environment variables that an app needs"
_SHOWN_CHARACTERS = 4
ARGUMENTS = (
    switch("--check", "exit code 1 when one is not set"),
    switch("--show", "show the first characters of each value"),
    "json",
    *ACCESS,
)


def run(args: argparse.Namespace) -> int:
    if args.server:
        with access(args) as app:
            needed = [(row["name"], row["path"], row["isSet"]) for row in app.run_query("_app:environment")]
    else:
        environ = args.environ
        needed = [(name, path, bool(environ.get(name))) for path, name in named_app(args).secrets()]
    rows = [_row(args, *found) for found in needed]
    print_rows(rows, args.json, empty="the app needs no environment variables")
    return 1 if args.check and not all(is_set for _, _, is_set in needed) else 0


def _row(args: argparse.Namespace, name: str, path: str, is_set: bool) -> dict[str, Any]:
    source = "the server" if args.server else "the environment" if args.shell_environ.get(name) else ".env"
    row: dict[str, Any] = {"name": name, "set": is_set, "from": source if is_set else None}
    row["for"] = f"webhook {path}" if path else "the router"
    if args.show and not args.server:
        row["value"] = _masked(args.environ.get(name, ""))
    return row


def _masked(value: str) -> str:
    """The first characters of a value that is long enough to stay secret without them."""
    return value[:_SHOWN_CHARACTERS] + "…" if len(value) >= 4 * _SHOWN_CHARACTERS else "…" if value else ""
