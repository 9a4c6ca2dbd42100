# SPDX-License-Identifier: MIT
"""`serve`: an app on a socket, with a banner once it listens."""

from __future__ import annotations

import argparse
import os
import socket
import sys
from functools import partial
from typing import TYPE_CHECKING

from .. import __version__, hashing, logs
from ..app import log_ring
from ..app.backends import without_password
from ..app.hosts import EVERYWHERE
from ..errors import ConfigurationError
from ..loopback import is_loopback
from ..watchdog import watchdog
from . import INBOX_TARGET, _backups, load_app, secret_notes, secret_warnings, settings_of, target_of
from ._admin import in_use_means
from ._arguments import option, switch
from ._progress import Progress
from ._settings import SERVE_FLAGS, MisuseError, Settings
from .routes import route_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..app.wsgi import App
    from ..dashboard import Installed
    from ..logs import Served
    from ..server import Server

    Report = Callable[[Served], None]

HELP = "serve an app over HTTP"
_MAX_ROUTES_SHOWN = 40
_IN_USE = "stop it first, or name another directory with --data"
_DASHBOARD_THREADS = 4
_DEVELOPMENT_KEY = "_MINIHTTP_DEVELOPMENT_KEY"  # of the parent of --reload, for its children
ARGUMENTS = (
    *("target", *SERVE_FLAGS),
    switch("--reload", "for development: start again when a file changes"),
    # A bound socket, from the parent of --reload
    option("--fd", "N", argparse.SUPPRESS, type=int),
)


def run(args: argparse.Namespace) -> int:
    settings = settings_of(args)
    logs.configure(settings["log_format"], settings["log_level"])
    log_ring.install()
    try:
        from .. import server
    except ModuleNotFoundError as error:
        if error.name != "waitress":
            raise
        for flag, is_given in (("reload", args.reload), ("dashboard-listen", settings["dashboard_listen"])):
            if is_given:
                raise ConfigurationError(f"--{flag} needs waitress: pip install waitress") from None
        serve: Callable[[App, Settings, Installed | None, Report], None] = _serve_plainly
    else:
        serve = partial(_serve, args.fd)
    if args.reload:
        from ._reload import reload

        listener = server.bind(settings["host"], settings["port"])
        environ = {**args.shell_environ, _DEVELOPMENT_KEY: hashing.token_urlsafe(32)}
        return reload(args.argv, args.target or ".", listener, environ)
    if settings["forward"]:
        if target_of(args) != INBOX_TARGET:
            raise MisuseError("--forward is for the ready-made inbox, of a folder without an app")
        args.environ["MINIHTTP_FORWARD"] = settings["forward"]
    app = load_app(args)
    if sys.stderr.isatty():
        app.progress = Progress("serve")
    _ensure_temporary_folder(app.options.data)
    is_development = app.options.development or args.fd is not None  # below --reload
    opened = _open_dashboard(app, args, settings, is_development)
    reports: list[Report] = [logs.access_line]
    if app.metrics is not None:
        reports.append(app.metrics.record)
    if opened is not None:
        reports.append(opened.activity.record)
    stopped = _backups.start(app, settings)
    with in_use_means(_IN_USE):
        serve(app, settings, opened, reports[0] if len(reports) == 1 else _all(reports))
    stopped.set()
    return 0


def _all(reports: list[Report]) -> Report:
    def report(served: Served) -> None:
        for each in reports:
            each(served)

    return report


def _serve(fd: int | None, app: App, settings: Settings, opened: Installed | None, report: Report) -> None:
    from .. import server

    beside = _dashboard_server(opened, settings)
    if settings["trusted_proxy"] and not (app.options.origin or app.options.hosts):
        logs.say("warning: neither origin nor hosts is set, so any Host is answered behind the proxy")
    watchdog.end_frozen_process(app.limits.frozen_cpu_seconds)
    server.serve(
        app,
        **settings.for_server(),
        listener=socket.socket(fileno=fd) if fd is not None else server.inherited(os.environ),
        grace_seconds=settings["grace"],
        min_body_bytes_per_second=app.limits.min_body_bytes_per_second,
        max_spooled_bytes=app.limits.max_spooled_bytes,
        max_buffered_bytes=app.limits.max_buffered_bytes,
        report=report,
        ready=lambda bound: logs.say(
            banner(app, bound.url, bound.host, opened, beside.url if beside is not None else None)
        ),
        beside=beside,
    )


def _serve_plainly(app: App, settings: Settings, opened: Installed | None, report: Report) -> None:
    """Serve without waitress."""
    from . import _wsgiref

    _wsgiref.serve(
        app,
        host=settings["host"],
        port=settings["port"],
        grace_seconds=settings["grace"],
        report=report,
        ready=lambda bound: logs.say(f"{banner(app, bound.url, '', opened)}\n  note: {_wsgiref.LACKS}"),
    )


def _ensure_temporary_folder(data: str) -> None:
    """Where no folder for temporary files is writable (a read-only container), use the data directory."""
    if any(os.access(folder, os.W_OK) for folder in (os.environ.get("TMPDIR", ""), "/tmp", "/var/tmp")):  # noqa: S108
        return
    import tempfile

    try:
        tempfile.gettempdir()  # it knows more places, and tries them
    except FileNotFoundError:
        tempfile.tempdir = None if ":" in data else data
        logs.say(
            f"warning: no folder for temporary files is writable (TMPDIR, /tmp): large bodies go to {data}"
        )


def _open_dashboard(
    app: App, args: argparse.Namespace, settings: Settings, is_development: bool
) -> Installed | None:
    """The dashboard, where an admin key is set; in development without one the banner's link opens it."""
    from ..dashboard import install, install_welcome

    if is_development:
        install_welcome(app)
    key = None
    if is_development and not app.has_admin_key:  # the same one after a reload: sessions go on
        key = args.environ.get(_DEVELOPMENT_KEY) or hashing.token_urlsafe(32)
    name, is_apart = _name_of(args.target or "."), bool(settings["dashboard_listen"])
    return install(app, settings["dashboard"], key, name=name, is_apart=is_apart)


def _dashboard_server(opened: Installed | None, settings: Settings) -> Server | None:
    """The server of `--dashboard-listen`."""
    listen = settings["dashboard_listen"]
    if not listen:
        return None
    if opened is None:
        raise ConfigurationError(
            "--dashboard-listen needs a dashboard: set MINIHTTP_ADMIN_KEY, and --dashboard read or write"
        )
    from ..server import Server

    host, _, port = listen.rpartition(":")
    return Server(
        opened.on_its_own_port,
        host=host,
        port=int(port),
        threads=_DASHBOARD_THREADS,
        grace_seconds=settings["grace"],
        trusted_proxy=settings["trusted_proxy"],
        trusted_proxy_hops=settings["trusted_proxy_hops"],
        report=logs.access_line,
    )


def _name_of(target: str) -> str:
    """What the app is called: the name of its folder or file."""
    path = target if os.path.exists(target) else target.partition(":")[0]
    return os.path.basename(os.path.realpath(path)).removesuffix(".py")


def banner(
    app: App,
    url: str,
    host: str = "",
    dashboard: Installed | None = None,
    dashboard_url: str | None = None,
) -> str:
    """What a person wants to know once the server listens: where, what, and what is missing.

    Args:
        host: the address that it is bound to, where that is not the one in `url`.
        dashboard_url: where the dashboard is, where that is not `url`.
    """
    rows = route_rows(app)
    width = max((len(row["method"]) for row in rows), default=0)
    everywhere = f" on every interface ({host})" if host and host in EVERYWHERE else ""
    lines = [f"minihttp serves {url}{everywhere}", f"  {_summary(app, len(rows))}"]
    lines += [f"  {row['method']:<{width}}  {row['path']}" for row in rows[:_MAX_ROUTES_SHOWN]]
    if len(rows) > _MAX_ROUTES_SHOWN:
        lines.append(f"  and {len(rows) - _MAX_ROUTES_SHOWN} more: see `routes`")
    if dashboard is not None:
        shows_link = sys.stderr.isatty() or not app.has_admin_key  # a log must not hold what opens it
        lines.append(f"  dashboard: {dashboard_url or url}{dashboard.link() if shows_link else '/_/'}")
    warnings = *secret_warnings(app, of_webhooks=False), *app.guessable_secrets()
    lines += [f"  warning: {warning}" for warning in warnings]
    lines += [f"  note: {note}" for note in secret_notes(app)]
    if app.options.development and host and not is_loopback(host):
        lines.append(f"  warning: --development shows errors of the app to everybody who can reach {host}")
    plain = [row["path"] for row in rows if row["method"] == "GET" and not set("{*") & set(row["path"])]
    lines.append(f"  try: curl {url}{(plain or ['/_/health'])[0]}")
    lines.append("  stop: Ctrl-C, or SIGTERM")
    return "\n".join(lines)


def _summary(app: App, routes: int) -> str:
    """Version, counts, and where the data is."""
    parts = [(routes, "route")]
    place = "nothing is stored"
    if app.is_open:
        own = [function for function in app.runner.registry if not function.name.startswith("_")]
        parts += [(len(own), "function"), (len(list(app.options.crons or ())), "cron")]
        data = app.options.data
        place = f"data in {without_password(data) if ':' in data else os.path.abspath(data)}"
    counts = ", ".join(f"{count} {name}{'' if count == 1 else 's'}" for count, name in parts)
    return f"version {__version__}, {counts}; {place}"
