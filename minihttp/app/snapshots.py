# SPDX-License-Identifier: MIT
"""Snapshots of a running app, as functions `_snapshots:…`: written to its file store, or read from there.

So they come and go by the URLs that files have, streamed, and are made and read by a long task
(`progress.py`). Whoever asked for one discards it afterwards. What packs an archive takes 3 MB of memory and
is imported by the first call.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any

from .. import __version__
from ..errors import DocumentError, SnapshotError

if TYPE_CHECKING:
    from ..data.database import Database
    from ..data.migration import Tick
    from ..files.storage import FileStore
    from ..functions.context import SystemActionCtx
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

    def export(self, ctx: Any, task: str, system: bool = False, convex_ids: bool = False) -> dict[str, Any]:
        """Begin to write a snapshot into the file store; returns `{"process"}`.

        Args:
            task: a name by which `_app:progress` knows it; its result is `id`, `url`, `documents`, `files`.
        """
        from ..snapshot.archive import counted
        from ..snapshot.export import export_snapshot

        options: dict[str, Any] = {"system": system, "convex_ids": convex_ids, "version": __version__}

        def work(tick: Tick) -> dict[str, Any]:
            storage = self._files.outside()
            with self._temporary() as file:
                manifest = export_snapshot(self._database, self._files, file, tick=tick, **options)
                file.seek(0)
                id = storage.store(file, content_type="application/zip")
            try:
                tick("stored", 1, 1)  # nobody may want it any more
            except BaseException:
                storage.delete(id)
                raise
            documents, files = counted(manifest["entries"])
            return {"id": id, "url": storage.get_url(id), "documents": documents, "files": files}

        undo = lambda made: self.discard(ctx, [made["id"]])  # noqa: E731
        return {"process": self._tasks.start(task, work, undo)}

    def upload_url(self, ctx: SystemActionCtx) -> str:
        """Where to send a part of a snapshot to; the response has its `storageId`."""
        return ctx.storage.generate_upload_url()

    def read(
        self,
        ctx: Any,
        task: str,
        ids: list[str],
        mode: str = "empty",
        system: bool = False,
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """Begin to import a snapshot that was uploaded in parts, which are removed; returns `{"process"}`.

        Args:
            task: as in `export`; its result has the fields of `Imported`.
            ids: of the parts, the first one first.
        """
        from ..snapshot.archive import Archive
        from ..snapshot.importing import import_snapshot

        options: dict[str, Any] = {"mode": mode, "system": system, "dry_run": dry_run}

        def work(tick: Tick) -> dict[str, Any]:
            with self._temporary() as file:
                try:
                    self._take(ids, file, tick)
                finally:
                    self.discard(ctx, ids)
                with closing(Archive(file.name)) as archive:
                    imported = import_snapshot(archive, self._database, self._files, tick=tick, **options)
            return imported._asdict()

        return {"process": self._tasks.start(task, work)}

    def discard(self, ctx: Any, ids: list[str]) -> None:
        """Remove a snapshot, or parts of one, from the file store."""
        storage = self._files.outside()
        for id in ids:
            with suppress(DocumentError):  # it is gone
                storage.delete(id)

    def _take(self, ids: list[str], file: IO[bytes], tick: Tick) -> None:
        """Write the parts of a snapshot into one file."""
        storage = self._files.outside()
        for done, id in enumerate(ids):
            tick("parts", done, len(ids))
            part = storage.get(id)
            if part is None:
                raise SnapshotError(f"part {done + 1} of the snapshot is not there any more")
            with part:
                while block := part.read(_BLOCK_BYTES):
                    file.write(block)
        file.flush()

    @contextmanager
    def _temporary(self) -> Iterator[IO[bytes]]:
        import tempfile

        folder = self._folder if self._folder and os.path.isdir(self._folder) else None
        with tempfile.NamedTemporaryFile(dir=folder, prefix="snapshot-", suffix=".zip") as file:
            yield file
