# SPDX-License-Identifier: MIT
"""How a changed schema is taken in, while requests are answered and other processes go on with the old one.

Documents are compared with a new validator in batches, a snapshot each; nothing of a table is written down
before all of its documents have passed. Index definitions, the checked validators, the generation of both and
the database's secret are documents of system tables, so an engine needs nothing of them. A new index is
"filling" at first: from then on whoever writes keeps it true (the generation guards every write of a shared
store), then it is filled in batches, and then it is ready. Nobody drops an index that another process
may use; one that is dropped is no table's any more at once, and its entries go in batches too.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from time import sleep
from typing import NamedTuple

from .. import hashing
from ..errors import SchemaError, ValidationError
from ..values import dumps, loads, show
from . import ids
from .backend import DocumentBackend, Guard, Reading, Writing
from .catalog import Document, Index, TableInfo, make_document
from .compatibility import admits
from .schema import Table

log = logging.getLogger("minihttp.data")

Tick = Callable[[str, int, int], None]
"""Told how far something is: what goes on, how many units are done, and of how many."""

_INDEXES, _CHECKED, _SETTINGS, _CATALOG = "_indexes", "_checked", "_settings", "_catalog"
_DROPPED = "_dropped"  # the table of indexes whose entries go: it has no documents
_SCAN_ROWS = 256  # also what is compared with a validator at once
_FILL_ROWS = 1_024
_MAX_COUNTED = 2**31 - 1
_LEASE_SECONDS = 10.0  # after it another process may go on filling
_MAX_WAIT_SECONDS = 60.0  # for a process that fills
_PAUSE_SECONDS = 0.2
ALONE_SECONDS = 60.0  # without a sign of another process: then nobody uses an index that is not declared


def stored_documents(engine: Reading, table: str) -> Iterator[tuple[str, str]]:
    """Every (id, JSON text) of a table in the order of creation."""
    tag = ids.table_tag(table)
    start, stop = tag, tag + ids.ABOVE
    while rows := engine.scan(start, stop, reverse=False, limit=_SCAN_ROWS):
        yield from rows
        start = rows[-1][0] + "0"


def stored_tables(engine: Reading) -> list[str]:
    """The name of every table that has documents, system tables too; one look for each of them."""
    names, start = [], ""
    while rows := engine.scan(start, ids.ABOVE, reverse=False, limit=1):
        id = rows[0][0]
        found = engine.get(id)
        if found is not None:
            names.append(found[0])
        start = id[: ids.TAG_LENGTH] + ids.ABOVE
    return sorted(names)


class Stored(NamedTuple):
    """What a database says of itself, in one snapshot."""

    indexes: list[Document]
    checked: dict[str, Document]
    secret: bytes | None
    catalog: Document | None
    guard: Guard


def entries_of(engine: Reading, index: int) -> Iterator[list[tuple[int, bytes, str]]]:
    """Every entry of an index, some at a time."""
    start = index, b"", ""
    while rows := [row for row in engine.entries(start, _FILL_ROWS) if row[0] == index]:
        yield rows
        start = index, rows[-1][1], rows[-1][2] + "0"


def read_stored(engine: Reading) -> Stored:
    """What a database says of itself."""
    settings = {row["name"]: row for row in _rows(engine, _SETTINGS)}
    found = list(stored_documents(engine, _CATALOG))
    return Stored(
        _rows(engine, _INDEXES),
        {row["table"]: row for row in _rows(engine, _CHECKED)},
        settings["secret"]["value"] if "secret" in settings else None,
        make_document(*found[0]) if found else None,
        found[0] if found else ("", ""),
    )


def stored_indexes(engine: Reading) -> set[str]:
    """The `table.index (fields)` of every index that a database has."""
    rows = [row for row in read_stored(engine).indexes if row["table"] != _DROPPED]
    return {f"{row['table']}.{row['name']} ({', '.join(row['fields'])})" for row in rows}


def table_infos(
    stored: Stored, tables: Mapping[str, Table], unchecked: frozenset[str]
) -> tuple[dict[str, TableInfo], dict[str, TableInfo]]:
    """The declared tables as they are stored, and those that only have indexes; an index that is missing is
    not ready."""
    by_table: dict[str, list[tuple[Document, Index]]] = {}
    for row in stored.indexes:
        index = Index(row["number"], row["name"], tuple(row["fields"]), row.get("state") != "filling")
        by_table.setdefault(row["table"], []).append((row, index))
    declared = {}
    for name, table in tables.items():
        there = {(index.name, index.fields): index for _, index in by_table.get(name, ())}
        indexes = {
            label: there.get((label, fields)) or Index(0, label, fields, ready=False)
            for label, fields in table.indexes.items()
        }
        validator = None if name in unchecked else table.validator
        declared[name] = TableInfo(name, validator, indexes, there.values())
    others = {
        name: TableInfo(name, None, None, [index for _, index in found])
        for name, found in by_table.items()
        if name not in tables
    }
    return declared, others


def _rows(engine: Reading, table: str) -> list[Document]:
    return [make_document(id, json) for id, json in stored_documents(engine, table)]


class _Walk:
    """How far a walk through all documents of a table is.

    Args:
        what: goes on.
        position: the id from which to go on; None for the first.
    """

    def __init__(self, what: str, table: str, position: str | None = None) -> None:
        self._what = what
        self._tag = ids.table_tag(table)
        self.position = position
        self._done, self._total = 0, -1

    @property
    def has_begun(self) -> bool:
        """Whether any document has been seen."""
        return self.position is not None

    @property
    def is_known(self) -> bool:
        """Whether somebody has been told of it."""
        return self._total >= 0

    def batch(self, engine: Reading) -> list[tuple[str, str]]:
        """The next documents; fewer than `_SCAN_ROWS` are the last."""
        start = self.position or self._tag
        rows = engine.scan(start, self._tag + ids.ABOVE, reverse=False, limit=_SCAN_ROWS)
        if rows:
            self.position = rows[-1][0] + "0"
        return list(rows)

    def tell(self, documents: int, backend: DocumentBackend, tick: Tick) -> None:
        """So many more are done: say how far it is. All are counted when that is first asked."""
        self._done += documents
        if self._total < 0:
            start, stop = self._tag, self._tag + ids.ABOVE
            with backend.read(None) as engine:
                self._total = engine.count(start, stop, _MAX_COUNTED)
                self._done = engine.count(start, self.position or start, _MAX_COUNTED)
        tick(self._what, self._done, max(self._total, self._done))


class Migration:
    """Brings a database in line with a schema.

    Args:
        backend: the engine.
        tables: every declared table, system tables too.
        unchecked: the names of those whose documents are not checked.
        make_id: a table's tag -> a new id.
        clock: Unix seconds, the same for all processes.
        tick: told what goes on, how many documents are done, and of how many.
        drop: whether what is not declared any more is dropped; None: where nobody else has the store open.
        kept: finds the (table, name) of indexes that stay all the same.

    Attributes:
        suspects: the tables whose documents are still to be compared with their validators.
    """

    def __init__(
        self,
        backend: DocumentBackend,
        tables: Mapping[str, Table],
        unchecked: frozenset[str],
        make_id: ids.IdMaker,
        clock: Callable[[], float],
        tick: Tick = lambda what, done, total: None,
        drop: bool | None = None,
        kept: Callable[[Reading], Collection[tuple[str, str]]] = lambda engine: (),
    ) -> None:
        self._backend = backend
        self._tables = tables
        self._checked = {name: table.validator for name, table in tables.items() if name not in unchecked}
        self._make_id = make_id
        self._clock = clock
        self._owner = hashing.token_hex(8)
        self._tick = tick
        self._gone_entries = 0  # of indexes that are dropped
        self._walks: dict[str, _Walk] = {}  # of the indexes that are filled, by the id of their row
        self.suspects: dict[str, _Walk] = {}
        self._refuse_collisions()
        with backend.read(None) as engine:
            stored = read_stored(engine)
            self._kept = frozenset(kept(engine))
        for name in self._unchecked(stored):
            known = stored.checked.get(name, {}).get("validator")
            if known is None or not admits(self._checked[name], known):
                self.suspects[name] = _Walk(f"comparing table {show(name)} with its new schema", name)
        self._drops = (not backend.shared or backend.alone(ALONE_SECONDS)) if drop is None else drop

    def check(self, batches: int | None = None) -> None:
        """Compare documents with validators that have changed so that it matters; writes nothing.

        The framework's own tables come first, and whole, then the first batch of every table.

        Args:
            batches: how many at most after that; None: until the end.

        Raises:
            SchemaError: naming the first document that does not match, and why.
        """
        while self.suspects:
            name, walk = min(self.suspects.items(), key=lambda item: (item[0][0] != "_", item[1].has_begun))
            if name[0] != "_" and walk.has_begun and batches is not None:
                if batches <= 0:
                    return
                batches -= 1
            with self._backend.read(None) as engine:
                rows = walk.batch(engine)
            self._compare(name, rows)
            if len(rows) < _SCAN_ROWS:
                del self.suspects[name]
            if len(rows) == _SCAN_ROWS or walk.is_known:
                walk.tell(len(rows), self._backend, self._tick)

    def declare(self) -> None:
        """Write down what is declared, of all tables that are no suspects: from then on every process keeps
        new indexes true; those of small tables are filled at once. Nothing is written where nothing has
        changed. While there are suspects nothing is dropped, and not later either: requests go on by then.
        """
        if self.suspects:
            self._drops = False
        with self._backend.read(None) as engine:
            stored = read_stored(engine)
            changed = self._changes(stored) or self._unchecked(stored) or self._gone(stored)
        if changed or stored.secret is None or stored.catalog is None:
            self._backend.write(self._declare, None)
            if self._backend.shared:
                self._backend.notify()

    def fill(self, batches: int | None = None) -> bool:
        """Fill what is being filled, a batch a transaction, or wait while another process does.

        Those of the framework's own tables come first, and whole: its own code needs them at the start.

        Args:
            batches: how many at most of the user's tables, without waiting for others; None: until the end,
                or the end of patience with another process.

        Returns:
            Whether nothing is left to be filled.
        """
        patience_ends = self._clock() + _MAX_WAIT_SECONDS
        waited = False
        while True:
            with self._backend.read(None) as engine:
                following = self._next_to_fill(engine)
            if following is None:
                return True
            is_ours = following["table"].startswith("_")
            if batches is not None and batches <= 0 and not is_ours:
                return False
            filled = self._backend.write(self._fill_some, None)
            if filled is not None:
                walk = self._walks.get(following["_id"])
                if walk is not None:
                    walk.tell(filled, self._backend, self._tick)
                batches = None if batches is None else batches - (not is_ours)
                continue
            sleep(_PAUSE_SECONDS)
            if batches is not None and not is_ours:
                return False
            if not waited:
                waited = True
                log.info("another process is filling indexes: waiting for up to %g s", _MAX_WAIT_SECONDS)
            if self._clock() > patience_ends:
                log.warning("indexes are still being filled by another process: queries on them are refused")
                return True

    def drop(self, batches: int | None = None) -> bool:
        """Delete the entries of indexes that are not declared any more, a batch a transaction.

        Args:
            batches: how many at most; None: until the end.

        Returns:
            Whether nothing is left of them.
        """
        while True:
            with self._backend.read(None) as engine:
                rows = [row for row in read_stored(engine).indexes if row["table"] == _DROPPED]
            if not rows or batches == 0:
                return not rows
            entries = self._backend.write(partial(self._drop_some, rows[0]), None)
            self._gone_entries += entries
            self._tick(f"dropping index {rows[0]['name']}", self._gone_entries, 0)
            batches = None if batches is None else max(0, batches - 1)

    # -- what is different

    def _unchecked(self, stored: Stored) -> list[str]:
        """The tables, but for the suspects, that are not known by the validator that they have now."""
        return [
            name
            for name, validator in self._checked.items()
            if name not in self.suspects and stored.checked.get(name, {}).get("validator") != str(validator)
        ]

    def _gone(self, stored: Stored) -> set[str]:
        """The tables that are not declared any more, where they may be forgotten."""
        return set(stored.checked) - set(self._checked) if self._drops else set()

    def _changes(self, stored: Stored) -> tuple[list[tuple[str, str]], list[Document]] | None:
        """The (table, index) that are new, and the rows of indexes that may go; None for no change."""
        there = {(row["table"], row["name"], tuple(row["fields"])) for row in stored.indexes}
        wanted = [
            (t, name, fields) for t, table in self._tables.items() for name, fields in table.indexes.items()
        ]
        new = [each[:2] for each in wanted if each[0] not in self.suspects and each not in there]
        rows = [row for row in stored.indexes if self._drops and row["table"] != _DROPPED]
        rows = [row for row in rows if (row["table"], row["name"]) not in self._kept]
        gone = [row for row in rows if (row["table"], row["name"], tuple(row["fields"])) not in wanted]
        return (new, gone) if new or gone else None

    def _refuse_collisions(self) -> None:
        by_tag: dict[str, str] = {}
        for name in (*self._tables, _INDEXES, _CHECKED, _SETTINGS, _CATALOG):
            other = by_tag.setdefault(ids.table_tag(name), name)
            if other != name:
                raise SchemaError(
                    f"Tables {show(other)} and {show(name)} would share their ids; rename one of them"
                )

    def _compare(self, name: str, rows: list[tuple[str, str]]) -> None:
        validator = self._checked[name]
        for id, json in rows:
            try:  # what `check` has to change (a null it drops, an int it widens) does not match as it is
                if dumps(validator.check(loads(json))) == json:
                    continue
                reason = f"its stored form is not that of {validator}"
            except ValidationError as error:
                reason = str(error)
            raise SchemaError(
                f'Document with ID "{id}" in table "{name}" does not match the schema: {reason}'
            )

    # -- writing

    def _declare(self, engine: Writing) -> None:
        stored = read_stored(engine)
        for name in self._unchecked(stored):
            fields = {"table": name, "validator": str(self._checked[name])}
            self._put(engine, _CHECKED, stored.checked.get(name), fields)
        for name in self._gone(stored):
            engine.delete(stored.checked[name]["_id"], ())
            if not name.startswith("_") and next(stored_documents(engine, name), None):
                message = "table %s is not in the schema any more: its documents stay, out of reach"
                log.warning(message, show(name))
        if stored.secret is None:
            self._put(engine, _SETTINGS, None, {"name": "secret", "value": os.urandom(32)})
        new, gone = self._changes(stored) or ([], [])
        for row in gone:
            name = f"{row['table']}.{row['name']}"
            dropped = {"table": _DROPPED, "name": name, "state": "filling"}
            self._put(engine, _INDEXES, row, _fields(row) | dropped)
        if new or gone or stored.catalog is None:
            catalog = {"generation": 0, "number": 0, **_fields(stored.catalog or {})}
            number = max([catalog["number"], *(row["number"] for row in stored.indexes)])
            for table, name in new:
                number += 1
                self._add_index(engine, table, name, number)
            catalog |= {"generation": catalog["generation"] + 1, "number": number}
            self._put(engine, _CATALOG, stored.catalog, catalog)

    def _add_index(self, engine: Writing, table: str, name: str, number: int) -> None:
        fields = self._tables[table].indexes[name]
        row: Document = {"table": table, "name": name, "fields": list(fields), "number": number}
        walk = _Walk("", table)
        if self._add_entries(engine, Index(number, name, fields), walk) == _FILL_ROWS:
            row |= {"state": "filling", "position": walk.position}
        self._put(engine, _INDEXES, None, row)

    def _add_entries(self, engine: Writing, index: Index, walk: _Walk) -> int:
        """Put the next documents into an index; returns how many: fewer than `_FILL_ROWS` were the last."""
        rows: list[tuple[int, bytes, str]] = []
        is_last = False
        while not is_last and len(rows) < _FILL_ROWS:
            found = walk.batch(engine)
            rows += [(index.number, index.key(make_document(id, json)), id) for id, json in found]
            is_last = len(found) < _SCAN_ROWS
        engine.add_entries(rows)
        return len(rows)

    def _next_to_fill(self, engine: Reading) -> Document | None:
        for row in sorted(read_stored(engine).indexes, key=lambda row: row["table"][0] != "_"):
            table = self._tables.get(row["table"])
            declared = table.indexes.get(row["name"]) if table is not None else None
            if row.get("state") == "filling" and declared == tuple(row["fields"]):
                return row
        return None

    def _fill_some(self, engine: Writing) -> int | None:
        """One batch; how many documents it had, or None: another process is at it."""
        row, stored, now = self._next_to_fill(engine), read_stored(engine), self._clock()
        if row is None or stored.catalog is None:
            return 0
        if self._backend.shared and row.get("owner", self._owner) != self._owner and row["until"] > now:
            return None
        index = Index(row["number"], row["name"], tuple(row["fields"]))
        walk = self._walks.setdefault(
            row["_id"], _Walk(f"filling index {row['table']}.{row['name']}", row["table"])
        )
        walk.position = row["position"]  # also where a batch is run again, or another process has gone on
        fields = _fields(row)
        filled = self._add_entries(engine, index, walk)
        if filled < _FILL_ROWS:
            for name in ("state", "position", "owner", "until"):
                fields.pop(name, None)
            catalog = _fields(stored.catalog)
            catalog["generation"] += 1
            self._put(engine, _CATALOG, stored.catalog, catalog)
        else:
            fields |= {"position": walk.position, "owner": self._owner, "until": now + _LEASE_SECONDS}
        self._put(engine, _INDEXES, row, fields)
        return filled

    @staticmethod
    def _drop_some(row: Document, engine: Writing) -> int:
        """One batch; how many entries it had."""
        rows = next(entries_of(engine, row["number"]), [])
        engine.remove_entries(rows)
        if len(rows) < _FILL_ROWS:
            engine.delete(row["_id"], ())
        return len(rows)

    def _put(self, engine: Writing, table: str, row: Document | None, fields: Document) -> None:
        """Write a row, in the place of the one that it replaces."""
        id = row["_id"] if row is not None else self._make_id.make(ids.table_tag(table))
        engine.put(id, table, dumps(fields), (), ())


def _fields(row: Document) -> Document:
    return {name: value for name, value in row.items() if not name.startswith("_")}
