# SPDX-License-Identifier: MIT
"""Snapshots to and from files, of an app in this process or of a running server."""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import IO, Any
from urllib.parse import urljoin

from .. import __version__
from ..errors import ConfigurationError, MinihttpError
from ..snapshot.archive import Archive, counted
from ..snapshot.export import export_snapshot
from ..snapshot.importing import Imported, import_snapshot
from . import note, print_rows
from ._admin import access, opened_alone
from ._http import transfer
from ._progress import Progress
from ._settings import MisuseError

_OTHERWISE = "--server URL asks the server that runs"


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
    with access(args) as app:
        made = app.watched("_snapshots:export", progress, **options)
        try:
            status = transfer("GET", urljoin(args.server, made["url"]), None, out, progress)
        finally:
            app.action("_snapshots:discard", id=made["id"])
    if status != 200:
        raise MinihttpError(f"{args.server} answered {status} instead of the snapshot")
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
    answer = io.BytesIO()
    with access(args) as app, open(path, "rb") as file:
        url = urljoin(args.server, app.action("_snapshots:upload_url"))
        status = transfer("POST", url, file, answer, progress)
        if status != 200:
            raise MinihttpError(f"{args.server} answered {status}: {answer.getvalue()[:200]!r}")
        id = json.loads(answer.getvalue())["storageId"]
        done = app.watched("_snapshots:read", progress, id=id, **options)
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
