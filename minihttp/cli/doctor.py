# SPDX-License-Identifier: MIT
"""`doctor`: looks for what will hurt in production: disk, WAL, clock, descriptors, secrets, proxy settings.

Each check yields rows of (check, verdict, detail); the verdict is ok, warning or fail. Opens no database: it
may run beside a server that has the data directory locked.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..limits import MIB
from ..settings import Settings, add_flags
from . import add_app_arguments, add_json_flag, load_app, print_rows, settings_of

if TYPE_CHECKING:
    from ..app import App

HELP = "check disk, clock, descriptors, secrets and proxy settings"
_LOW_DISK_BYTES, _NO_DISK_BYTES = 1024 * MIB, 64 * MIB
_LARGE_WAL_BYTES = 64 * MIB  # a reader that never ends keeps it from being folded into the database
_EARLIEST_UNIX_SECONDS = 1_750_000_000  # June 2025: a clock before it was never set
_SAFE_SQLITE = (3, 51, 3)  # older ones may corrupt a WAL written by two processes at the same instant
_LOCAL = ("127.0.0.1", "::1", "localhost")

Finding = tuple[str, str, str]  # check, verdict, detail


def configure(parser: argparse.ArgumentParser) -> None:
    add_app_arguments(parser)
    add_flags(parser, "host", "threads", "connections", "origin", "trusted_proxy")
    add_json_flag(parser)


def run(args: argparse.Namespace) -> int:
    app, settings = load_app(args), settings_of(args)
    findings = [
        *_versions(),
        *_disk(app.data),
        *_clock(app.data),
        *_descriptors(settings),
        *_secrets(app),
        *_proxy(settings, app),
    ]
    print_rows(({"check": c, "verdict": v, "detail": d} for c, v, d in findings), args.json)
    return int(any(verdict == "fail" for _, verdict, _ in findings))


def _versions() -> Iterator[Finding]:
    yield "python", "ok", sys.version.split()[0]
    safe = sqlite3.sqlite_version_info >= _SAFE_SQLITE
    advice = "" if safe else "; let no other program write to app.db (WAL-reset bug before 3.51.3)"
    yield "sqlite", "ok", sqlite3.sqlite_version + advice


def _disk(data: str) -> Iterator[Finding]:
    if ":" in data:
        yield "disk", "ok", f"the data is not in a directory: {data.split(':')[0]}"
        return
    folder = _existing(data)
    if not os.access(folder, os.W_OK | os.X_OK):
        yield "disk", "fail", f"{folder} is not writable for this user"
    space = os.statvfs(folder)
    free_bytes = space.f_bavail * space.f_frsize
    verdict = "fail" if free_bytes < _NO_DISK_BYTES else "warning" if free_bytes < _LOW_DISK_BYTES else "ok"
    yield "disk", verdict, f"{free_bytes // MIB} MiB free for {data}"
    if space.f_files and space.f_favail < 10_000:
        yield "disk", "warning", f"{space.f_favail} inodes free for {data}"
    wal = os.path.join(data, "app.db-wal")
    if os.path.exists(wal):
        size_bytes = os.path.getsize(wal)
        yield "wal", "warning" if size_bytes > _LARGE_WAL_BYTES else "ok", f"{size_bytes // MIB} MiB in {wal}"


def _existing(path: str) -> str:
    """`path`, or the nearest folder above it that is there."""
    path = os.path.abspath(path)
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


def _clock(data: str) -> Iterator[Finding]:
    now = time.time()
    newest = max((e.stat().st_mtime for e in os.scandir(data)), default=0.0) if os.path.isdir(data) else 0.0
    if now < _EARLIEST_UNIX_SECONDS:
        yield "clock", "fail", f"it shows {time.ctime(now)}; signed webhooks will be refused"
    elif newest > now + 5:
        yield "clock", "warning", f"it is {newest - now:.0f} s behind the newest file in {data}"
    else:
        yield "clock", "ok", time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now))


def _descriptors(settings: Settings) -> Iterator[Finding]:
    from ..server.sockets import affordable_connections, descriptor_limit

    wanted = settings["connections"] or 1000
    found = affordable_connections(wanted, settings["threads"])
    verdict = "ok" if found == wanted or found >= 500 else "warning"
    yield "descriptors", verdict, f"{found} connections within a limit of {descriptor_limit()} open files"


def _secrets(app: App) -> Iterator[Finding]:
    missing = app.missing_secrets()
    for path, name in missing:
        yield "secrets", "fail", f"{name} is not set, so {path} answers 503"
    if not missing:
        yield "secrets", "ok", "every webhook has its secret"


def _proxy(settings: Settings, app: App) -> Iterator[Finding]:
    proxy, exposed = settings["trusted_proxy"], settings["host"] not in _LOCAL
    if proxy == "*" and exposed:
        yield (
            "proxy",
            "fail",
            "trusted_proxy is * and the port is not local: anyone may forge X-Forwarded-For",
        )
    elif exposed and not proxy:
        yield (
            "proxy",
            "warning",
            "the port is not local and no proxy is set: slow clients can fill the connections",
        )
    if proxy and not app.origin:
        yield "proxy", "warning", "origin is not set: links made outside of a request have no host"
    if app.origin.startswith("http://") and not any(name in app.origin for name in _LOCAL):
        yield "proxy", "warning", f"origin {app.origin} is not https"
    yield "proxy", "ok", f"trusted proxy: {proxy or 'none'}"
