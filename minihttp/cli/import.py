# SPDX-License-Identifier: MIT
"""`import`: a snapshot, ours or one that Convex has exported, into the tables of an app."""

from __future__ import annotations

import argparse

from . import ACCESS, add_arguments, confirm
from ._snapshots import import_from

HELP = "read a snapshot, ours or Convex's, into an app"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE.zip", help="a snapshot of `export` or `npx convex export`")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--append", action="store_true", help="add to tables that have documents")
    how.add_argument("--replace", action="store_true", help="remove their documents first")
    parser.add_argument("--dry-run", action="store_true", help="check everything and write nothing")
    add_arguments(parser, "yes", "json", *ACCESS)


def run(args: argparse.Namespace) -> int:
    mode = "append" if args.append else "replace" if args.replace else "empty"
    if args.replace and not args.dry_run:
        confirm(args, "replace the documents of every table in the snapshot?")
    return import_from(args, args.file, "import", mode=mode, dry_run=args.dry_run)
