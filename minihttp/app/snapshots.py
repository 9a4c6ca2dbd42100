# SPDX-License-Identifier: MIT
"""Snapshots of a running app, as functions `_snapshots:…`: written to its file store, or read from there.

So they come and go by the URLs that files have, streamed. Whoever asked for one discards it afterwards. What
packs an archive takes 3 MB of memory and is imported by the first call.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any

from .. import __version__
from ..errors import DocumentError

if TYPE_CHECKING:
    from ..data.database import Database
    from ..files.storage import FileStore
    from ..functions.registry import Registry
    from .progress import LongTasks

_FUNCTIONS = {"action": ("export", "upload_url", "read", "discard")}
_BLOCK_BYTES = 1024 * 1024


class SnapshotFunctions:
    """Each method named in `_FUNCTIONS` is a function of the app.

    Args:
        folder: where temporary files go, which may be as large as all that is stored.
    """

    def __init__(self, database: Database, files: FileStore, folder: str | None, tasks: LongTasks) -> None:
        self._database = database
        self._tasks = tasks
        self._files = files
        self._folder = folder

    def register(self, registry: Registry) -> None:
        """Put them into the app's registry."""
        registry.add_methods("_snapshots", self, _FUNCTIONS)

    def export(
        self, ctx: Any, system: bool = False, convex_ids: bool = False, task: str = ""
    ) -> dict[str, Any]:
        """Write a snapshot into the file store; returns its `id`, `url` and `manifest`.

        Args:
            task: a name by which `_app:progress` knows it.
        """
        from ..snapshot.archive import counted
        from ..snapshot.export import export_snapshot

        options: dict[str, Any] = {"system": system, "convex_ids": convex_ids, "version": __version__}
        with self._temporary() as file, self._tasks.task(task) as tick:
            manifest = export_snapshot(self._database, self._files, file, tick=tick, **options)
            file.seek(0)
            id = ctx.storage.store(file, content_type="application/zip")
        documents, files = counted(manifest["entries"])
        return {"id": id, "url": ctx.storage.get_url(id), "documents": documents, "files": files}

    def upload_url(self, ctx: Any) -> str:
        """Where to send a snapshot to; the response has its `storageId`."""
        url: str = ctx.storage.generate_upload_url()
        return url

    def read(
        self,
        ctx: Any,
        id: str,
        mode: str = "empty",
        system: bool = False,
        dry_run: bool = False,
        task: str = "",
    ) -> dict[str, Any]:
        """Import a snapshot that was uploaded; returns the fields of `Imported`. `task` as in `export`."""
        from ..snapshot.archive import Archive
        from ..snapshot.importing import import_snapshot

        options: dict[str, Any] = {"mode": mode, "system": system, "dry_run": dry_run}
        with self._temporary() as file, self._tasks.task(task) as tick:
            with ctx.storage.get(id) as blob:
                while block := blob.read(_BLOCK_BYTES):
                    file.write(block)
            file.flush()
            self.discard(ctx, id)
            with closing(Archive(file.name)) as archive:
                imported = import_snapshot(archive, self._database, self._files, tick=tick, **options)
        return imported._asdict()

    def discard(self, ctx: Any, id: str) -> None:
        """Remove a snapshot from the file store."""
        with suppress(DocumentError):  # it is gone
            ctx.storage.delete(id)

    @contextmanager
    def _temporary(self) -> Iterator[IO[bytes]]:
        import tempfile

        folder = self._folder if self._folder and os.path.isdir(self._folder) else None
        with tempfile.NamedTemporaryFile(dir=folder, prefix="snapshot-", suffix=".zip") as file:
            yield file
