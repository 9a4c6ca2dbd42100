# SPDX-License-Identifier: MIT
"""`logs`: the last lines of a running server's log, and with `--follow` those that come."""

from __future__ import annotations

import argparse
import time
from typing import Any

from ..logs import escaped
from . import json_text, note, settings_of
from ._admin import access
from ._arguments import limit, option, switch

HELP = "show the log of a running server"
_POLL_SECONDS = 1.0
_LEVELS = ("debug", "info", "warning", "error")
ARGUMENTS = (
    option("--server", "URL", "which; by default the one of host and port here"),
    switch("--follow", "go on until interrupted"),
    option("--level", "LEVEL", "the least level", choices=_LEVELS, default="debug"),
    option("--function", "NAME", "only what it logged", default=""),
    option("--request", "ID", "only lines of this request", default=""),
    limit(100),
    switch("--jsonl", "--json", "one JSON object a line"),
)


def run(args: argparse.Namespace) -> int:
    settings = settings_of(args)
    args.server = args.server or f"http://{settings['host']}:{settings['port']}"
    chosen = {"level": args.level, "function": args.function, "request_id": args.request}
    with access(args) as app:
        found = app.run_query("_app:logs", limit=args.limit, **chosen)
        if not found["lines"]:
            note("no such lines so far")
        while True:
            for line in found["lines"]:
                print(json_text(line) if args.jsonl else _text(line), flush=True)
            if not args.follow:
                return 0
            if not found["lines"]:
                time.sleep(_POLL_SECONDS)
            found = app.run_query("_app:logs", after=found["last"], **chosen)


def _text(line: dict[str, Any]) -> str:
    moment = time.strftime("%H:%M:%S", time.localtime(line["time"]))
    level = "" if line["level"] == "info" else line["level"].upper() + " "
    if "status" in line:
        place = line["route"] or line["path"]
        rest = f"{line['status']:.0f} {line['ms']:.1f}ms {line['bytes']:.0f}B {line['requestId'] or '-'}"
        return f"{moment} {level}{escaped(line['method'])} {escaped(place)} {rest} {escaped(line['client'])}"
    return "\n    ".join(escaped(part) for part in f"{moment} {level}{line['message']}".split("\n"))
