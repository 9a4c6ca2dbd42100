# SPDX-License-Identifier: MIT
"""Bytes in a file backend, each blob under a random key, with what a document has to know of it.

A blob is put before its document is committed, and deleted after its document is: whatever the moment of a
crash, a document has its bytes, and bytes without a document are an orphan that `FileStore.sweep` removes
(`docs/explanation/durability.md`). In a store that several processes share a key begins with its time, so
that orphans are found among the new ones (`orphans.py`). Knows nothing of who may store what.
"""

from __future__ import annotations

import base64
import errno
import logging
import os
import re
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .. import hashing
from ..errors import DocumentError, HTTPError, StorageFullError, StorageUnavailableError
from ..http.body import Body
from ..limits import DEFAULT_LIMITS, Limits

if TYPE_CHECKING:
    from ..data.database import Database
    from ..data.documents import Transaction
    from .backend import Blob, FileBackend

log = logging.getLogger("minihttp.files")

DELETIONS = "_file_deletions"
_READ_BYTES = 256 * 1024
_is_content_type = re.compile(r"[\x20-\x7e]{1,255}").fullmatch


class BlobStore:
    """The blobs of one app, and what goes with them.

    Args:
        backend: where the blobs are.
        database: where their documents are; opened with `FILE_TABLES` among its system tables.
        clock: Unix seconds, for the expiry of URLs.
        limits: `upload_url_seconds`.
    """

    def __init__(
        self,
        backend: FileBackend,
        database: Database,
        *,
        clock: Callable[[], float] = time.time,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self.backend = backend
        self.database = database
        self.clock = clock
        self.limits = limits
        self.has_leftovers = False  # blobs that could not be deleted
        self._in_flight: set[str] = set()  # put, but not yet committed or undone: not orphans

    def put(self, source: Any, content_type: str | None, sha256: str | bytes | None) -> dict[str, Any]:
        """Store bytes under a new random key; the caller inserts the document returned, or discards its key.

        Raises: as `StorageWriter.store`.
        """
        if content_type and not _is_content_type(content_type):
            message = f"content type {content_type[:300]!a} is not printable ASCII up to 255 characters"
            raise DocumentError("BadHeader", message).refusing(content_type)
        document: dict[str, Any] = {"contentType": content_type} if content_type else {}
        key = document["key"] = self.new_key()
        self._in_flight.add(key)
        try:
            with self.faults("store a file"):
                spool, known = spooled(source)
                chunks = _measured(_chunks(source), parse_sha256(sha256), document, known)
                self.backend.put(key, chunks, spool)
        except BaseException:
            self.release(key)
            raise
        return document

    def submit(
        self,
        document: dict[str, Any],
        done: Callable[[Any, BaseException | None], None],
        beside: Callable[[Transaction], None] = lambda transaction: None,
    ) -> None:
        """Store the document of a `put` without waiting for it.

        Args:
            done: called with the file's id once it is durable, else with the error; nothing is kept then.
            beside: what else is done in the transaction; where it raises, nothing is kept.
        """

        def insert(transaction: Transaction) -> Any:
            beside(transaction)
            return transaction.system.insert("_storage", document)

        def told(id: Any, error: BaseException | None) -> None:
            if error is None:
                self.release(document["key"])
            else:
                self.discard(document["key"])
            done(id, error)

        self.database.submit(insert, told)

    def new_key(self) -> str:
        """A key that no other blob has; of a shared store with its second before 96 random bits."""
        if self.backend.shared:
            return time_digits(self.clock()) + os.urandom(12).hex()
        return os.urandom(16).hex()

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
            self.has_leftovers = True
            log.warning("blob %s could not be deleted, and waits for the next sweep: %s", key, fault)
        self.release(key)

    def delete_with(self, transaction: Transaction, key: str) -> None:
        """Delete a blob once this transaction is committed. In a store that is not listed at a start, a row
        of the same commit says that it has to go, until it is gone."""
        if self.backend.shared:
            transaction.system.insert(DELETIONS, {"key": key})
            transaction.after_commit(self.deleted)
        else:
            transaction.after_commit(lambda: self.discard(key))

    def deleted(self) -> None:
        """There are new rows of deletions."""

    def release(self, key: str) -> None:
        """The transaction around a `put` has ended."""
        self._in_flight.discard(key)

    @contextmanager
    def faults(self, what: str) -> Iterator[None]:
        """Turn the backend's Fault into the error of ours with the right status."""
        try:
            yield
        except self.backend.Fault as fault:
            kind = StorageFullError if fault.errno == errno.ENOSPC else StorageUnavailableError
            raise kind(f"cannot {what}: {fault.strerror or fault}") from fault


def time_digits(unix_seconds: float) -> str:
    """The Unix second as the 8 hexadecimal digits with which a key may begin."""
    return f"{max(0, int(unix_seconds)) & 0xFFFF_FFFF:08x}"


def parse_sha256(claim: str | bytes | None) -> bytes | None:
    """The 32 bytes of a SHA-256 given as bytes, 64 hexadecimal digits, or base64.

    Raises:
        DocumentError: `BadHeader` for anything else.
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
    message = f"sha256 {claim[:100]!a} is not a SHA-256 in base64 or hex"
    raise DocumentError("BadHeader", message).refusing(claim)


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


def spooled(source: Any) -> tuple[int | None, bytes | None]:
    """Of the body of a request that the server keeps whole in one nameless file: the file's descriptor, and
    the SHA-256, if the server has made it while the body arrived.
    """
    if not isinstance(source, Body) or source.count or (size := source.length_bytes) is None:
        return None, None
    try:
        descriptor: int = source.stream.fileno()
        status = os.fstat(descriptor)
    except (AttributeError, OSError):  # io.UnsupportedOperation is an OSError: BytesIO
        return None, None
    if not stat.S_ISREG(status.st_mode) or status.st_nlink or status.st_size != size:
        return None, None
    return descriptor, source.digest(size) if source.digest else None


def _measured(
    chunks: Iterable[bytes], claim: bytes | None, document: dict[str, Any], known: bytes | None
) -> Iterator[bytes]:
    """Pass chunks on; at their end write size and sha256 into the document, or refuse them all.

    The backend keeps nothing of a source that raises, so a wrong digest is found before anything is there.
    """
    digest, size = hashing.hashlib.sha256(), 0
    for chunk in chunks:
        if known is None:
            digest.update(chunk)
        size += len(chunk)
        yield chunk
    found = known or digest.digest()
    if claim is not None and found != claim:
        raise HTTPError(400, "the bytes do not have the SHA-256 that was claimed", code="Sha256Mismatch")
    document.update(sha256=base64.b64encode(found).decode(), size=size)
