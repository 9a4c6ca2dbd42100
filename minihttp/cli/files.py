# SPDX-License-Identifier: MIT
"""`files copy`: moves the bytes of all files from one store to another, such as from a folder into SQLite.

SQLite stores must not be in use by a running app. Exit code 1 if a blob is damaged; the others are copied all
the same.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from contextlib import closing

from . import print_rows
from ._arguments import Action, option
from ._progress import Progress

HELP = "copy stored files from one store to another"


def run(args: argparse.Namespace) -> int:
    return int(args.action(args))


def _copy(args: argparse.Namespace) -> int:
    from ..app.backends import open_documents, open_files
    from ..files.copying import copy_blobs
    from ..snapshot.move import recorded_digests

    counts, bytes_copied = Counter[str](), 0
    recorded: dict[str, bytes] = {}
    with (
        Progress("files copy") as progress,
        closing(open_files(args.source, must_exist=True)) as source,
        closing(open_files(args.target)) as target,
    ):
        if args.documents:
            with closing(open_documents(args.documents, must_exist=True)) as documents:
                recorded = recorded_digests(documents)
        for done, outcome in enumerate(copy_blobs(source, target, recorded), 1):
            counts[outcome.result] += 1
            bytes_copied += outcome.size_bytes if outcome.result == "copied" else 0
            if outcome.result == "damaged":
                print(f"damaged, not copied: {outcome.key}", file=sys.stderr)
            progress("files", done, 0)
    if args.json:
        numbers = {name: counts[name] for name in ("copied", "present", "damaged")}
        print_rows([{**numbers, "bytes": bytes_copied}], True)
    else:
        print(
            f"{counts['copied']} copied ({bytes_copied / 2**20:.1f} MiB), {counts['present']} already there,"
            f" {counts['damaged']} damaged"
        )
    return 1 if counts["damaged"] else 0


ACTIONS = {
    "copy": Action(
        _copy,
        "copy every file that the target lacks, checking each copy; run it again to resume",
        (
            option("--from", "URL", "such as filesystem:data/files", dest="source", required=True),
            option("--to", "URL", "such as sqlite:data/files.db", dest="target", required=True),
            option(
                "--documents",
                "URL",
                "a document store, such as sqlite:data/app.db, whose digests the files must have",
            ),
            "json",
        ),
    ),
}
