# SPDX-License-Identifier: MIT
"""`export`: documents and files of one moment as a snapshot, a ZIP file in Convex's layout."""

from __future__ import annotations

import argparse

from ._arguments import ACCESS, switch, word
from ._snapshots import export_to

HELP = "write documents and files as a snapshot, a ZIP file in Convex's layout"
ARGUMENTS = (
    word("file", "FILE.zip", "where to; - is stdout"),
    switch("--convex-ids", "write ids as Convex does, for `npx convex import`"),
    *("yes", "json", *ACCESS),
)


def run(args: argparse.Namespace) -> int:
    export_to(args, args.file, "export", convex_ids=args.convex_ids)
    return 0
