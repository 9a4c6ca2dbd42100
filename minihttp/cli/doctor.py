# SPDX-License-Identifier: MIT
"""`doctor`: looks for what will stop a start or hurt in production.

Each check yields rows of (check, verdict, detail); the verdict is ok, warning or fail. It may run beside a
server that has the data directory locked, and changes nothing.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

from ..app.backends import is_shared, open_documents, open_files, storage_urls
from ..app.hosts import EVERYWHERE
from ..errors import ConfigurationError, MinihttpError
from ..limits import MIB
from . import PROGRAM, load_app, print_rows, receiving_nothing, secret_notes, secret_warnings, settings_of
from ._arguments import APP
from ._settings import Settings

if TYPE_CHECKING:
    from ..app.wsgi import App

HELP = "check app, data, disk, clock, descriptors, secrets and proxy settings"
_LOW_DISK_BYTES, _NO_DISK_BYTES = 1024 * MIB, 64 * MIB
_FEW_INODES = 10_000  # every stored file takes one
_LARGE_WAL_BYTES = 64 * MIB  # a reader that never ends keeps it from being folded into the database
_CLOCK_SLACK_SECONDS = 5  # a file system on the network has a clock of its own
_EARLIEST_UNIX_SECONDS = 1_750_000_000  # June 2025: a clock before it was never set
_SAFE_SQLITE = (3, 51, 3)  # older ones may corrupt a WAL written by two processes at the same instant
_LOCAL = ("127.0.0.1", "::1", "localhost")

Finding = tuple[str, str, str]  # check, verdict, detail
ARGUMENTS = (*APP, "host", "threads", "connections", "origin", "hosts", "trusted_proxy", "json")


def run(args: argparse.Namespace) -> int:
    app, settings = load_app(args), settings_of(args)
    findings = [
        *_versions(),
        *_start(app),
        *_storage(app),
        *_shared_stores(app),
        *_descriptors(settings),
        *_secrets(settings, app),
        *_hosts(settings, app),
        *_proxy(settings, app),
    ]
    print_rows(({"check": c, "verdict": v, "detail": d} for c, v, d in findings), args.json)
    return int(any(verdict == "fail" for _, verdict, _ in findings))


def _versions() -> Iterator[Finding]:
    yield "python", "ok", sys.version.split()[0]
    yield from _namesake()
    safe = sqlite3.sqlite_version_info >= _SAFE_SQLITE
    advice = "" if safe else "; let no other program write to app.db (WAL-reset bug before 3.51.3)"
    yield "sqlite", "ok", sqlite3.sqlite_version + advice


def _namesake() -> Iterator[Finding]:
    """The package index has an unrelated program that is called `minihttp`, too."""
    from importlib.metadata import PackageNotFoundError, distribution

    name = PROGRAM.rpartition(".")[2]
    try:
        other = distribution(name)
    except PackageNotFoundError:
        return
    if other.metadata["Name"] != name:  # `minihttp-actions`, should it ever be found by this name
        return
    said = f"an unrelated package, {name} {other.version}, is installed in {other.locate_file('')}"
    here = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    if os.path.realpath(str(other.locate_file(""))) == os.path.realpath(here):
        advice = f"`pip uninstall {name}`, then `pip install --force-reinstall minihttp-actions`"
        yield "package", "fail", f"{said} and shares this program's folder: {advice}"
    else:
        yield "package", "warning", f"{said}; which of the two is imported depends on sys.path"


def _start(app: App) -> Iterator[Finding]:
    try:
        with receiving_nothing():
            looked = app.check()
    except MinihttpError as error:
        yield "start", "fail", str(error).partition("\n")[0]
        return
    unseen = (
        "the app fits together; its data was not looked at: there is none, or another process has it open"
    )
    yield "start", "ok", "the app and its data fit together" if looked else unseen


def _storage(app: App) -> Iterator[Finding]:
    """Disk, WAL, and the clock, which the files tell about."""
    scheme, _, path = storage_urls(app.options.data, app.options.files)[0].partition(":")
    if scheme != "sqlite" or path == ":memory:":
        yield "disk", "ok", f"the documents are not in a file: {scheme}"
        yield from _clock(0.0)
        return
    folder, wal = os.path.dirname(os.path.abspath(path)), os.path.basename(path) + "-wal"
    try:
        files = {e.name: e.stat() for e in os.scandir(folder)} if os.path.isdir(folder) else {}
    except OSError as error:
        yield "disk", "fail", f"{folder}: {error.strerror}"
        return
    yield from _disk(folder)
    wal_bytes = files[wal].st_size if wal in files else 0
    verdict = "warning" if wal_bytes > _LARGE_WAL_BYTES else "ok"
    yield "wal", verdict, f"{wal_bytes // MIB} MiB in {os.path.join(folder, wal)}"
    yield from _clock(max((file.st_mtime for file in files.values()), default=0.0))


def _shared_stores(app: App) -> Iterator[Finding]:
    """What servers that others may use too say of themselves."""
    documents_url, files_url = storage_urls(app.options.data, app.options.files)
    stores: tuple[tuple[str, str, Any], ...] = (
        (documents_url, "DocumentBackend", open_documents),
        (files_url, "FileBackend", open_files),
    )
    for url, kind, open_store in stores:
        try:
            if is_shared(url, kind):
                with closing(open_store(url)) as store:
                    yield from store.findings()
        except (MinihttpError, OSError) as error:
            yield "store", "fail", str(error).partition("\n")[0]


def _disk(folder: str) -> Iterator[Finding]:
    place = folder
    while not os.path.exists(place):  # it is made at the first start
        place = os.path.dirname(place)
    if not os.path.isdir(place):
        yield "disk", "fail", f"{place} is not a directory"
    elif not os.access(place, os.R_OK | os.W_OK | os.X_OK):
        yield "disk", "fail", f"{place} is not writable for this user"
    space = os.statvfs(place)
    free_bytes = space.f_bavail * space.f_frsize
    verdict = "fail" if free_bytes < _NO_DISK_BYTES else "warning" if free_bytes < _LOW_DISK_BYTES else "ok"
    yield "disk", verdict, f"{free_bytes // MIB} MiB free for {folder}"
    if space.f_files and space.f_favail < _FEW_INODES:
        yield "disk", "warning", f"{space.f_favail} inodes free for {folder}"


def _clock(newest_unix_seconds: float) -> Iterator[Finding]:
    now = time.time()
    if now < _EARLIEST_UNIX_SECONDS:
        yield "clock", "fail", f"it shows {time.ctime(now)}; signed webhooks will be refused"
    elif newest_unix_seconds > now + _CLOCK_SLACK_SECONDS:
        yield (
            "clock",
            "warning",
            f"it is {newest_unix_seconds - now:.0f} s behind the newest file of the data",
        )
    else:
        yield "clock", "ok", time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now))


def _descriptors(settings: Settings) -> Iterator[Finding]:
    try:
        from ..server.sockets import affordable_connections, descriptor_limit
    except ModuleNotFoundError as error:
        if error.name != "waitress":
            raise
        yield "server", "warning", "waitress is not installed: `serve` is slow, without defence: install it"
        return
    wanted = settings["connections"] or 1000
    try:
        found = affordable_connections(wanted, settings["threads"])
    except ConfigurationError as error:
        yield "descriptors", "fail", str(error)
        return
    verdict = "ok" if found == wanted or found >= 500 else "warning"
    yield "descriptors", verdict, f"{found} connections within a limit of {descriptor_limit()} open files"


def _secrets(settings: Settings, app: App) -> Iterator[Finding]:
    findings: list[Finding] = [("secrets", "fail", warning) for warning in secret_warnings(app)]
    try:
        app.check_exposed([settings["host"]], bool(settings["trusted_proxy"]))
        findings += [("secrets", "warning", sentence) for sentence in app.guessable_secrets()]
    except ConfigurationError as error:
        findings.append(("secrets", "fail", str(error)))
    findings += [("secrets", "ok", note) for note in secret_notes(app)]
    yield from findings or [("secrets", "ok", "none is missing")]


def _hosts(settings: Settings, app: App) -> Iterator[Finding]:
    """Whose names a request may come under."""
    unknown = settings["host"] in EVERYWHERE or settings["trusted_proxy"]
    if unknown and not (app.options.origin or app.options.hosts):
        yield (
            "hosts",
            "warning",
            "any Host is answered here until origin or hosts is set",
        )
    else:
        yield "hosts", "ok", "any" if "*" in app.options.hosts else "a foreign Host is refused"


def _proxy(settings: Settings, app: App) -> Iterator[Finding]:
    proxy, exposed = settings["trusted_proxy"], settings["host"] not in _LOCAL
    origin, local = app.options.origin, any(name in app.options.origin for name in _LOCAL)
    if exposed and proxy == "*":
        said = "trusted_proxy is * and the port is not local: anyone may forge X-Forwarded-For"
        yield "proxy", "fail", said
    if exposed and proxy in _LOCAL:
        said = "the proxy is on this machine, but other machines reach the port past it"
        yield "proxy", "warning", f"{said}: --host {proxy}"
    if exposed and not proxy:
        said = "the port is not local and no proxy is set: slow clients can fill the connections"
        yield "proxy", "warning", said
    if origin.startswith("https://") and not proxy:
        said = "a proxy ends TLS, as origin says, but trusted_proxy is not set: all clients have its address"
        yield "proxy", "warning", said
    if origin.startswith("http://") and not local:
        yield "proxy", "warning", f"origin {origin} is not https"
    if proxy and not origin:
        yield "proxy", "warning", "origin is not set: links made outside of a request have no host"
    yield "proxy", "ok", f"trusted proxy: {proxy or 'none'}"
