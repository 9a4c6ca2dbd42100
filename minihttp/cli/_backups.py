# SPDX-License-Identifier: MIT
"""Backups that `serve` makes while it serves: the settings `backup`, `backup_every` and `backup_keep`."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from ..errors import MinihttpError
from ._settings import Settings

if TYPE_CHECKING:
    from ..app.wsgi import App

log = logging.getLogger("minihttp.backup")


def start(app: App, settings: Settings) -> threading.Event:
    """Begin, where a folder for backups is set; the event ends it."""
    stopped = threading.Event()
    place = settings["backup"]
    if place:
        keep, seconds = settings["backup_keep"], settings["backup_every"]
        facts = (app, place, keep, seconds, stopped)
        run = threading.Thread(target=_run, args=facts, name="backups", daemon=True)
        run.start()
    return stopped


def _run(app: App, place: str, keep: int, seconds: float, stopped: threading.Event) -> None:
    from .backup import back_up_into  # 5 MB, with what sends a request and packs an archive

    while not stopped.wait(seconds):
        try:
            log.info("backup %s", back_up_into(app, place, keep))
        except MinihttpError as error:
            log.error("backup failed: %s", error)
        except Exception:
            log.exception("backup failed")
