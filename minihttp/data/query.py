# SPDX-License-Identifier: MIT
"""Queries: a chain of `with_index`, `order` and `filter`, then one way to read (`docs/convex.md` §4).

Nothing is read before the end of the chain, and not much more than the caller takes: rows come in batches
that grow, each beginning after the last (key, id), so a transaction may write while it iterates. Knows the
engine only as `backend.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from ..errors import DocumentError, no_attribute
from ..values import show
from .catalog import Document, TableInfo, make_document, make_documents
from .cursors import seal, unseal
from .filters import Expression, Filter, build_filter
from .pagination import page_options, whole_number
from .ranges import IndexRange, Position

if TYPE_CHECKING:
    from .transaction import EngineTransaction

_FIRST_ROWS, _MAX_ROWS = 32, 1_024
_BATCH_BYTES = 1024 * 1024  # a batch grows until its documents take about this much
_ID_CHARACTERS = 32
_REVERSE = {"asc": False, "desc": True}
IndexHit = tuple[Position, str]
_WORDS_OF_OTHERS = {  # of query builders that people know
    "all": "write .collect()",
    "get": "write .unique(), or ctx.db.get(id)",
    "one": "write .unique()",
    "where": 'write .with_index(name, lambda q: q.eq("field", value)) or .filter(…)',
    "filter_by": 'write .with_index(name, lambda q: q.eq("field", value)) or .filter(…)',
    "limit": "write .take(n)",
    "order_by": 'write .with_index(name).order("desc")',
    "count": "write len(….collect())",
}


class Query:
    """The documents of a table, in an order; iterate over it, or end it with `first`, `take`, `collect` …

    Each step gives a new query and closes the one before.
    """

    def __init__(self, transaction: EngineTransaction, table: TableInfo, counted: bool) -> None:
        self._transaction = transaction
        self._table = table
        self._counted = counted
        self._index_name = "by_creation_time"
        self._range: IndexRange | None = None
        self._order: str | None = None
        self._filters: tuple[Expression, ...] = ()
        self._closed = False

    if not TYPE_CHECKING:  # so that type checkers find what is not there

        def __getattr__(self, name: str) -> Any:
            raise no_attribute(self, name, _WORDS_OF_OTHERS.get(name, ""))

    def __repr__(self) -> str:
        return f"<query of {self._table.name} that nothing has read: end it with .collect() or .take(n)>"

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
            message = f'order must be "asc" or "desc", not {show(direction)}'
            raise DocumentError("InvalidQuery", message).refusing(direction)
        if self._order is not None:
            raise DocumentError("InvalidQuery", "Queries may only specify order at most once")
        return self._next(_order=direction)

    def filter(self, build: Callable[[Filter], Any]) -> Query:
        """Keep the documents for which the expression is true; the others are read all the same.

        Raises:
            DocumentError: when there are too many filters.
        """
        limit = self._transaction.limits.max_filter_operators
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
        return self._take(whole_number(n, 0, "Arg 1 `n` to `take` must be a non-negative integer"))

    def paginate(
        self,
        options: Mapping[str, Any] | None = None,
        /,
        *,
        num_items: float | None = None,
        cursor: str | None = None,
    ) -> dict[str, Any]:
        """One page: `.paginate(pagination_opts)` with what a client sent, or `.paginate(num_items=10)`.

        Args:
            options: `numItems`, `cursor`, `endCursor`, `maximumRowsRead`, `maximumBytesRead` and `id`, as
                `v.pagination_opts()` describes them. A page with an `endCursor` has exactly the documents
                after `cursor` up to it, however many they are by now. After `maximumRowsRead` documents, with
                those that filters drop, or `maximumBytesRead` bytes of them, a page ends early.
            num_items: how many documents, at least 1.
            cursor: None for the first page, then the `continueCursor` of the page before. It stays valid when
                documents come and go, and only for the same query.

        Returns:
            `page` (the documents), `isDone` (whether none comes after them), `continueCursor`, `splitCursor`
            (the middle of what was read, or None) and `pageStatus`: "SplitRequired" for a page that ended
            early, before its `endCursor`; "SplitRecommended" for one that came close to a limit; else None.

        Raises:
            DocumentError: for a bad number, a cursor of another query or of nobody, or a second page in one
                call of a function.
        """
        if num_items is not None or options is None:
            options = {**(options or {}), "numItems": num_items, "cursor": cursor}
        asked = page_options(options)
        after = None if asked.cursor is None else self._open_cursor(asked.cursor)
        has_end = asked.end_cursor is not None
        end = self._open_cursor(asked.end_cursor) if has_end else None
        if self._transaction.paginated:
            raise DocumentError(
                "MultiplePaginatedDatabaseQueries", "A function can read only one page in each of its calls"
            )
        self._transaction.paginated = True
        page: list[Document] = []
        positions: list[Position] = []
        bytes_read = 0
        rows = self._rows(asked.num_items + 1, after, end)
        if has_end and end is None:  # the cursor of an empty table: no document was up to it
            rows = iter(())
        for after, json in rows:
            positions.append(after)
            bytes_read += len(json)
            document = make_document(after[1], json)
            if self._keeps(document):
                page.append(document)
            is_full = not has_end and len(page) == asked.num_items
            if is_full or len(positions) >= asked.max_rows or bytes_read >= asked.max_bytes:
                break
        is_cut = next(rows, None) is not None
        limits, status = self._transaction.limits, None
        is_long = (
            len(positions) > limits.max_read_documents * 0.75 or bytes_read > limits.max_read_bytes * 0.75
        )
        if is_cut and has_end:
            status = "SplitRequired"
        elif is_long and self._counted:
            status = "SplitRecommended"
        is_halved = len(positions) > 1 or status == "SplitRequired"
        return {
            "page": page,
            "isDone": not is_cut and (not has_end or next(self._read(1, end), None) is None),
            "continueCursor": asked.end_cursor if has_end else self._make_cursor(after),
            "splitCursor": self._make_cursor(positions[(len(positions) - 1) // 2]) if is_halved else None,
            "pageStatus": status,
        }

    def _take(self, count: int) -> list[Document]:
        if self._filters or not count:
            return [document for _, document in islice(self._documents(count), count)]
        found: list[Document] = []  # as above, but many at once
        for rows in self._batches(count, None):
            rows = rows[: count - len(found)]
            if self._counted:
                self._transaction.count_reads([len(json) for _, _, json in rows])
            found += make_documents(rows)
            if len(found) >= count:
                break
        return found

    # -- reading

    def _documents(self, count: int) -> Iterator[tuple[Position, Document]]:
        filters = self._filters
        for position, json in self._rows(_FIRST_ROWS if filters else count, None):
            document = make_document(position[1], json)
            if not filters or self._keeps(document):
                yield position, document

    def _keeps(self, document: Document) -> bool:
        return all(expression.value(document) for expression in self._filters)

    def _rows(self, count: int, after: Position | None, until: Position | None = None) -> Iterator[IndexHit]:
        """Rows after a position, up to another; `count` is how many the caller is likely to want."""
        return self._each(self._batches(count, after, until))

    def _batches(
        self, count: int, after: Position | None, until: Position | None = None
    ) -> Iterator[list[tuple[bytes, str, str]]]:
        """The same, many at once and not yet counted."""
        if self._closed:
            raise DocumentError("InvalidQuery", "This query is closed and can't emit any more values.")
        self._closed = True
        return self._read_batches(max(1, min(count, _FIRST_ROWS)), after, until)

    def _read(self, limit: int, after: Position | None, until: Position | None = None) -> Iterator[IndexHit]:
        return self._each(self._read_batches(limit, after, until))

    def _each(self, batches: Iterator[list[tuple[bytes, str, str]]]) -> Iterator[IndexHit]:
        transaction, counted = self._transaction, self._counted
        for rows in batches:
            for key, id, json in rows:
                if counted:
                    transaction.count_read(len(json))
                yield (key, id), json

    def _read_batches(
        self, limit: int, after: Position | None, until: Position | None
    ) -> Iterator[list[tuple[bytes, str, str]]]:
        transaction = self._transaction
        if self._counted:
            transaction.count_range()
        index_range = self._index_range()
        reverse = _REVERSE[self._order or "asc"]
        start, stop = index_range.positions()
        if until is not None and reverse:
            start = max(start, until)
        elif until is not None:
            stop = min(stop, (until[0], until[1] + "0"))
        while start < stop:
            if after is not None and reverse:
                stop = min(stop, after)
            elif after is not None:
                start = max(start, (after[0], after[1] + "0"))
            rows = index_range.read(transaction.engine, start, stop, reverse, limit)
            yield rows
            read = len(rows)
            if read < limit:
                return
            after, size_bytes = rows[-1][:2], 1 + sum([len(json) for _, _, json in rows])
            limit = max(1, min(limit * 4, _MAX_ROWS, _BATCH_BYTES * read // size_bytes))

    def _index_range(self) -> IndexRange:
        return IndexRange(self._table, self._index_name) if self._range is None else self._range

    # -- cursors

    def _shape(self) -> bytes:
        """What a cursor is bound to: the table, the range, the order and the filters."""
        positions = self._index_range().positions()
        parts = (self._table.name, self._index_name, positions, self._order or "asc")
        return repr((parts, [expression.text for expression in self._filters])).encode()

    def _make_cursor(self, position: Position | None) -> str:
        payload = position[1].encode() + position[0] if position else b""
        return seal(self._transaction.catalog.secret, self._shape(), payload)

    def _open_cursor(self, cursor: Any) -> Position | None:
        secret = self._transaction.catalog.secret
        payload = unseal(secret, self._shape(), cursor) if isinstance(cursor, str) else None
        if payload is None:
            message = f"Cursor {show(cursor)} is not one of this query"
            raise DocumentError("InvalidCursor", message).refusing(cursor)
        return (payload[_ID_CHARACTERS:], payload[:_ID_CHARACTERS].decode()) if payload else None
