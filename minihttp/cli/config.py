# SPDX-License-Identifier: MIT
"""`config`: every setting in force, and where it came from; never the value of a secret.

A mistake of the app that would stop a start is told after them, as by `routes`.
"""

from __future__ import annotations

import argparse
from typing import Any

from ..app.backends import without_password
from . import load_app, print_rows, receiving_nothing, settings_of
from ._settings import APP_SETTINGS, LIMITS, SERVE_FLAGS, SETTINGS, setting_text

HELP = "print the settings in force, and where each comes from"
ARGUMENTS = ("target", *SERVE_FLAGS, "json")


def run(args: argparse.Namespace) -> int:
    settings, app = settings_of(args), load_app(args)
    limits = {LIMITS + name: value for name, value in app.limits.items()}
    rows: list[dict[str, Any]] = []
    for name, value in settings.values.items():
        origin = settings.origins[name]
        if origin == "default" and name in APP_SETTINGS:
            value, origin = getattr(app.options, name), "the app"
        elif origin == "default" and value != limits.get(name, value):
            value, origin = limits[name], "the app"
        if SETTINGS[name].secret and value:
            value = "(set)"
        if isinstance(value, str):
            value = without_password(value)
        shown = value if args.json else setting_text(name, value)
        rows.append({"setting": name, "value": shown, "from": origin})
    rows += [
        {"setting": name, "value": "missing", "from": f"webhook {path}" if path else "the router"}
        for path, name in app.missing_secrets()
    ]
    print_rows(rows, args.json)
    with receiving_nothing():
        app.check(stored=False)
    return 0
