# SPDX-License-Identifier: MIT
"""Where a query reads: the range that `with_index` asks for, as bounds in the engine's order.

A range is any number of `eq` on the first fields of an index, then a lower and an upper bound on the next
one. Every index ends with `_creationTime` and `_id`, which are the document's id; `by_creation_time` and
`by_id` have nothing else. Knows no documents.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Any

from ..errors import DocumentError, IndexNotReadyError, did_you_mean, no_attribute
from ..values import UNSET, copy, index_key
from . import ids
from .backend import Reading
from .catalog import TableInfo

Position = tuple[bytes, str]
"""(key, id) in an index; the key is empty in the table itself."""
BUILT_IN = ("by_creation_time", "by_id")


class IndexRange:
    """What the function given to `with_index` builds: `lambda q: q.eq("channel", c).gte("sentAt", t)`."""

    def __init__(self, table: TableInfo, name: str) -> None:
        index = table.indexes.get(name) if isinstance(name, str) else None
        if index is None and name not in BUILT_IN:
            near = did_you_mean(str(name), table.indexes)
            raise DocumentError("IndexNotFound", f"Index {table.name}.{name} not found{near or '.'}")
        if index is not None and not index.ready:
            raise IndexNotReadyError(f"Index {table.name}.{name} is being built; try again later")
        self.number = index.number if index else None
        self._index_name = f"{table.name}.{name}"
        self._tag = table.tag
        self._keyed = index.fields if index else ()
        self._fields = (*self._keyed, *(("_id",) if name == "by_id" else ("_creationTime", "_id")))
        self._equal: list[Any] = []
        self._bounds: dict[str, Any] = {}  # operator -> value, all on one field
        self._bounded: str | None = None

    if not TYPE_CHECKING:  # so that type checkers find what is not there

        def __getattr__(self, name: str) -> Any:
            hint = "" if name[:1] == "_" else f'write q.eq("{name}", value), or q.gt, q.gte, q.lt, q.lte'
            raise no_attribute(self, name, hint)

    def eq(self, field: str, value: Any) -> IndexRange:
        """Documents whose field is this value; UNSET finds those without the field."""
        self._check_known(field)
        if self._bounded is not None or self._fields[len(self._equal) : len(self._equal) + 1] != (field,):
            raise self._out_of_order()
        self._equal.append(_plain(value))
        return self

    def gt(self, field: str, value: Any) -> IndexRange:
        """Documents whose field is above this value, in the order of all values."""
        return self._bound("gt", ("gt", "gte"), field, value)

    def gte(self, field: str, value: Any) -> IndexRange:
        """Documents whose field is this value or above."""
        return self._bound("gte", ("gt", "gte"), field, value)

    def lt(self, field: str, value: Any) -> IndexRange:
        """Documents whose field is below this value; one without the field is."""
        return self._bound("lt", ("lt", "lte"), field, value)

    def lte(self, field: str, value: Any) -> IndexRange:
        """Documents whose field is this value or below."""
        return self._bound("lte", ("lt", "lte"), field, value)

    def __bool__(self) -> bool:
        raise DocumentError(
            "InvalidIndexRange", "A range of an index knows no and, or, not: chain it, or use filter"
        )

    def _bound(self, operator: str, rivals: tuple[str, str], field: str, value: Any) -> IndexRange:
        self._check_known(field)
        if any(rival in self._bounds for rival in rivals):
            side = "a lower" if "gt" in rivals else "an upper"
            raise DocumentError(
                "AlreadyDefinedBound", f"Index {self._index_name} has {side} bound already: {field}"
            )
        if self._bounded is not None and self._bounded != field:
            raise DocumentError(
                "BoundsOnMultipleFields",
                f"Index {self._index_name} can be bounded on one field, not on {self._bounded} and {field}.",
            )
        if self._fields[len(self._equal) : len(self._equal) + 1] != (field,):
            raise self._out_of_order()
        self._bounded = field
        self._bounds[operator] = _plain(value)
        return self

    def _check_known(self, field: str) -> None:
        if field not in self._fields:
            near = did_you_mean(str(field), self._fields) or "."
            raise DocumentError("FieldNotInIndex", f"Index {self._index_name} has no field {field!r}{near}")

    def _out_of_order(self) -> DocumentError:
        return DocumentError(
            "InvalidIndexRange",
            f"Tried to query index {self._index_name} but the query didn't use the index fields in order.\n"
            f"Index fields: {list(self._fields)}",
        )

    def positions(self) -> tuple[Position, Position]:
        """The range as (first position, first position after it)."""
        keyed = len(self._keyed)
        prefix = index_key(self._equal[:keyed])
        start, stop = self._tag, self._tag + ids.ABOVE
        for field, value in zip(self._fields[keyed:], self._equal[keyed:], strict=False):
            start = max(start, self._id_bound(field, value, above=False))
            stop = min(stop, self._id_bound(field, value, above=True))
        if len(self._equal) < keyed:
            return self._key_bounds(prefix)
        for operator, value in self._bounds.items():
            assert self._bounded is not None
            bound = self._id_bound(self._bounded, value, above=operator in ("gt", "lte"))
            if operator in ("gt", "gte"):
                start = max(start, bound)
            else:
                stop = min(stop, bound)
        return (prefix, start), (prefix, stop)

    def read(
        self, engine: Reading, start: Position, stop: Position, reverse: bool, limit: int
    ) -> list[tuple[bytes, str, str]]:
        """At most `limit` rows (key, id, JSON text) from `start` to before `stop`, or from the other end."""
        if self.number is not None:
            return list(engine.scan_index(self.number, start, stop, reverse=reverse, limit=limit))
        rows = engine.scan(start[1], stop[1], reverse=reverse, limit=limit)
        return [(b"", id, json) for id, json in rows]

    def _key_bounds(self, prefix: bytes) -> tuple[Position, Position]:
        start, stop = prefix, prefix + b"\xff"
        for operator, value in self._bounds.items():
            key = prefix + index_key((value,)) + (b"\xff" if operator in ("gt", "lte") else b"")
            if operator in ("gt", "gte"):
                start = key
            else:
                stop = key
        return (start, ""), (stop, "")

    def _id_bound(self, field: str, value: Any, *, above: bool) -> str:
        """The first id at or beyond (`above`: beyond) a value of `_creationTime` or `_id`."""
        if field == "_creationTime":
            bisect = bisect_right if above else bisect_left
            found = bisect(
                range(ids.MAX_MICROSECONDS), index_key((value,)), key=lambda n: index_key((n / 1000,))
            )
            return self._tag + (ids.time_text(found) if found < ids.MAX_MICROSECONDS else ids.ABOVE)
        if isinstance(value, str):
            return value + "0" if above else value
        return "" if index_key((value,)) < index_key(("",)) else ids.ABOVE


def _plain(value: Any) -> Any:
    return value if value is UNSET else copy(value)
