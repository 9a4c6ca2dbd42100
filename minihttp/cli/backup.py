# SPDX-License-Identifier: MIT
"""`backup`: a consistent copy of documents and files while the app runs.

Beside a local SQLite database it needs no server and no key, and no writer waits for it: PLACE is a folder,
and each backup a folder in it. PLACE.zip is one file with all that is stored, from any engine.
"""

from __future__ import annotations

import argparse
import os
import shutil
import time
from typing import TYPE_CHECKING

from .. import __version__
from ..app import backends
from ..app.options import duration
from ..errors import ConfigurationError, MinihttpError
from ..snapshot.backup import back_up, backups_in
from . import load_app, note, print_rows
from ._arguments import ACCESS, option, word
from ._progress import Progress
from ._settings import MisuseError
from ._snapshots import export_to

if TYPE_CHECKING:
    from ..app.wsgi import App

HELP = "copy documents and files consistently while the app runs"


def run(args: argparse.Namespace) -> int:
    if args.place.endswith(".zip"):
        if args.every or args.keep:
            raise MisuseError("--every and --keep are for a folder of backups, not for one file")
        export_to(args, args.place, "backup", system=True)
        return 0
    if args.server:
        raise MisuseError("from a server a backup is one file: name it NAME.zip")
    while True:
        path = back_up_into(load_app(args), args.place, args.keep)
        print_rows([{"backup": path}], True) if args.json else print(path, flush=True)
        if not args.every:
            return 0
        time.sleep(args.every)


def back_up_into(app: App, place: str, keep: int | None) -> str:
    """Make one backup below `place`, remove those that are too many, and return its path."""
    documents_url, files_url = backends.storage_urls(app.options.data, app.options.files)
    if backends.copier(documents_url, "DocumentBackend") is None:
        raise ConfigurationError("this engine is no local file: back it up into one file, NAME.zip")
    path = os.path.join(place, time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()))
    with Progress("backup") as progress:
        try:
            os.makedirs(place, mode=0o700, exist_ok=True)
            back_up(backends, documents_url, files_url, path, version=__version__, tick=progress)
        except OSError as error:
            raise MinihttpError(f"cannot make a backup in {place}: {error.strerror or error}") from None
    for old in backups_in(place)[:-keep] if keep else ():
        shutil.rmtree(old)
        note(f"removed {old}")
    return path


def _duration(text: str) -> float:
    try:
        return duration(text)
    except ValueError as rule:
        raise argparse.ArgumentTypeError(f"{text!r} is not {rule}") from None


def _keep(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 100_000):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


ARGUMENTS = (
    word("place", "PLACE", "a folder for backups, or a file NAME.zip"),
    option("--every", "TIME", "again and again, such as 30m or 6h", type=_duration),
    option("--keep", "N", "remove all but the newest N of the folder", type=_keep),
    "json",
    *ACCESS,
)
