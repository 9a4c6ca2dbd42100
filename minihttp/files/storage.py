# SPDX-License-Identifier: MIT
"""`FileStore`: blobs in a file backend, what is known of each as a document of the system table `_storage`.

A blob is put before its document is committed, and deleted after its document is: whatever the moment of a
crash, a document has its bytes, and bytes without a document are an orphan that `sweep` removes (`product.md`
decision 8). Knows nothing of who may store what.
"""

from __future__ import annotations

import base64
import errno
import hashlib
import logging
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from ..data.schema import Table
from ..data.validators import v
from ..errors import DataDirectoryError, HTTPError, StorageFullError, StorageUnavailableError
from ..http.fields import QueryParams, parse_urlencoded
from ..limits import DEFAULT_LIMITS, Limits
from .access import Storage, StorageReader, StorageWriter, find_by_key

if TYPE_CHECKING:
    from ..data.database import Database, Transaction
    from ..http.request import Request
    from ..http.response import Response
    from .backend import Blob, FileBackend

log = logging.getLogger("minihttp.files")

FILE_TABLES: Mapping[str, Table] = {
    # One document a file. `key` names the blob and, as a UUID, its public URL.
    "_storage": Table(
        {"sha256": v.string(), "size": v.number(), "contentType": v.optional(v.string()), "key": v.string()}
    ).index("by_key", ["key"]),
    # One document: the mark by which this database knows its file store, see `FileStore._mark`.
    "_file_stores": Table({"key": v.string()}),
}

_READ_BYTES = 256 * 1024
_SWEEP_BATCH = 500
_is_content_type = re.compile(r"[\x20-\x7e]{1,255}").fullmatch


class FileStore:
    """The files of one app.

    Args:
        backend: where the blobs are.
        database: where their documents are; opened with `FILE_TABLES` among its system tables.
        clock: Unix seconds, for the expiry of URLs.
        limits: `upload_url_seconds`.
        origin: scheme and authority of URLs made outside of a request.
    """

    def __init__(
        self,
        backend: FileBackend,
        database: Database,
        *,
        clock: Callable[[], float] = time.time,
        limits: Limits = DEFAULT_LIMITS,
        origin: str = "",
    ) -> None:
        self.backend = backend
        self.database = database
        self.clock = clock
        self.limits = limits
        self.origin = origin
        self._opened_at = time.time()  # compared with what the file system says, so not the app's clock
        self._unsettled: set[str] = set()  # put, but not yet committed or undone: not orphans

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
        from .endpoint import handle

        return handle(self, request)

    def may_upload(self, query: str) -> bool:
        """Whether a raw query has the token of an upload URL that is good now."""
        from .endpoint import check_upload

        try:
            check_upload(self, QueryParams(parse_urlencoded(query, "query", self.limits.max_query_fields)))
        except HTTPError:
            return False
        return True

    def close(self) -> None:
        """Close the backend."""
        self.backend.close()

    # ------------------------------------------------------------ blobs

    def put(self, source: Any, content_type: str | None, sha256: str | bytes | None) -> dict[str, Any]:
        """Store bytes under a new random key; the caller inserts the document returned, or discards its key.

        Raises: as `StorageWriter.store`.
        """
        if content_type and not _is_content_type(content_type):
            message = f"content type {content_type[:300]!a} is not printable ASCII up to 255 characters"
            raise HTTPError(400, message, code="BadHeader")
        document: dict[str, Any] = {"contentType": content_type} if content_type else {}
        key = document["key"] = os.urandom(16).hex()
        self._unsettled.add(key)
        try:
            with self.faults("store a file"):
                chunks = _measured(_chunks(source), parse_sha256(sha256), document)
                self.backend.put(key, chunks, getattr(source, "spooled", None))  # `http.body.Body.spooled`
        except BaseException:
            self.settle(key)
            raise
        return document

    def open(self, document: Mapping[str, Any], start: int = 0, stop: int | None = None) -> Blob:
        """Open bytes `start:stop` of a file.

        Raises:
            StorageUnavailableError: its bytes are missing, cut short or unreadable; the log says which file.
        """
        try:
            return self.backend.open(document["key"], start, int(document["size"]) if stop is None else stop)
        except (FileNotFoundError, self.backend.Fault) as fault:
            reason = "are missing" if isinstance(fault, FileNotFoundError) else f"cannot be read: {fault}"
            log.error("the bytes of file %s (blob %s) %s", document["_id"], document["key"], reason)
            raise StorageUnavailableError(f"the bytes of file {document['_id']} {reason}") from fault

    def discard(self, key: str) -> None:
        """Delete the blob of a document that is not there; what cannot be deleted now is swept later."""
        try:
            self.backend.delete(key)
        except self.backend.Fault as fault:
            log.warning("blob %s could not be deleted, and waits for the next sweep: %s", key, fault)
        self.settle(key)

    def settle(self, key: str) -> None:
        """The transaction around a `put` has ended."""
        self._unsettled.discard(key)

    @contextmanager
    def faults(self, what: str) -> Iterator[None]:
        """Turn the backend's Fault into the error of ours with the right status."""
        try:
            yield
        except self.backend.Fault as fault:
            kind = StorageFullError if fault.errno == errno.ENOSPC else StorageUnavailableError
            raise kind(f"cannot {what}: {fault.strerror or fault}") from fault

    # ------------------------------------------------------------ orphans

    def sweep(self) -> int:
        """Delete what crashes left: unfinished writes, and blobs older than this process without a document.

        Returns:
            how many blobs were deleted.

        Raises:
            DataDirectoryError: the files in the store are not those of this database, see `_mark`.
        """
        with self.faults("sweep the file store"):
            mark = self._mark()
            self.backend.sweep_temporary(self._opened_at)
            stored = (key for key, modified in self.backend.list() if modified < self._opened_at)
            # Looked up before the documents are read: a file that is settled in between has one by then.
            old = (key for key in stored if key != mark and key not in self._unsettled)
            deleted = 0
            while batch := list(islice(old, _SWEEP_BATCH)):
                orphans = self.database.read(partial(_without_document, keys=batch))
                for key in orphans:
                    log.warning("blob %s has no document: deleted", key)
                    self.backend.delete(key)
                deleted += len(orphans)
        return deleted

    def _mark(self) -> str:
        """The key of the empty blob by which store and database know each other, put when the store is empty.

        Raises:
            DataDirectoryError: the store holds files, but not the mark: the database was lost, emptied or
                replaced, or these are another app's files; a sweep would delete them all.
        """
        known = self.database.read(lambda transaction: transaction.system.query("_file_stores").first())
        key: str = known["key"] if known else os.urandom(16).hex()
        if known and self._has(key):
            return key
        if next(self.backend.list(), None) is not None:
            raise DataDirectoryError(
                "the file store holds files that this database knows nothing of: was the database lost or"
                " replaced, or are they another app's? Put the right database back, or move the files away"
            )
        if not known:
            self.database.write(lambda transaction: transaction.system.insert("_file_stores", {"key": key}))
        self.backend.put(key, ())
        return key

    def _has(self, key: str) -> bool:
        try:
            self.backend.open(key).close()
        except FileNotFoundError:
            return False
        return True


def _without_document(transaction: Transaction, *, keys: Iterable[str]) -> list[str]:
    return [key for key in keys if find_by_key(transaction, key) is None]


def parse_sha256(claim: str | bytes | None) -> bytes | None:
    """The 32 bytes of a SHA-256 given as bytes, 64 hexadecimal digits, or base64.

    Raises:
        HTTPError: 400 `BadHeader` for anything else.
    """
    if claim is None or (isinstance(claim, bytes) and len(claim) == 32):
        return claim
    try:
        text = claim.decode("ascii") if isinstance(claim, bytes) else claim
        digest = bytes.fromhex(text) if len(text) == 64 else base64.b64decode(text, validate=True)
        if len(digest) == 32:
            return digest
    except ValueError:  # binascii.Error and UnicodeError among them
        pass
    raise HTTPError(400, f"sha256 {claim[:100]!a} is not a SHA-256 in base64 or hex", code="BadHeader")


def _chunks(source: Any) -> Iterable[Any]:
    """The bytes of whatever `store` takes."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        return (memoryview(source).cast("B"),) if len(source) else ()
    read = getattr(source, "read", None)
    if read is not None:
        return iter(lambda: read(_READ_BYTES), b"")
    if isinstance(source, Iterable) and not isinstance(source, (str, Mapping)):
        return source
    raise TypeError(
        f"store() takes bytes, a binary file or an iterable of bytes, not {type(source).__name__};"
        " of a request, give request.body"
    )


def _measured(chunks: Iterable[bytes], claim: bytes | None, document: dict[str, Any]) -> Iterator[bytes]:
    """Pass chunks on; at their end write size and sha256 into the document, or refuse them all.

    The backend keeps nothing of a source that raises, so a wrong digest is found before anything is there.
    """
    digest, size = hashlib.sha256(), 0
    for chunk in chunks:
        digest.update(chunk)
        size += len(chunk)
        yield chunk
    if claim is not None and digest.digest() != claim:
        raise HTTPError(400, "the bytes do not have the SHA-256 that was claimed", code="Sha256Mismatch")
    document.update(sha256=base64.b64encode(digest.digest()).decode(), size=size)
