# SPDX-License-Identifier: MIT
"""Backup: a consistent copy of a local database and its files while the app runs, and the way back.

The database comes first, then the files that this copy names, then the manifest: a folder without one is
unfinished. A file that the app deletes in between would be missing from the copy: a folder of files can
`hold` what is deleted, any other store is copied once more. Of an engine that is no local file, a backup is
a snapshot (`export.py`) of all that is stored.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, Protocol

from ..data.migration import Tick, stored_documents
from ..errors import DataDirectoryError, SnapshotError
from ..files.measured import Measured, blocks_of, size_of

if TYPE_CHECKING:
    from ..data.backend import DocumentBackend, Reading
    from ..files.backend import FileBackend

MANIFEST: Final = "backup.json"
_FORMAT: Final = 1
_ROUNDS: Final = 5
_BLOCK_BYTES: Final = 1024 * 1024
_DATABASE, _FILES, _FILES_DATABASE = "app.db", "files", "files.db"


class Opener(Protocol):
    """What finds the stores of URLs: `app/backends.py` fits it."""

    def copier(self, url: str, kind: str, /) -> Callable[[], Any] | None: ...
    def open_documents(self, url: str, /) -> DocumentBackend: ...
    def open_files(self, url: str, /) -> FileBackend: ...


def back_up(
    opener: Opener, documents_url: str, files_url: str, target: str, *, version: str, tick: Tick
) -> dict[str, Any]:
    """Copy a local database and its files into the new folder `target`; returns the manifest.

    Args:
        documents_url: of an engine with a `copier`; files_url: of any file store. Both may be in use.
        version: of minihttp, for the manifest.
        tick: told how far it is.

    Raises:
        SnapshotError: `target` is there already, or a file has no bytes.
        OSError: a Fault of the stores, or of the file system.
    """
    with _new_folder(target) as folder:
        for _ in range(_ROUNDS):
            problem = _copy(opener, documents_url, files_url, folder, tick)
            if not problem:
                break
        else:
            raise SnapshotError(f"{problem}, so this backup would not be whole; see `check`")
        entries = {}
        for name in filter(None, (_DATABASE, _is_there(folder, _FILES_DATABASE))):
            tick("checksums", 0, 0)
            entries[name] = _facts(os.path.join(folder, name))
        manifest = {"format": _FORMAT, "minihttp": version, "created": time.time(), "entries": entries}
        with open(os.path.join(folder, MANIFEST), "w", encoding="utf-8") as file:
            json.dump(manifest, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
    return manifest


def restore(opener: Opener, backup: str, target: str, *, replace: bool, tick: Tick) -> str | None:
    """Make the data directory `target` of a backup folder; nobody may be using it.

    Args:
        replace: move a directory that is there aside instead of refusing.

    Returns:
        Where the directory that was there is now, if there was one.

    Raises:
        SnapshotError: the folder is no finished backup, or is damaged, or `target` is not empty.
    """
    manifest = read_manifest(backup)
    in_the_way = os.path.isdir(target) and bool(os.listdir(target))
    if in_the_way and not replace:
        raise SnapshotError(f"{target} is not empty: --replace moves what is there aside")
    aside = f"{target}.replaced-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}" if in_the_way else None
    prepared = f"{target}.restored"
    shutil.rmtree(prepared, ignore_errors=True)
    with _new_folder(prepared) as folder:
        for name, facts in manifest["entries"].items():
            tick(name, 0, facts["bytes"])
            shutil.copyfile(os.path.join(backup, name), os.path.join(folder, name))
            os.chmod(os.path.join(folder, name), 0o600)
            if _facts(os.path.join(folder, name)) != facts:
                raise SnapshotError(
                    f"{backup}: {name} is not what its manifest says (SHA-256): it is damaged"
                )
        if _is_there(backup, _FILES):
            with (
                closing(opener.open_files(f"filesystem:{os.path.join(backup, _FILES)}")) as source,
                closing(opener.open_files(f"filesystem:{os.path.join(folder, _FILES)}")) as files,
            ):
                for done, (key, _) in enumerate(source.list()):
                    tick("files", done, 0)
                    _copy_blob(source, files, key, share=False)  # the backup must outlive the app's own files
    if aside is not None:
        os.rename(target, aside)
    elif os.path.isdir(target):
        os.rmdir(target)
    os.rename(prepared, target)
    _sync_folder_of(target)
    return aside


def read_manifest(backup: str) -> dict[str, Any]:
    """The manifest of a finished backup folder.

    Raises:
        SnapshotError: there is none.
    """
    try:
        with open(os.path.join(backup, MANIFEST), encoding="utf-8") as file:
            manifest: dict[str, Any] = json.load(file)
        if manifest["format"] != _FORMAT or _DATABASE not in manifest["entries"]:
            raise ValueError
    except (OSError, ValueError, TypeError, KeyError):
        raise SnapshotError(
            f"{backup} is no finished backup: it has no {MANIFEST} that can be read"
        ) from None
    return manifest


def backups_in(folder: str) -> list[str]:
    """The finished backups right below a folder, the oldest first."""
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    return [os.path.join(folder, n) for n in names if _is_there(os.path.join(folder, n), MANIFEST)]


# ---------------------------------------------------------------- copying


def _copy(opener: Opener, documents_url: str, files_url: str, folder: str, tick: Tick) -> str:
    """One round; returns what is missing, if anything: the app may have changed it meanwhile."""
    documents = opener.copier(documents_url, "DocumentBackend")
    files = opener.copier(files_url, "FileBackend")
    assert documents is not None
    database, files_database = (os.path.join(folder, name) for name in (_DATABASE, _FILES_DATABASE))
    target_url = f"filesystem:{os.path.join(folder, _FILES)}" if files is None else f"sqlite:{files_database}"
    with ExitStack() as stack:
        source = None
        if files is None:
            source = stack.enter_context(closing(opener.open_files(files_url)))
            if hasattr(source, "hold"):
                stack.enter_context(source.hold())
        copies = [stack.enter_context(closing(copy())) for copy in (documents, files) if copy is not None]
        for copy, path in zip(copies, (database, files_database), strict=False):
            copy.write(path, lambda done, total: tick("pages", done, total))
        stack.callback(_remove_locks, folder)
        target = stack.enter_context(closing(opener.open_files(target_url)))
        try:
            engine = stack.enter_context(closing(opener.open_documents(f"sqlite:{database}")))
        except DataDirectoryError as error:  # what is wrong with the copy is wrong with the original
            reason = getattr(error.__cause__, "strerror", str(error)).replace(os.path.abspath(database), "it")
            raise SnapshotError(f"{documents_url} cannot be backed up: {reason}") from None
        reading = stack.enter_context(engine.read(None))
        if next(stored_documents(reading, "_file_stores"), None) is None and any((source or target).list()):
            return f"{files_url} holds files that {documents_url} knows nothing of"
        for done, (id, key) in enumerate(_keys(reading)):
            tick("files", done, 0)
            if size_of(target, key) is None:
                try:
                    if source is None:
                        return f"file {id} has no bytes"
                    _copy_blob(source, target, key, share=True)
                except FileNotFoundError:
                    return f"file {id} has no bytes"
        if hasattr(target, "sync_names"):
            target.sync_names()
    return ""


def _remove_locks(folder: str) -> None:
    for name in (_DATABASE, _FILES_DATABASE):
        with suppress(FileNotFoundError):
            os.unlink(os.path.join(folder, f"{name}.lock"))


def _keys(reading: Reading) -> Iterator[tuple[str, str]]:
    """The (document, blob key) of every file, and of the mark by which a store knows its database."""
    for table in ("_file_stores", "_storage"):
        for id, text in stored_documents(reading, table):
            yield id, json.loads(text)["key"]


def _copy_blob(source: FileBackend, target: FileBackend, key: str, *, share: bool) -> None:
    link = getattr(source, "share", None) if share else None
    if link is not None and link(key, target):
        return
    target.put(key, blocks_of(source, key))


# ---------------------------------------------------------------- folders


@contextmanager
def _new_folder(target: str) -> Iterator[str]:
    """A folder that gets its name when it is whole, and is removed when it cannot be."""
    if os.path.exists(target):
        raise SnapshotError(f"{target} is there already")
    partial = f"{target}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    os.makedirs(partial, mode=0o700)
    try:
        yield partial
        os.rename(partial, target)
        _sync_folder_of(target)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _is_there(folder: str, name: str) -> str | None:
    return name if os.path.exists(os.path.join(folder, name)) else None


def _facts(path: str) -> dict[str, Any]:
    with open(path, "rb") as file:
        found = Measured(iter(lambda: file.read(_BLOCK_BYTES), b"")).to_the_end()
        os.fsync(file.fileno())
    return {"bytes": found.size_bytes, "sha256": found.sha256.hexdigest()}


def _sync_folder_of(path: str) -> None:
    descriptor = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
