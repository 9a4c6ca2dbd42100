# SPDX-License-Identifier: MIT
"""`run`: calls a function, public or internal, and prints its result; what it logs goes to stderr."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from . import json_text, note
from ._admin import access
from ._arguments import FREE_ACCESS, option, switch, word
from ._settings import MisuseError

HELP = "call a function and print its result"
ARGUMENTS = (
    word("function", "FUNCTION", "such as items:create"),
    word("args", "JSON", "its arguments; - reads stdin", nargs="?", default="{}"),
    option("--as", "JSON", 'who calls, such as \'{"subject": "u1"}\'', dest="identity"),
    switch("--json", "the result on one line"),
    *FREE_ACCESS,
)


def run(args: argparse.Namespace) -> int:
    text = sys.stdin.read() if args.args == "-" else args.args
    identity = None if args.identity is None else _object(args.identity)
    with access(args) as app:
        outcome = app.run_action("_app:run", name=args.function, args=text, identity=identity)
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
