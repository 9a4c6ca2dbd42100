# SPDX-License-Identifier: MIT
"""`export`: documents and files of one moment as a snapshot, a ZIP file in Convex's layout."""

from __future__ import annotations

import argparse

from . import ACCESS, add_arguments
from ._snapshots import export_to

HELP = "write documents and files as a snapshot, a ZIP file in Convex's layout"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE.zip", help="where to; - is stdout")
    parser.add_argument(
        "--convex-ids", action="store_true", help="write ids as Convex does, for `npx convex import`"
    )
    add_arguments(parser, "yes", "json", *ACCESS)


def run(args: argparse.Namespace) -> int:
    export_to(args, args.file, "export", convex_ids=args.convex_ids)
    return 0
