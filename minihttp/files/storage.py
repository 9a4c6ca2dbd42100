# SPDX-License-Identifier: MIT
"""`FileStore`: blobs, and what is known of each as a document of the system table `_storage`.

It hands out `ctx.storage`, and removes blobs that have lost their document.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..data.schema import Table
from ..data.validators import v
from ..errors import DataDirectoryError, HTTPError, MinihttpError, StorageUnavailableError
from ..http.fields import parse_query
from ..values import UNSET
from .access import Storage, StorageReader, StorageWriter
from .blobs import DELETIONS, BlobStore
from .measured import size_of
from .orphans import PUTTING_SECONDS, STORES, batches, delete_orphans, remove_deleted, store_row, sweep_new
from .uploads import UPLOADS, upload_rules

if TYPE_CHECKING:
    from ..data.database import Database, Transaction
    from .backend import FileBackend

log = logging.getLogger("minihttp.files")

FILE_TABLES: Mapping[str, Table] = {
    # One document a file. `key` names the blob and, as a UUID, its public URL.
    "_storage": Table(
        {"sha256": v.string(), "size": v.number(), "contentType": v.optional(v.string()), "key": v.string()}
    ).index("by_key", ["key"]),
    UPLOADS: Table({"once": v.string(), "expiresAt": v.number()})
    .index("by_once", ["once"])
    .index("by_expires", ["expiresAt"]),
    # One document: the mark by which this database knows its file store, see `FileStore.mark`, and the key up
    # to which a shared store has been swept; of others `cleanUntil`, when the last process stopped in peace,
    # and `sweptAt`, when all of the store was last swept.
    STORES: Table(
        {
            "key": v.string(),
            "sweptTo": v.optional(v.string()),
            "cleanUntil": v.optional(v.number()),
            "sweptAt": v.optional(v.number()),
        }
    ),
    # Of a shared store: blobs whose deletion is committed, until they are gone.
    DELETIONS: Table({"key": v.string()}),
}

_LOOK_SECONDS = 60.0  # of one process for deletions that another one did not come to
_SWEEP_SECONDS = 3_600.0
_CLOSING_SECONDS = 5.0
_DELAY_SECONDS = 1.0  # of a sweep in the background: by then the server listens
_MARGIN_SECONDS = 60.0  # before a clean stop: clocks of file systems differ
_FULL_SWEEP_SECONDS = 7 * 86_400.0  # after which all files are looked at again, whatever the stops were


class FileStore(BlobStore):
    """The files of one app.

    Args:
        origin: scheme and authority of URLs made outside of a request.
        lease: whether this process may sweep a shared store for so many seconds, and no other.
        names: of the database and of the store, for messages.
        settings: as for `BlobStore`.
    """

    def __init__(
        self,
        backend: FileBackend,
        database: Database,
        *,
        origin: str = "",
        lease: Callable[[float], bool] = lambda seconds: True,
        names: tuple[str, str] = ("the database", "the file store"),
        **settings: Any,
    ) -> None:
        super().__init__(backend, database, **settings)
        self.origin = origin
        self._names = names
        self._lease = lease
        self._mark_key = ""
        self._sweeper: threading.Thread | None = None
        self._closing = threading.Event()
        self._news = threading.Event()  # for the sweeper: rows of deletions, or the end
        self._opened_at = time.time()  # compared with what the file system says, so not the app's clock
        self._is_swept = False

    # ------------------------------------------------------------ ctx.storage

    def storage(self, transaction: Transaction | None, call: Any, writable: bool) -> StorageReader:
        """What `ctx.storage` is in this transaction, or outside of one; `call.origin` begins its URLs."""
        if transaction is None:
            return self.outside(call.origin)
        return (self.writer if writable else self.reader)(transaction, call.origin)

    def reader(self, transaction: Transaction, origin: str = "") -> StorageReader:
        """For queries: `get_url`, `get_metadata`."""
        return StorageReader(self, origin or self.origin, transaction)

    def writer(self, transaction: Transaction, origin: str = "") -> StorageWriter:
        """For mutations: also `store`, `delete`, `generate_upload_url`."""
        return StorageWriter(self, origin or self.origin, transaction)

    def outside(self, origin: str = "") -> Storage:
        """For actions and handlers: also `get`; each call is a transaction of its own."""
        return Storage(self, origin or self.origin, None)

    def max_upload_bytes(self, environ: Mapping[str, str]) -> int:
        """The largest file that the head of an upload lets come; 0 where it lets none.

        Args:
            environ: QUERY_STRING and the header fields.
        """
        try:
            query = parse_query(environ["QUERY_STRING"], self.limits.max_query_fields)
            rules = upload_rules(self.database.secret, query, self.clock())
            rules.check_head(environ.get("CONTENT_TYPE"), None)
        except HTTPError:
            return 0
        return min(rules.max_bytes or self.limits.max_upload_bytes, self.limits.max_upload_bytes)

    def close(self) -> None:
        """Close the backend, and end a sweep in the background."""
        self._closing.set()
        self._news.set()
        if self._sweeper is not None:
            self._sweeper.join(_CLOSING_SECONDS if self.backend.shared else None)
        if self._is_swept and not (self._in_flight or self.has_leftovers or self.database.shared):
            with suppress(MinihttpError):  # then all is swept at the next start
                self._note(cleanUntil=time.time() - _MARGIN_SECONDS)
        self.backend.close()

    def _note(self, **changes: Any) -> None:
        def write(transaction: Transaction) -> None:
            known = store_row(transaction)
            if known is not None:
                transaction.system.patch(known["_id"], changes)

        self.database.write(write)

    def check_reachable(self) -> None:
        """Find out whether the store is there and answers.

        Raises:
            StorageUnavailableError: it does not answer, or is no longer the one that was opened.
        """
        with self.faults("reach the file store"):
            self.backend.check_there()
            if self._mark_key and not self._has(self._mark_key):
                raise StorageUnavailableError(f"{self._names[1]} is gone")

    # ------------------------------------------------------------ orphans

    def sweep_in_background(self) -> None:
        """Sweep in a thread, so that nobody waits for it: a store of a million files takes its time. A shared
        store is swept once an hour, by one process of all, and not at the start."""
        run = self._sweep_for_ever if self.backend.shared else self._sweep_once
        self._sweeper = threading.Thread(target=run, name="minihttp-sweep", daemon=True)
        self._sweeper.start()

    def _sweep_once(self) -> None:
        if self._closing.wait(_DELAY_SECONDS):
            return
        try:
            self.sweep()
        except Exception:
            log.exception("the file store could not be swept")

    def _sweep_for_ever(self) -> None:
        next_sweep = time.monotonic() + _LOOK_SECONDS
        while not self._closing.is_set():
            has_news = self._news.wait(_LOOK_SECONDS)
            self._news.clear()
            try:
                if has_news:
                    self._remove_deleted()
                elif self._lease(2 * _LOOK_SECONDS):
                    self._remove_deleted()
                    if time.monotonic() >= next_sweep:
                        next_sweep = time.monotonic() + _SWEEP_SECONDS
                        self.sweep()
            except StorageUnavailableError as error:  # another time
                log.warning("files: %s", error)
            except Exception:
                log.exception("the file store could not be swept")

    def _remove_deleted(self) -> int:
        with self.faults("delete files"):
            return remove_deleted(self.database, self.backend)

    def deleted(self) -> None:
        """There are new rows of deletions: another thread removes the blobs, if there is one."""
        if self._sweeper is not None and self._sweeper.is_alive():
            self._news.set()
            return
        try:
            self._remove_deleted()
        except StorageUnavailableError as error:
            log.warning("files: %s; they go later", error)

    def sweep(self) -> int:
        """Delete what deletions and crashes left: blobs without a document and unfinished writes.

        In a store of one process these are all that are older than the process; in a shared one see
        `orphans.py`. Where only the database is shared they are those older than a day.

        After a process that stopped in peace only what is newer than its stop is looked at.

        Returns:
            how many blobs were deleted.

        Raises:
            DataDirectoryError: the files in the store are not those of this database, see `check`.
        """
        with self.faults("sweep the file store"):
            mark = self.mark()
            if self.backend.shared:
                deleted = remove_deleted(self.database, self.backend)
                stopped = self._closing.is_set
                return deleted + sweep_new(self.database, self.backend, mark, self.clock(), stopped)
            until = self._opened_at - (PUTTING_SECONDS if self.database.shared else 0)
            self.backend.sweep_temporary(until)
            since = self._begin_sweep()
            stored = (k for k, modified in self.backend.list(changed_since=since) if modified < until)
            # Looked up before the documents are read: a file that is settled in between has one by then.
            old = (key for key in stored if key != mark and key not in self._in_flight)
            deleted = 0
            for keys in batches(old):
                if self._closing.is_set():
                    break
                deleted += delete_orphans(self.database, self.backend, keys)
        if not self._closing.is_set():
            self._is_swept = True
            if not since:
                self._note(sweptAt=time.time())
        return deleted

    def _begin_sweep(self) -> float:
        """When the last process stopped in peace, 0 for never; from now on it is not known to be so."""
        known = self.database.read(store_row) or {}
        clean_until: float = known.get("cleanUntil", 0.0)
        if clean_until:
            self._note(cleanUntil=UNSET)
        is_recent = time.time() - known.get("sweptAt", 0.0) < _FULL_SWEEP_SECONDS
        return clean_until if is_recent and not self.database.shared else 0.0

    def check(self) -> str:
        """The key of the empty blob by which store and database know each other, or "" before there is one.

        Raises:
            DataDirectoryError: the store lacks the mark, and the database has files: it is another store, or
                not mounted. Or the store holds files: the database was lost, emptied or replaced, or these
                are another app's files; a sweep would delete them all.
        """
        key = self._known_mark()
        with self.faults("look into the file store"):
            if key and self._has(key):
                return key
            is_empty = next(self.backend.list(), None) is None
            if not is_empty and (key := self._known_mark()) and self._has(key):
                return key  # another process has made it meanwhile
        check_no_files(self.database, self._names)
        if not is_empty:
            raise unknown_files(self._names)
        return key

    def mark(self) -> str:
        """The key of `check`, whose blob is put when the store is empty. Raises as `check` does."""
        key = self.check() or self.database.write(self._note_mark)
        self._mark_key = key
        if not self._has(key):
            self.backend.put(key, ())
        return key

    def _note_mark(self, transaction: Transaction) -> str:
        """The key in the database, which is new unless another process was first."""
        row = store_row(transaction)
        if row is not None:
            return str(row["key"])
        key = self.new_key()
        transaction.system.insert(STORES, {"key": key})
        return key

    def _known_mark(self) -> str:
        row = self.database.read(store_row)
        return str(row["key"]) if row else ""

    def holds(self, document: Mapping[str, Any]) -> bool:
        """Whether a blob of the document's key and size is here."""
        return bool(size_of(self.backend, document["key"]) == document["size"])

    def _has(self, key: str) -> bool:
        return size_of(self.backend, key) is not None


def unknown_files(names: tuple[str, str]) -> DataDirectoryError:
    """What to raise for a store that has files and a database, perhaps a new one, that does not."""
    database, store = names
    return DataDirectoryError(
        f"{store} holds files that {database} knows nothing of: was the database lost or replaced, or are"
        " they another app's? Put the right database back, or move the files away"
    )


def check_no_files(database: Database, names: tuple[str, str]) -> None:
    """Make sure that a database without its file store has no files.

    Args:
        names: of the database and of the store, for the message.

    Raises:
        DataDirectoryError: it has.
    """
    if database.read(lambda transaction: transaction.system.query("_storage").first()) is not None:
        raise DataDirectoryError(
            f"{names[0]} has files, but {names[1]} lacks its mark: is it another store, misspelt, or not"
            " mounted? Name the right one, or bring the files there with `files copy`"
        )
