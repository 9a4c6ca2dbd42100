# SPDX-License-Identifier: MIT
"""Snapshots to and from files, of an app in this process or of a running server."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import IO, Any

from .. import __version__
from ..errors import ConfigurationError, MinihttpError
from ..snapshot.archive import Archive, counted
from ..snapshot.export import export_snapshot
from ..snapshot.importing import Imported, import_snapshot
from . import note, print_rows
from ._admin import Remote, opened_alone
from ._http import download, upload
from ._progress import Progress
from ._settings import MisuseError

_OTHERWISE = "--server URL asks the server that runs"
_PART_BYTES = 16 * 1024 * 1024  # what a proxy lets through that is set up as docs/deploy/nginx.conf says


def export_to(args: argparse.Namespace, path: str, verb: str, **options: Any) -> None:
    """Write a snapshot to a file, which is whole or not there, or to stdout (`-`)."""
    with whole_file(path, getattr(args, "yes", False), args.json) as out:
        if args.server:
            with Progress(verb) as progress:
                counts = _export_from_server(args, out, options, progress)
        else:
            with opened_alone(args, _OTHERWISE) as app, Progress(verb) as progress:
                options |= {"version": __version__, "tick": progress}
                entries = export_snapshot(app.database, app.files, out, **options)["entries"]
            counts = counted(entries)
    if args.json:
        print_rows([{"file": path, "documents": counts[0], "files": counts[1]}], True)
    else:
        note(f"{path}: {counts[0]:,} documents, {counts[1]:,} files")


def _export_from_server(
    args: argparse.Namespace, out: IO[bytes], options: dict[str, Any], progress: Progress
) -> tuple[int, int]:
    server = Remote(args)
    made = server.watched("_snapshots:export", progress, **options)
    try:
        download(server.url_of_file(made["url"]), out, progress)
    finally:
        server.tidy_up("_snapshots:discard", ids=[made["id"]])
    return int(made["documents"]), int(made["files"])


def import_from(args: argparse.Namespace, path: str, verb: str, **options: Any) -> int:
    """Read a snapshot from a file and say what came of it."""
    with closing(Archive(path)) as archive:
        if getattr(args, "server", None):
            with Progress(verb) as progress:
                imported = _import_into_server(args, path, options, progress)
        else:
            with opened_alone(args, _OTHERWISE) as app, Progress(verb) as progress:
                imported = import_snapshot(archive, app.database, app.files, tick=progress, **options)
    report(imported, args.json, dry_run=options.get("dry_run", False))
    return 0


def _import_into_server(
    args: argparse.Namespace, path: str, options: dict[str, Any], progress: Progress
) -> Imported:
    """In parts, each a request that may be sent again; then the server reads them, without a request that
    waits for it."""
    server, ids = Remote(args), list[str]()
    size = os.path.getsize(path)
    try:
        with open(path, "rb") as file:
            while part := file.read(_PART_BYTES):
                url = server.url_of_file(server.run_action("_snapshots:upload_url"))
                ids.append(json.loads(upload(url, part, "application/zip"))["storageId"])
                progress("bytes sent", file.tell(), size)
        done = server.watched("_snapshots:read", progress, ids=ids, **options)
    except BaseException:
        server.tidy_up("_snapshots:discard", ids=ids)
        raise
    documents = {name: int(count) for name, count in done["documents"].items()}
    return Imported(**{**done, "documents": documents, "bytes": int(done["bytes"])})


def report(imported: Imported, as_json: bool, *, dry_run: bool) -> None:
    rows = [{"table": name, "documents": count} for name, count in sorted(imported.documents.items())]
    print_rows(rows, as_json, empty="the snapshot is empty")
    note(f"{imported.bytes:,} bytes" + ("; nothing was written" if dry_run else ""))
    for name in imported.resumed:
        note(f"{name} was finished by an earlier run of this import")
    for text in imported.dangling:
        note(f"points to nothing in the snapshot: {text}")
    for name in imported.skipped:
        note(f"not read: {name}")


@contextmanager
def whole_file(path: str, overwrite: bool, as_json: bool = False) -> Iterator[IO[bytes]]:
    """A file to write that gets its name at the end, synced; what ends early leaves nothing. `-` is stdout.

    Raises:
        ConfigurationError: it is there already; MinihttpError: it cannot be written.
    """
    if path == "-":
        if as_json:
            raise MisuseError("--json and a ZIP file cannot share stdout: name a file")
        if sys.stdout.isatty():
            raise MisuseError("a ZIP file is nothing for a terminal: name a file, or use a pipe")
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if os.path.exists(path) and not overwrite:
        raise ConfigurationError(f"{path} is there already; -y overwrites it")
    partial = f"{path}.partial"
    try:
        with open(partial, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.rename(partial, path)
    except OSError as error:
        raise MinihttpError(f"cannot write {path}: {error.strerror or error}") from None
    finally:
        if os.path.exists(partial):
            os.unlink(partial)
