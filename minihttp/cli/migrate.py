# SPDX-License-Identifier: MIT
"""`migrate`: takes the declared schema in, as a start does, and serves nothing.

So a deployment can check documents and fill new indexes before its first new process starts. `--drop` also
drops the indexes that are not declared any more; where several processes share the store no start does that
while another one may use them.
"""

from __future__ import annotations

import argparse

from ..app.services import take_in
from . import confirm, load_app, print_rows
from ._admin import in_use_means
from ._arguments import APP, switch
from ._progress import Progress

HELP = "check documents against the schema and fill new indexes; --drop drops those that are not declared"
ARGUMENTS = (
    switch("--drop", "drop indexes that are not declared: no old version may still run"),
    *("yes", "json", *APP),
)


def run(args: argparse.Namespace) -> int:
    app = load_app(args)
    if args.drop:
        confirm(args, "drop the indexes that this version does not declare?")
    with (
        in_use_means("stop it first, or start it anew: a start does the same"),
        Progress("migrate") as progress,
    ):
        new, dropped = take_in(app.options, drop=args.drop, tick=progress)
    rows = [{"index": name, "change": "new"} for name in new]
    rows += [{"index": name, "change": "dropped"} for name in dropped]
    print_rows(rows, args.json, empty="nothing has changed")
    return 0
