# SPDX-License-Identifier: MIT
"""`serve`: an app on a socket, with a banner once it listens."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from .. import logs
from ..errors import ConfigurationError
from ..settings import add_flags
from . import load_app, settings_of
from .routes import route_rows

if TYPE_CHECKING:
    from ..app import App

HELP = "serve an app over HTTP"
_FLAGS = (
    "host", "port", "data", "files", "threads", "connections", "workers", "grace", "origin",
    "trusted_proxy", "development", "metrics", "log_format", "log_level",
)  # fmt: skip
_MAX_ROUTES_SHOWN = 40


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "target", metavar="TARGET", help="module:app, a module, a file, or a folder with http.py"
    )
    add_flags(parser, *_FLAGS)


def run(args: argparse.Namespace) -> int:
    settings = settings_of(args)
    logs.configure(settings["log_format"], settings["log_level"])
    app = load_app(args)
    try:
        from ..server import serve
    except ModuleNotFoundError as error:
        if error.name != "waitress":
            raise
        raise ConfigurationError("to serve over HTTP, waitress is needed: pip install waitress") from None
    serve(
        app,
        host=settings["host"],
        port=settings["port"],
        threads=settings["threads"],
        connections=settings["connections"],
        grace_seconds=settings["grace"],
        trusted_proxy=settings["trusted_proxy"],
        max_body_bytes=largest_body_bytes(app),
        report=logs.access_line,
        ready=lambda server: print(banner(app, server.url), file=sys.stderr, flush=True),
    )
    return 0


def largest_body_bytes(app: App) -> int:
    """The largest request body that any route takes: what the server must let through."""
    found = (app.http.find(path, method) for path, method, _ in app.http.routes())
    return max(
        [app.limits.max_body_bytes, *(route.max_body_bytes or 0 for route in found if route is not None)]
    )


def banner(app: App, url: str) -> str:
    """What a person wants to know once the server listens: where, what, and what is missing."""
    rows = route_rows(app)
    width = max((len(row["method"]) for row in rows), default=0)
    lines = [f"minihttp serves {url}"]
    lines += [f"  {row['method']:<{width}}  {row['path']}" for row in rows[:_MAX_ROUTES_SHOWN]]
    if len(rows) > _MAX_ROUTES_SHOWN:
        lines.append(f"  and {len(rows) - _MAX_ROUTES_SHOWN} more: see `routes`")
    for path, name in app.missing_secrets():
        lines.append(f"  warning: {name} is not set, so {path} answers 503")
    return "\n".join(lines)
