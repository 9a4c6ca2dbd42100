# SPDX-License-Identifier: MIT
"""Queries: a chain of `with_index`, `order` and `filter`, then one way to read (`convex.md` §4.2).

Nothing is read before the end of the chain, and not much more than the caller takes: rows come in batches
that grow, each beginning after the last (key, id), so a transaction may write while it iterates. Knows the
engine only as `backend.py`.
"""

from __future__ import annotations

import sys
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Iterator
from hmac import compare_digest
from hmac import digest as hmac_digest
from itertools import islice
from typing import TYPE_CHECKING, Any

from ..errors import DocumentError
from ..values import show
from .catalog import Document, TableInfo, make_document
from .filters import Expression, Filter, build_filter
from .ranges import IndexRange, Position

if TYPE_CHECKING:
    from .lease import Lease
    from .meter import Meter

_FIRST_ROWS, _MAX_ROWS = 32, 1_024
_BATCH_BYTES = 1024 * 1024  # a batch grows until its documents take about this much
_MAC_BYTES = 16
_ID_END = _MAC_BYTES + 32
_REVERSE = {"asc": False, "desc": True}
IndexHit = tuple[Position, str]


class Query:
    """The documents of a table, in an order; iterate over it, or end it with `first`, `take`, `collect` …

    Each step gives a new query and closes the one before.
    """

    def __init__(self, lease: Lease, table: TableInfo, meter: Meter) -> None:
        self._lease = lease
        self._table = table
        self._meter = meter
        self._index_name = "by_creation_time"
        self._range: IndexRange | None = None
        self._order: str | None = None
        self._filters: tuple[Expression, ...] = ()
        self._closed = False

    # -- the chain

    def with_index(self, name: str, build: Callable[[IndexRange], IndexRange] | None = None) -> Query:
        """Read along an index, in a range of it: `.with_index("by_name", lambda q: q.eq("name", name))`.

        Raises:
            DocumentError: for no such index, or a range that does not follow its fields.
        """
        if self._range is not None:
            raise DocumentError(
                "InvalidQuery", "Queries may only name an index once, before order and filter"
            )
        index_range = IndexRange(self._table, name)
        if build is not None and build(index_range) is not index_range:
            raise DocumentError(
                "InvalidIndexRange", f"The function of with_index({name!r}) must return the range"
            )
        return self._next(_index_name=name, _range=index_range)

    def full_table_scan(self) -> Query:
        """Read the whole table in order of creation."""
        return self.with_index("by_creation_time")

    def order(self, direction: str) -> Query:
        """`"asc"` (the default) or `"desc"`, by the index's fields, then by creation.

        Raises:
            DocumentError: for another word, or the second time.
        """
        if not isinstance(direction, str) or direction not in _REVERSE:
            raise DocumentError("InvalidQuery", f'order must be "asc" or "desc", not {show(direction)}')
        if self._order is not None:
            raise DocumentError("InvalidQuery", "Queries may only specify order at most once")
        return self._next(_order=direction)

    def filter(self, build: Callable[[Filter], Any]) -> Query:
        """Keep the documents for which the expression is true; the others are read all the same.

        Raises:
            DocumentError: when there are too many filters.
        """
        limit = self._meter.limits.max_filter_operators
        if len(self._filters) >= limit:
            raise DocumentError("TooManyOperators", f"A query can have at most {limit} operators")
        return self._next(_filters=(*self._filters, build_filter(build)))

    def _next(self, **changes: Any) -> Query:
        if self._closed:
            raise DocumentError(
                "InvalidQuery",
                "A query can only be chained once and can't be chained after iteration begins.",
            )
        query = object.__new__(Query)  # copy.copy takes six times as long
        vars(query).update(vars(self), **changes)
        self._closed = True
        return query

    # -- the end

    def __iter__(self) -> Iterator[Document]:
        """Each document; reading stops when the caller does."""
        return (document for _, document in self._documents(_FIRST_ROWS))

    def collect(self) -> list[Document]:
        """All documents."""
        return list(self)

    def first(self) -> Document | None:
        """The first document, or None."""
        return next(iter(self._take(1)), None)

    def unique(self) -> Document | None:
        """The only document, or None.

        Raises:
            DocumentError: when there is more than one.
        """
        found = self._take(2)
        if len(found) > 1:
            table, some = self._table.name, ", ".join(document["_id"] for document in found)
            raise DocumentError(
                "NonUniqueResult",
                f"unique() query returned more than one result from table {table}:\n [{some}, ...]",
            )
        return found[0] if found else None

    def take(self, n: float) -> list[Document]:
        """At most the first `n` documents.

        Raises:
            DocumentError: when `n` is not a whole number of 0 or more.
        """
        return self._take(_whole_number(n, 0, "Arg 1 `n` to `take` must be a non-negative integer"))

    def paginate(self, *, num_items: float, cursor: str | None = None) -> dict[str, Any]:
        """One page: `{"page": [document, …], "isDone": bool, "continueCursor": text}`.

        Args:
            num_items: how many documents, at least 1.
            cursor: None for the first page, then the `continueCursor` of the page before. It stays valid when
                documents come and go, and only for the same query.

        Raises:
            DocumentError: for a bad number, a cursor of another query or of nobody, or a second page in one
                call of a function (`convex.md` §4.6).
        """
        wrong = f"`options.numItems` must be a positive number. Received `{show(num_items)}`."
        count = _whole_number(num_items, 0, wrong)
        if count == 0:
            raise DocumentError("InvalidArgument", "Must request at least 1 document while paginating")
        after = None if cursor is None else self._open_cursor(cursor)
        if self._lease.paginated:
            raise DocumentError(
                "MultiplePaginatedDatabaseQueries", "A function can read only one page in each of its calls"
            )
        self._lease.paginated = True
        page: list[Document] = []
        rows = self._rows(count + 1, after)
        for after, json in rows:
            document = make_document(after[1], json)
            if self._keeps(document):
                page.append(document)
                if len(page) == count:
                    break
        is_done = next(rows, None) is None
        return {"page": page, "isDone": is_done, "continueCursor": self._make_cursor(after)}

    def _take(self, count: int) -> list[Document]:
        return [document for _, document in islice(self._documents(count), count)]

    # -- reading

    def _documents(self, count: int) -> Iterator[tuple[Position, Document]]:
        filters = self._filters
        for position, json in self._rows(_FIRST_ROWS if filters else count, None):
            document = make_document(position[1], json)
            if not filters or self._keeps(document):
                yield position, document

    def _keeps(self, document: Document) -> bool:
        return all(expression.value(document) for expression in self._filters)

    def _rows(self, count: int, after: Position | None) -> Iterator[IndexHit]:
        """Rows after a position; `count` is how many the caller is likely to want."""
        if self._closed:
            raise DocumentError("InvalidQuery", "This query is closed and can't emit any more values.")
        self._closed = True
        return self._read(max(1, min(count, _FIRST_ROWS)), after)

    def _read(self, limit: int, after: Position | None) -> Iterator[IndexHit]:
        lease, meter = self._lease, self._meter
        meter.count_range()
        index_range = self._index_range()
        reverse = _REVERSE[self._order or "asc"]
        start, stop = index_range.positions()
        while start < stop:
            if after is not None and reverse:
                stop = min(stop, after)
            elif after is not None:
                start = max(start, (after[0], after[1] + "0"))
            rows = index_range.read(lease.engine, start, stop, reverse, limit)
            size_bytes = 1
            for key, id, json in rows:
                size_bytes += len(json)
                meter.count_read(len(json))
                yield (key, id), json
            if len(rows) < limit:
                return
            after = rows[-1][:2]
            limit = max(1, min(limit * 4, _MAX_ROWS, _BATCH_BYTES * len(rows) // size_bytes))

    def _index_range(self) -> IndexRange:
        return IndexRange(self._table, self._index_name) if self._range is None else self._range

    # -- cursors

    def _shape(self) -> bytes:
        """What a cursor is bound to: the table, the range, the order and the filters."""
        positions = self._index_range().positions()
        parts = (self._table.name, self._index_name, positions, self._order or "asc")
        return repr((parts, [expression.text for expression in self._filters])).encode()

    def _mac(self, payload: bytes) -> bytes:
        return hmac_digest(self._lease.catalog.secret, self._shape() + payload, "sha256")[:_MAC_BYTES]

    def _make_cursor(self, position: Position | None) -> str:
        payload = position[1].encode() + position[0] if position else b""
        return urlsafe_b64encode(self._mac(payload) + payload).decode()

    def _open_cursor(self, cursor: Any) -> Position | None:
        try:
            sealed = urlsafe_b64decode(cursor) if isinstance(cursor, str) else b""
        except (Base64Error, ValueError):
            sealed = b""
        payload = sealed[_MAC_BYTES:]
        is_ours = compare_digest(sealed[:_MAC_BYTES], self._mac(payload))
        if not is_ours or urlsafe_b64encode(sealed).decode() != cursor:  # decoding skips foreign characters
            raise DocumentError("InvalidCursor", f"Cursor {show(cursor)} is not one of this query")
        return (sealed[_ID_END:], sealed[_MAC_BYTES:_ID_END].decode()) if payload else None


def _whole_number(value: Any, least: int, message: str) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value // 1 or value < least:
        raise DocumentError("InvalidArgument", message)
    return min(int(value), sys.maxsize)
