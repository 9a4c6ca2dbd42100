# SPDX-License-Identifier: MIT
"""`functions`: every function of an app with its arguments and result; `--json` has Convex's validators."""

from __future__ import annotations

import argparse
import os

from ..data.walks import type_text
from . import print_rows
from ._admin import access
from ._arguments import ACCESS

HELP = "list functions with their arguments and results"
ARGUMENTS = ("json", *ACCESS)


def run(args: argparse.Namespace) -> int:
    with access(args) as app:
        rows = app.run_query("_app:functions")
    if not args.json:
        rows = [
            {
                "name": row["name"],
                "kind": row["kind"],
                "visibility": row["visibility"],
                "args": type_text(row["args"]),
                "returns": type_text(row["returns"]),
                "location": min(row["location"], os.path.relpath(row["location"]), key=len),
            }
            for row in rows
        ]
    print_rows(rows, args.json, empty="the app has no functions: see App(modules=[…])")
    return 0
