# SPDX-License-Identifier: MIT
"""`run`: calls a function, public or internal, and prints its result; what it logs goes to stderr."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from . import FREE_ACCESS, add_arguments, json_text, note
from ._admin import access
from ._settings import MisuseError

HELP = "call a function and print its result"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("function", metavar="FUNCTION", help="such as items:create")
    parser.add_argument("args", metavar="JSON", nargs="?", default="{}", help="its arguments; - reads stdin")
    parser.add_argument(
        "--as", dest="identity", metavar="JSON", help='who calls, such as \'{"subject": "u1"}\''
    )
    parser.add_argument("--json", action="store_true", help="the result on one line")
    add_arguments(parser, *FREE_ACCESS)


def run(args: argparse.Namespace) -> int:
    text = sys.stdin.read() if args.args == "-" else args.args
    identity = None if args.identity is None else _object(args.identity)
    with access(args) as app:
        outcome = app.action("_app:run", name=args.function, args=text, identity=identity)
    return print_outcome(outcome, pretty=not args.json)


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise MisuseError(f"--as takes a JSON object, not {text!r}")
    return value


def print_outcome(outcome: dict[str, Any], *, pretty: bool) -> int:
    """Print what a function returned, logged and raised; returns the exit code."""
    for line in outcome["logs"]:
        note(line)
    if outcome["error"] is not None:
        note(outcome["error"])
        return 1
    print(json_text(outcome["result"], pretty=pretty))
    return 0
