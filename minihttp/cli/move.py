# SPDX-License-Identifier: MIT
"""`move`: the documents and files of an app to another engine, as they are; the source is never written."""

from __future__ import annotations

import argparse
import os
import shutil
from contextlib import ExitStack, closing

from ..app import backends
from ..errors import ConfigurationError, MinihttpError
from ..snapshot.move import count_documents, move
from . import confirm, load_app, note, print_rows
from ._admin import in_use_means
from ._arguments import APP, option, switch
from ._progress import Progress
from ._settings import MisuseError

HELP = "copy documents and files to another engine, verify them, and say which setting to change"
_ROOM = 1.5  # of what is stored, which a database with its log takes while it is written
ARGUMENTS = (
    option("--to", "URL", "the new document store, such as postgresql://host/name", required=True),
    option("--files-to", "URL", "the new file store, such as s3://bucket/prefix"),
    switch("--resume", "go on with a move that was cut"),
    switch("--live", "copy what a store of several processes holds now; others may go on writing to it"),
    switch("--dry-run", "say what would be moved, and write nothing"),
    *("yes", "json", *APP),
)


def run(args: argparse.Namespace) -> int:
    app = load_app(args)
    url, files_url = backends.storage_urls(app.options.data, app.options.files)
    if args.to == url or args.files_to == files_url:
        raise MisuseError("the target is the source: name another store")
    shown = [backends.without_password(place) for place in (args.to, args.files_to) if place]
    with ExitStack() as opened:
        with in_use_means("stop it first"):
            documents = opened.enter_context(closing(backends.open_documents(url, must_exist=True)))
        if documents.shared and not args.live:
            raise ConfigurationError(
                f"other processes may write to {backends.without_password(url)}: stop them and add --live, or"
                " what they write meanwhile stays behind"
            )
        files = None
        if args.files_to:
            files = opened.enter_context(closing(backends.open_files(files_url, must_exist=True)))
        count = count_documents(documents)
        size_bytes = sum(n for name, n in documents.statistics().items() if name.endswith("_bytes"))
        note(f"{count:,} documents ({size_bytes:,} bytes of database) to {' and '.join(shown)}")
        _check_room(args.to, size_bytes)
        if args.dry_run:
            if args.json:
                print_rows([{"data": args.to, "files_to": args.files_to, "documents": count}], True)
            return 0
        confirm(args, "move them?")
        new_documents = opened.enter_context(closing(backends.open_documents(args.to)))
        new_files = None
        if args.files_to:
            new_files = opened.enter_context(closing(backends.open_files(args.files_to)))
        with Progress("move") as progress:
            moved = move((documents, files), (new_documents, new_files), progress, resume=args.resume)
    note(f"{moved.documents:,} documents and {moved.files:,} files were copied; both sides are the same")
    if args.json:
        counts = {"documents": moved.documents, "files": moved.files}
        print_rows([{"data": args.to, "files_to": args.files_to, **counts}], True)
    else:
        print(f"--data {args.to}" + (f" --files {args.files_to}" if args.files_to else ""))
    return 0


def _check_room(url: str, size_bytes: int) -> None:
    """Refuse a target on a local disk that has not room enough.

    Raises:
        MinihttpError: naming both numbers.
    """
    scheme, _, location = url.partition(":")
    if scheme != "sqlite":
        return
    folder = os.path.dirname(os.path.abspath(location))
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < _ROOM * size_bytes:
        raise MinihttpError(
            f"{folder} has {free_bytes:,} bytes free; the move needs {int(_ROOM * size_bytes):,}"
        )
