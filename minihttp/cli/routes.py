# SPDX-License-Identifier: MIT
"""`routes`: what an app answers: method, path, handler, and where the handler is written.

A mistake of the app that would stop a start is told after them. What is stored is not looked at, so that this
may run beside a server.
"""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any

from . import load_app, print_rows, receiving_nothing
from ._arguments import APP

if TYPE_CHECKING:
    from ..app.wsgi import App

HELP = "list the routes of an app"
ARGUMENTS = (*APP, "json")


def run(args: argparse.Namespace) -> int:
    app = load_app(args)
    print_rows(route_rows(app), args.json, empty="the app has no routes")
    with receiving_nothing():
        app.check(stored=False)
    return 0


def route_rows(app: App) -> list[dict[str, Any]]:
    """One row a route, in the router's order."""
    return [
        {
            "method": route.method,
            "path": route.pattern,
            "handler": _label(route.handler),
            "location": _relative(route.location),
        }
        for route in app.http
    ]


def _label(handler: Any) -> str:
    found = getattr(handler, "label", None) or getattr(handler, "__qualname__", None)
    return str(found or type(handler).__name__)


def _relative(location: str) -> str:
    """`file:line` as seen from the current folder, where that is shorter."""
    path, _, line = location.rpartition(":")
    return min(location, f"{os.path.relpath(path)}:{line}", key=len) if path else location
