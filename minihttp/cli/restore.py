# SPDX-License-Identifier: MIT
"""`restore`: the data of an app from a backup, while nobody uses the data."""

from __future__ import annotations

import argparse
import os

from ..app import backends
from ..errors import ConfigurationError, DataDirectoryError, MinihttpError
from ..snapshot.backup import MANIFEST, backups_in, restore
from . import confirm, load_app, note, print_rows
from ._arguments import APP, switch, word
from ._progress import Progress
from ._snapshots import import_from

HELP = "put a backup in the place of an app's data"
ARGUMENTS = (
    word("backup", "BACKUP", "a backup, a folder of backups (its newest), or a file NAME.zip"),
    switch("--replace", "move data that is there aside"),
    *("yes", "json", *APP),
)


def run(args: argparse.Namespace) -> int:
    if args.backup.endswith(".zip"):
        if args.replace:
            confirm(args, "replace all that is stored?")
        return import_from(
            args, args.backup, "restore", mode="replace" if args.replace else "empty", system=True
        )
    backup = args.backup
    if not os.path.exists(os.path.join(backup, MANIFEST)) and backups_in(backup):
        backup = backups_in(backup)[-1]
    folder = _data_folder(args, backup)
    if args.replace:
        confirm(args, f"replace {folder} by {backup}?")
    with Progress("restore") as progress:
        try:
            aside = restore(backends, backup, folder, replace=args.replace, tick=progress)
        except OSError as error:
            raise MinihttpError(f"cannot restore {backup}: {error.strerror or error}") from None
    if args.json:
        print_rows([{"backup": backup, "data": folder, "aside": aside}], True)
        return 0
    note(f"restored {backup} into {folder}")
    if aside:
        note(f"what was there is now {aside}")
    return 0


def _data_folder(args: argparse.Namespace, backup: str) -> str:
    """The data directory that the backup is for, which nobody may have open."""
    app = load_app(args)
    url, files_url = backends.storage_urls(app.options.data, app.options.files)
    folder = os.path.dirname(url.partition(":")[2])
    has_files_db = os.path.exists(os.path.join(backup, "files.db"))
    expected = f"sqlite:{folder}/files.db" if has_files_db else f"filesystem:{folder}/files"
    if url != f"sqlite:{folder}/app.db" or files_url != expected:
        raise ConfigurationError(
            f"this backup makes a data directory with app.db and {'files.db' if has_files_db else 'files/'},"
            f" but the app has {backends.without_password(url)} and {backends.without_password(files_url)}"
        )
    if os.path.exists(os.path.join(folder, "app.db.lock")):
        try:
            backends.open_documents(url).close()
        except DataDirectoryError as error:
            if error.is_locked:
                raise DataDirectoryError(f"{error}; stop it first") from None
    return folder
