# SPDX-License-Identifier: MIT
"""`functions`: every function of an app with its arguments and result; `--json` has Convex's validators."""

from __future__ import annotations

import argparse
import os
from typing import Any

from . import ACCESS, add_arguments, print_rows
from ._admin import access

HELP = "list functions with their arguments and results"


def configure(parser: argparse.ArgumentParser) -> None:
    add_arguments(parser, "json", *ACCESS)


def run(args: argparse.Namespace) -> int:
    with access(args) as app:
        rows = app.query("_app:functions")
    if not args.json:
        rows = [
            {
                "name": row["name"],
                "kind": row["kind"],
                "visibility": row["visibility"],
                "args": validator_text(row["args"]),
                "returns": validator_text(row["returns"]),
                "location": min(row["location"], os.path.relpath(row["location"]), key=len),
            }
            for row in rows
        ]
    print_rows(rows, args.json, empty="the app has no functions: see App(modules=[…])")
    return 0


def validator_text(validator: dict[str, Any]) -> str:
    """A validator in Convex's JSON form as one would write its type: `{name: string, tags?: array<id>}`."""
    kind, inner = validator["type"], validator.get("value")
    if kind == "object":
        fields = [
            f"{name}{'?' if field['optional'] else ''}: {validator_text(field['fieldType'])}"
            for name, field in (inner or {}).items()
        ]
        return "{" + ", ".join(fields) + "}"
    if kind == "array":
        return f"array<{validator_text(validator['value'])}>"
    if kind == "record":
        values = validator_text(validator["values"]["fieldType"])
        return f"record<{validator_text(validator['keys'])}, {values}>"
    if kind == "union":
        return " | ".join(validator_text(member) for member in validator["value"]) or "never"
    if kind == "literal":
        return repr(inner)
    return f"id<{validator['tableName']}>" if kind == "id" else str(kind)
