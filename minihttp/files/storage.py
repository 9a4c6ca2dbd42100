# SPDX-License-Identifier: MIT
"""`FileStore`: blobs, and what is known of each as a document of the system table `_storage`.

It hands out `ctx.storage`, answers `/api/storage/…`, and removes blobs that have lost their document.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterable, Mapping
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from ..data.schema import Table
from ..data.validators import v
from ..errors import DataDirectoryError, HTTPError, StorageUnavailableError
from ..http.fields import QueryParams, parse_query
from .access import Storage, StorageReader, StorageWriter, find_by_key
from .blobs import BlobStore
from .endpoint import check_upload, handle

if TYPE_CHECKING:
    from ..data.database import Database, Transaction
    from ..http.request import Request
    from ..http.response import Response
    from .backend import FileBackend

log = logging.getLogger("minihttp.files")

FILE_TABLES: Mapping[str, Table] = {
    # One document a file. `key` names the blob and, as a UUID, its public URL.
    "_storage": Table(
        {"sha256": v.string(), "size": v.number(), "contentType": v.optional(v.string()), "key": v.string()}
    ).index("by_key", ["key"]),
    # One document: the mark by which this database knows its file store, see `FileStore._mark`.
    "_file_stores": Table({"key": v.string()}),
}

_SWEEP_BATCH = 500


class FileStore(BlobStore):
    """The files of one app.

    Args:
        origin: scheme and authority of URLs made outside of a request.
        names: of the database and of the store, for messages.
        settings: as for `BlobStore`.
    """

    def __init__(
        self,
        backend: FileBackend,
        database: Database,
        *,
        origin: str = "",
        names: tuple[str, str] = ("the database", "the file store"),
        **settings: Any,
    ) -> None:
        super().__init__(backend, database, **settings)
        self.origin = origin
        self._names = names
        self._mark_key = ""
        self._sweeper: threading.Thread | None = None
        self._closing = threading.Event()
        self._opened_at = time.time()  # compared with what the file system says, so not the app's clock

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

    def handle(self, request: Request) -> Response:
        """Answer a request below `/api/storage/`."""
        return handle(self, request)

    def may_upload(self, query: str) -> bool:
        """Whether a raw query has the token of an upload URL that is good now."""
        try:
            check_upload(self, QueryParams(parse_query(query, self.limits.max_query_fields)))
        except HTTPError:
            return False
        return True

    def close(self) -> None:
        """Close the backend, and end a sweep in the background."""
        self._closing.set()
        if self._sweeper is not None:
            self._sweeper.join()
        self.backend.close()

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
        """Sweep in a thread, so that nobody waits for it: a store of a million files takes its time."""

        def run() -> None:
            try:
                self.sweep()
            except Exception:
                log.exception("the file store could not be swept")

        self._sweeper = threading.Thread(target=run, name="minihttp-sweep", daemon=True)
        self._sweeper.start()

    def sweep(self) -> int:
        """Delete what crashes left: unfinished writes, and blobs older than this process without a document.

        Returns:
            how many blobs were deleted.

        Raises:
            DataDirectoryError: the files in the store are not those of this database, see `check`.
        """
        with self.faults("sweep the file store"):
            mark = self.mark()
            self.backend.sweep_temporary(self._opened_at)
            stored = (key for key, modified in self.backend.list() if modified < self._opened_at)
            # Looked up before the documents are read: a file that is settled in between has one by then.
            old = (key for key in stored if key != mark and key not in self._in_flight)
            deleted = 0
            while (batch := list(islice(old, _SWEEP_BATCH))) and not self._closing.is_set():
                orphans = self.database.read(partial(_without_document, keys=batch))
                for key in orphans:
                    log.warning("blob %s has no document: deleted", key)
                    self.backend.delete(key)
                deleted += len(orphans)
        return deleted

    def check(self) -> str:
        """The key of the empty blob by which store and database know each other, or "" before there is one.

        Raises:
            DataDirectoryError: the store lacks the mark, and the database has files: it is another store, or
                not mounted. Or the store holds files: the database was lost, emptied or replaced, or these
                are another app's files; a sweep would delete them all.
        """
        known = self.database.read(lambda transaction: transaction.system.query("_file_stores").first())
        key: str = known["key"] if known else ""
        with self.faults("look into the file store"):
            if key and self._has(key):
                return key
            is_empty = next(self.backend.list(), None) is None
        check_no_files(self.database, self._names)
        if not is_empty:
            database, store = self._names
            raise DataDirectoryError(
                f"{store} holds files that {database} knows nothing of: was the database lost or"
                " replaced, or are they another app's? Put the right database back, or move the files away"
            )
        return key

    def mark(self) -> str:
        """The key of `check`, whose blob is put when the store is empty. Raises as `check` does."""
        key = self._mark_key = self.check()
        if not key:
            key = self._mark_key = os.urandom(16).hex()
            self.database.write(lambda transaction: transaction.system.insert("_file_stores", {"key": key}))
        if not self._has(key):
            self.backend.put(key, ())
        return key

    def holds(self, document: Mapping[str, Any]) -> bool:
        """Whether a blob of the document's key and size is here."""
        try:
            blob = self.backend.open(document["key"])
        except FileNotFoundError:
            return False
        blob.close()
        return bool(blob.size == document["size"])

    def _has(self, key: str) -> bool:
        try:
            self.backend.open(key).close()
        except FileNotFoundError:
            return False
        return True


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


def _without_document(transaction: Transaction, *, keys: Iterable[str]) -> list[str]:
    return [key for key in keys if find_by_key(transaction, key) is None]
