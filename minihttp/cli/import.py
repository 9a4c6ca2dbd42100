# SPDX-License-Identifier: MIT
"""`import`: a snapshot, ours or one that Convex has exported, into the tables of an app."""

from __future__ import annotations

import argparse

from . import confirm
from ._arguments import ACCESS, switch, word
from ._settings import MisuseError
from ._snapshots import import_from

HELP = "read a snapshot, ours or Convex's, into an app"
ARGUMENTS = (
    word("file", "FILE.zip", "a snapshot of `export` or `npx convex export`"),
    switch("--append", "add to tables that have documents"),
    switch("--replace", "remove their documents first"),
    switch("--dry-run", "check everything and write nothing"),
    *("yes", "json", *ACCESS),
)


def run(args: argparse.Namespace) -> int:
    if args.append and args.replace:
        raise MisuseError("--append adds to what is there, and --replace removes it: take one of them")
    mode = "append" if args.append else "replace" if args.replace else "empty"
    if args.replace and not args.dry_run:
        confirm(args, "replace the documents of every table in the snapshot?")
    return import_from(args, args.file, "import", mode=mode, dry_run=args.dry_run)
