# SPDX-License-Identifier: MIT
"""Whether each stored file has its bytes: there, of the size and of the SHA-256 that its document says."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

from ..errors import StorageUnavailableError
from .measured import Measured

if TYPE_CHECKING:
    from ..data.documents import Transaction
    from ..data.migration import Tick
    from .blobs import BlobStore

_BLOCK_BYTES = 256 * 1024
_BATCH = 256


def check_files(store: BlobStore, tick: Tick = lambda what, done, total: None) -> Iterator[tuple[str, str]]:
    """The (id, sentence) of every file that is damaged.

    Args:
        tick: told how far it is.
    """
    done, after = 0, 0.0
    while batch := store.database.read(partial(_files_after, after)):
        for document in batch:
            tick("files", done, 0)
            done += 1
            problem = _problem(store, document)
            if problem is not None:
                yield document["_id"], problem
        after = batch[-1]["_creationTime"]


def _files_after(time_ms: float, transaction: Transaction) -> list[dict[str, Any]]:
    query = transaction.system.query("_storage")
    return query.with_index("by_creation_time", lambda q: q.gt("_creationTime", time_ms)).take(_BATCH)


def _problem(store: BlobStore, document: Mapping[str, Any]) -> str | None:
    try:
        with closing(store.open(document)) as blob:
            found = Measured(iter(lambda: blob.read(_BLOCK_BYTES), b"")).to_the_end()
    except StorageUnavailableError as error:
        return str(error)
    except OSError as error:
        return f"its bytes cannot be read: {error.strerror or error}"
    expected = base64.b64decode(document["sha256"])
    if found.sha256.digest() == expected and found.size_bytes == document["size"]:
        return None
    digest = found.sha256.hexdigest()
    return f"its bytes (blob {document['key']}) have the SHA-256 {digest}, not {expected.hex()}"
