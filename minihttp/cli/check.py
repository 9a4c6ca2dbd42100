# SPDX-License-Identifier: MIT
"""`check`: whether everything that is stored fits together; exit code 1 when something does not.

Every document against the schema, every index entry against its document and back, every file's size and
SHA-256, and what the engine finds in its own storage.
"""

from __future__ import annotations

import argparse

from . import confirm, note, print_rows
from ._admin import access
from ._arguments import ACCESS, switch
from ._progress import Progress

HELP = "check documents, index entries and files; --repair rebuilds indexes"
ARGUMENTS = (switch("--repair", "rebuild every index that is wrong"), "yes", "json", *ACCESS)


def run(args: argparse.Namespace) -> int:
    with access(args) as app, Progress("check") as progress:
        findings = app.check(progress)
        if args.repair and any(finding["kind"] == "index" for finding in findings):
            confirm(args, "rebuild the indexes that are wrong?")
            for name in app.run_action("_app:rebuild_indexes"):
                note(f"rebuilt index {name}")
            findings = [finding for finding in findings if finding["kind"] != "index"]
    print_rows(findings, args.json, empty="nothing is wrong")
    return 1 if findings else 0
