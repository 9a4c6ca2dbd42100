# SPDX-License-Identifier: MIT
"""`ctx.storage`: what queries, mutations, and actions and handlers may do with files (`docs/convex.md` §5).

The class is the permission: a query's has no `store`. Knows no backend; `blobs.py` has the bytes.
"""

from __future__ import annotations

import base64
import math
import os
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import DocumentError, no_attribute
from ..shown import quoted
from .signing import sign
from .uploads import upload_query

if TYPE_CHECKING:
    from ..data.documents import Transaction
    from .backend import Blob
    from .blobs import BlobStore

T = TypeVar("T")
Document = dict[str, Any]
_BLOCK_BYTES = 256 * 1024
_MAX_EXPIRY_SECONDS = 10**9  # 31 years; the sum must fit into a token


_WORDS_OF_OTHERS = {
    "store": "a query only reads; a mutation, an action or a handler can store",
    "delete": "a query only reads; a mutation, an action or a handler can delete",
    "generate_upload_url": "a query only reads; a mutation, an action or a handler can make one",
    "get": "bytes are read in an action or a handler; get_url(id) and get_metadata(id) are here",
    **dict.fromkeys(("put", "save", "upload", "write"), "write store(bytes_or_stream, content_type=…)"),
    **dict.fromkeys(("open", "read", "download"), "write get(id).read(), in an action or a handler"),
    "url": "write get_url(id)",
}


class StorageReader:
    """Files as a query sees them."""

    __slots__ = ("_origin", "_store", "_transaction")

    def __init__(self, store: BlobStore, origin: str, transaction: Transaction | None) -> None:
        self._store = store
        self._origin = origin
        self._transaction = transaction

    if not TYPE_CHECKING:  # so that type checkers find what is not there

        def __getattr__(self, name: str) -> Any:
            raise no_attribute(self, name, _WORDS_OF_OTHERS.get(name, ""))

    def get_url(self, id: str, *, expires_in: float | None = None) -> str | None:
        """The URL at which anybody who has it can read the file, or None when there is no such file.

        Args:
            id: what `store` returned.
            expires_in: seconds; the URL is then signed and good until they have passed. Without it the URL is
                good for as long as the file is there: its 128 random bits are the secret.

        Raises:
            DocumentError: for seconds that are not above 0 and at most 10^9.
        """
        document = self._find(id)
        if document is None:
            return None
        if expires_in is None:
            key = document["key"]
            uuid = "-".join((key[:8], key[8:12], key[12:16], key[16:20], key[20:]))
            return f"{self._origin}/api/storage/{uuid}"
        if not 0 < expires_in <= _MAX_EXPIRY_SECONDS:  # NaN too
            text = (
                f"expires_in must be more than 0 and at most {_MAX_EXPIRY_SECONDS}, not {quoted(expires_in)}"
            )
            raise DocumentError("InvalidArgument", text).refusing(expires_in)
        expires_at = math.ceil(self._store.clock() + expires_in)
        token = sign(self._store.database.secret, id, expires_at)
        return f"{self._origin}/api/storage/{id}?token={token}"

    def get_metadata(self, id: str) -> Document | None:
        """`{"storageId", "sha256" (hex), "size" (bytes), "contentType" (or None)}`, or None."""
        document = self._find(id)
        if document is None:
            return None
        return {
            "storageId": id,
            "sha256": base64.b64decode(document["sha256"]).hex(),
            "size": int(document["size"]),
            "contentType": document.get("contentType"),
        }

    def _find(self, id: str) -> Document | None:
        return self._read(lambda transaction: find_by_id(transaction, id))

    def _read(self, run: Callable[[Transaction], T]) -> T:
        assert self._transaction is not None
        return run(self._transaction)


class StorageWriter(StorageReader):
    """Files as a mutation sees them: what it stores and deletes takes effect with its transaction."""

    __slots__ = ()

    def store(
        self, source: Any, *, content_type: str | None = None, sha256: str | bytes | None = None
    ) -> str:
        """Store a file and return its id.

        Args:
            source: bytes, a binary file (`request.body`, a file part of a form), or an iterable of bytes.
            content_type: what the file is served as, printable ASCII.
            sha256: the digest that the bytes must have, in base64, in hex or as 32 bytes.

        Raises:
            HTTPError: 400 for bytes of another digest; nothing is kept.
            DocumentError: for a content type or a digest that cannot be.
            StorageFullError, StorageUnavailableError: the store failed; nothing is kept.
            TypeError: for a source of another type, text among them.
        """
        store, transaction = self._store, self._transaction
        assert transaction is not None
        document = store.put(source, content_type, sha256)
        key = document["key"]
        transaction.after_rollback(lambda: store.discard(key))
        transaction.after_commit(lambda: store.release(key))
        return transaction.system.insert("_storage", document)

    def delete(self, id: str) -> None:
        """Delete a file; its bytes go once that is committed.

        Raises:
            DocumentError: there is no such file.
        """
        store, transaction = self._store, self._transaction
        assert transaction is not None
        document = find_by_id(transaction, id)
        if document is None:
            raise DocumentError("FileNotFound", f"storage id {quoted(id)} not found").refusing(id)
        transaction.system.delete(id)
        store.delete_with(transaction, document["key"])

    def generate_upload_url(
        self,
        *,
        max_bytes: int | None = None,
        content_types: Iterable[str] | None = None,
        once: bool = False,
    ) -> str:
        """A URL that takes a file by POST, any number of times, for an hour (`limits.upload_url_seconds`).

        Args:
            max_bytes: a larger file is refused, 413.
            content_types: what its Content-Type may be, such as `["image/png", "video/*"]`; else 415.
            once: whether it is good for one file only, and then 401.

        Raises:
            DocumentError: for a size or a type that cannot be.
        """
        expires_at = int(self._store.clock() + self._store.limits.upload_url_seconds)
        query = upload_query(self._store.database.secret, expires_at, max_bytes, content_types, once)
        return f"{self._origin}/api/storage/upload?{query}"


class Storage(StorageWriter):
    """Files as actions and handlers see them: each call is a transaction of its own."""

    __slots__ = ()

    def get(self, id: str) -> StoredFile | None:
        """Open a file for reading, or None when there is no such file.

        Raises:
            StorageUnavailableError: its bytes are missing or cannot be read.
        """
        document = self._find(id)
        return None if document is None else StoredFile(self._store, document)

    def store(
        self, source: Any, *, content_type: str | None = None, sha256: str | bytes | None = None
    ) -> str:
        """Store a file and return its id; arguments and errors as in a mutation."""
        store = self._store
        document = store.put(source, content_type, sha256)
        try:  # not by the hooks of the transaction: it may run twice, and the blob is put once
            id: str = store.database.write(
                lambda transaction: transaction.system.insert("_storage", document)
            )
        except Exception:  # after an interrupt it may be there; if not, the sweep finds the blob
            store.discard(document["key"])
            raise
        store.release(document["key"])
        return id

    def delete(self, id: str) -> None:
        """Delete a file; raises as in a mutation."""
        store = self._store
        store.database.write(lambda transaction: StorageWriter(store, "", transaction).delete(id))

    def _read(self, run: Callable[[Transaction], T]) -> T:
        return self._store.database.read(run)


class StoredFile:
    """A stored file, open for reading like a binary file; also what `Response(body)` takes.

    Attributes:
        size: bytes. content_type: as stored, or None. sha256: in hex.
    """

    __slots__ = ("_blob", "_store", "content_type", "sha256", "size")

    def __init__(self, store: BlobStore, document: Document) -> None:
        self._store = store
        self._blob: Blob = store.open(document)
        self.size = int(document["size"])
        self.content_type: str | None = document.get("contentType")
        self.sha256 = base64.b64decode(document["sha256"]).hex()

    @property
    def is_local(self) -> bool:
        """Whether its bytes are on this machine."""
        return getattr(self._blob, "is_local", False)

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes, or all that are left.

        Raises:
            StorageUnavailableError: bytes are missing: the file was deleted meanwhile, or is damaged.
        """
        with self._store.faults("read a file"):
            return self._blob.read(size)

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move, as in a file."""
        return self._blob.seek(offset, whence)

    def tell(self) -> int:
        """The position in bytes."""
        return self._blob.tell()

    def close(self) -> None:
        """Close the file."""
        self._blob.close()

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self.read(_BLOCK_BYTES), b"")

    def __enter__(self) -> StoredFile:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def find_by_id(transaction: Transaction, id: Any) -> Document | None:
    """The document of a file; an id that is none, or one of another table, names no file."""
    system = transaction.system
    is_one = isinstance(id, str) and system.normalize_id("_storage", id) == id
    return system.get(id) if is_one else None


def find_by_key(transaction: Transaction, key: str) -> Document | None:
    """The document of a blob."""
    return transaction.rows_where("_storage", "key", key).first()
