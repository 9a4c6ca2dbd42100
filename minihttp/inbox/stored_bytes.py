# SPDX-License-Identifier: MIT
"""How many bytes the deliveries of each endpoint take, as a sum in memory: a row that counts would be written
by every delivery.

The rows are counted once in each process, page by page in a thread that the first delivery starts; what is
stored and removed meanwhile and later is added and taken off after its commit. Knows no HTTP.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from typing import TYPE_CHECKING

from ..data import ids
from ..errors import StorageUnavailableError

if TYPE_CHECKING:
    from ..data.catalog import Document
    from ..data.database import Transaction
    from ..jobs.store import JobStore

log = logging.getLogger("minihttp.webhooks")

ROW_BYTES = 1024
"""What a delivery counts besides its body and headers: its row and its places in the indexes. So no number of
empty deliveries stays below the limit, and a full endpoint is counted in a bounded time."""

THREAD_NAME = "minihttp-webhook-bytes"
_PAGE_ROWS = 100  # of one snapshot, which is not held for longer
_REST_RATIO = (
    4.0  # after each page the thread rests so many times as long, so that deliveries are not held up
)
RECOUNT_SECONDS = 600.0  # where other processes store and remove deliveries, too
_RETRY_SECONDS = 60.0


def size_bytes(row: Document) -> int:
    """What a delivery counts: its body as it was sent, the values of its stored headers, and `ROW_BYTES`."""
    return int(row.get("bodyBytes", 0)) + sum(map(len, row.get("headers", {}).values())) + ROW_BYTES


class StoredBytes:
    """The sums of one process, and the limit of each.

    The limit is passed by no more than what is being stored at the same moment. Nothing is over it before
    all is counted; what is committed just before a page is read and told of just after it may be missed or
    counted twice. Where several processes have one database, each knows what the others stored and removed
    since its last count only after the next, which the first delivery starts after `RECOUNT_SECONDS`.

    Args:
        store: of the jobs that deliveries are; its limits have `max_webhook_bytes`.
        table: of the deliveries.
        recount_seconds: after which all is counted again; infinity where nobody else stores anything.
        page_rows: that are read at a time.
    """

    def __init__(
        self,
        store: JobStore,
        table: str,
        *,
        recount_seconds: float = math.inf,
        page_rows: int = _PAGE_ROWS,
    ) -> None:
        self._store = store
        self._table = table
        self._recount_seconds = recount_seconds
        self._page_rows = page_rows
        self._limit_bytes = store.limits.max_webhook_bytes
        self._is_counted = False
        self._lock = threading.Lock()
        self._sums: dict[str, int] = {}
        # Of the count that is going on: up to which row (in milliseconds), its sums, and what was added and
        # removed behind that row while a page was read
        self._position: float | None = None
        self._new: dict[str, int] = {}
        self._behind: list[tuple[float, str, int]] = []
        self._gone: set[str] = set()
        self._next_ms = -math.inf

    def look(self, now_ms: float) -> None:
        """Start a count if one is due: called with every delivery."""
        if now_ms < self._next_ms:
            return
        with self._lock:
            if now_ms < self._next_ms:
                return
            self._next_ms, self._position, self._new = math.inf, -math.inf, {}
        threading.Thread(target=self._count, name=THREAD_NAME, daemon=True).start()

    def has_room(self, row: Document) -> bool:
        """Whether a new delivery may be stored."""
        return not self._is_counted or self.of(row["endpoint"]) + size_bytes(row) <= self._limit_bytes

    def of(self, endpoint: str) -> int:
        """What the deliveries of an endpoint take, as far as this process knows."""
        return self._sums.get(endpoint, 0)

    def added(self, transaction: Transaction, row: Document, id: str) -> None:
        """A delivery is stored by this transaction, under this id."""
        transaction.after_commit(lambda: self._change(row, size_bytes(row), id))

    def removed(self, transaction: Transaction, row: Document) -> None:
        """A delivery is removed by this transaction."""
        transaction.after_commit(lambda: self._change(row, -size_bytes(row), row["_id"]))

    def _change(self, row: Document, by_bytes: int, id: str) -> None:
        endpoint = row["endpoint"]
        with self._lock:
            _add(self._sums, endpoint, by_bytes)
            if self._position is not None:
                created_ms = ids.microseconds(id) / 1000
                if created_ms <= self._position:
                    _add(self._new, endpoint, by_bytes)
                elif by_bytes > 0:
                    self._behind.append((created_ms, endpoint, by_bytes))
                else:
                    self._gone.add(id)

    def _count(self) -> None:
        try:
            began = time.monotonic()
            while self._count_page():
                time.sleep(_REST_RATIO * (time.monotonic() - began))
                began = time.monotonic()
        except StorageUnavailableError as error:
            log.warning("webhooks: the stored deliveries could not be counted: %s", error)
            self._position, self._next_ms = None, self._store.now_ms() + _RETRY_SECONDS * 1000
            return
        self._next_ms = self._store.now_ms() + self._recount_seconds * 1000

    def _count_page(self) -> bool:
        """Returns whether there are more."""
        with self._lock:
            self._behind, self._gone = [], set()
        position = self._position

        def read(transaction: Transaction) -> list[Document]:
            query = transaction.system.query(self._table).with_index(
                "by_creation_time", lambda q: q.gt("_creationTime", position)
            )
            return query.take(self._page_rows)

        rows = self._store.database.read(read)
        with self._lock:
            for row in rows:
                if row["_id"] not in self._gone:
                    _add(self._new, row["endpoint"], size_bytes(row))
            if rows:
                self._position = rows[-1]["_creationTime"]
            if len(rows) == self._page_rows:
                return True
            for created_ms, endpoint, size in self._behind:
                if created_ms > (self._position or 0.0):  # else it is among the rows
                    _add(self._new, endpoint, size)
            self._sums, self._position, self._is_counted = self._new, None, True
        return False


def _add(sums: dict[str, int], endpoint: str, by_bytes: int) -> None:
    sums[endpoint] = sums.get(endpoint, 0) + by_bytes
