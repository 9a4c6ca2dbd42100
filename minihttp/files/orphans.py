# SPDX-License-Identifier: MIT
"""What deletions and crashes left in a store that several processes share, found without listing the store.

A key begins with the Unix second in which it was made. A process that dies between putting a blob and
committing its document leaves a key newer than the last sweep, so a sweep looks at the keys from there up to
a day ago, when no transaction of that time is open any more. What is deleted is noted in the commit that
deletes it. Knows nothing of threads: `storage.py` decides who sweeps, and when.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Any

from .access import find_by_key
from .blobs import DELETIONS, time_digits

if TYPE_CHECKING:
    from ..data.database import Database, Transaction
    from .backend import FileBackend

log = logging.getLogger("minihttp.files")

STORES = "_file_stores"
PUTTING_SECONDS = 86_400.0  # no upload, nor the transaction that it belongs to, takes longer
BATCH = 500


def batches(keys: Iterable[str]) -> Iterator[list[str]]:
    """The keys in pieces that one transaction looks up."""
    source = iter(keys)
    return iter(lambda: list(islice(source, BATCH)), [])


def without_document(database: Database, keys: list[str]) -> list[str]:
    """Those of the keys that no stored file has."""

    def look(transaction: Transaction) -> list[str]:
        return [key for key in keys if find_by_key(transaction, key) is None]

    return database.read(look)


def delete_orphans(database: Database, backend: FileBackend, keys: list[str]) -> int:
    """Delete those of the blobs that have no document, and return how many."""
    orphans = without_document(database, keys)
    for key in orphans:
        log.warning("blob %s has no document: deleted", key)
        backend.delete(key)
    return len(orphans)


def remove_deleted(database: Database, backend: FileBackend) -> int:
    """Remove the blobs whose deletion is committed, and then the rows that say so; returns how many.

    Raises: the Fault of the store; what is left is for the next time.
    """
    removed = 0
    while rows := database.read(lambda transaction: transaction.system.query(DELETIONS).take(BATCH)):
        for row in rows:
            backend.delete(row["key"])
        database.write(partial(_delete, rows))
        removed += len(rows)
    return removed


def _delete(rows: list[dict[str, Any]], transaction: Transaction) -> None:
    for row in rows:
        if transaction.system.get(row["_id"]) is not None:  # another process may have been there
            transaction.system.delete(row["_id"])


def sweep_new(
    database: Database, backend: FileBackend, mark: str, now: float, stopped: Callable[[], bool]
) -> int:
    """Delete the blobs without a document whose keys are newer than the last sweep and older than a day.

    Args:
        mark: the key by which store and database know each other.
        now: Unix seconds.
        stopped: whether to leave the rest for another time.

    Returns:
        how many were deleted.
    """
    end = time_digits(now - PUTTING_SECONDS)
    since = database.read(_swept_to)
    new = takewhile(lambda key: key < end, (key for key, _ in backend.list(since)))
    deleted = 0
    for keys in batches(new):
        deleted += delete_orphans(database, backend, [key for key in keys if key != mark])
        database.write(partial(_set_swept_to, keys[-1]))
        if stopped():
            return deleted
    if end > since:
        database.write(partial(_set_swept_to, end))
    return deleted


def store_row(transaction: Transaction) -> Any:
    """What is known of the file store: its row, or None."""
    return transaction.system.query(STORES).first()


def _swept_to(transaction: Transaction) -> str:
    row = store_row(transaction)
    return str(row.get("sweptTo", "")) if row else ""


def _set_swept_to(key: str, transaction: Transaction) -> None:
    row = store_row(transaction)
    if row is not None and key > row.get("sweptTo", ""):
        transaction.system.patch(row["_id"], {"sweptTo": key})
