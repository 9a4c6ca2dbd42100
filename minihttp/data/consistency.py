# SPDX-License-Identifier: MIT
"""Whether what is stored fits together: documents and their schema, documents and their index entries.

Entries and documents are compared by a sum of hashes first, which reads each of them once; only where the
sums differ are they looked up one by one. All of it sees one snapshot.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import MinihttpError, ValidationError
from ..values import dumps, loads
from . import ids
from .catalog import Index, TableInfo, make_document
from .migration import Tick, entries_of, stored_documents, stored_tables

if TYPE_CHECKING:
    from .backend import Reading
    from .database import Database
    from .documents import Transaction

_ENTRIES = 1_024
_MAX_FINDINGS = 100  # of one table


class Finding(NamedTuple):
    """One thing that is wrong."""

    place: str
    """A table, an index as `table.index`, or a file's id."""
    text: str
    """A sentence."""
    is_index: bool = False
    """Whether rebuilding the index mends it."""


def check_documents(database: Database, tick: Tick = lambda what, done, total: None) -> list[Finding]:
    """Everything that is wrong with documents and index entries, at most 100 findings a table.

    Args:
        tick: told how far it is.
    """
    return database.read(lambda transaction: list(_Check(transaction, tick).run()))


def rebuild_indexes(database: Database, findings: list[Finding]) -> list[str]:
    """Make the entries of every index that has a finding anew, in one transaction; returns their names."""
    places = {finding.place for finding in findings if finding.is_index}

    def run(transaction: Transaction) -> list[str]:
        known = {number: (info, index) for number, info, index in _indexes(transaction)}
        for place in places:
            number = int(place.rpartition("#")[2])
            for rows in entries_of(transaction.engine, number):
                transaction.engine.remove_entries(rows)
            if number in known:
                info, index = known[number]
                transaction.engine.add_entries(_entries(transaction.engine, info, index))
        return sorted(places)

    return database.write(run, alone=True) if places else []


def _entries(engine: Any, info: TableInfo, index: Index) -> Iterator[tuple[int, bytes, str]]:
    for id, text in stored_documents(engine, info.name):
        key = _key(info, index, id, text)
        if key is not None:
            yield index.number, key, id


def _key(info: TableInfo, index: Index, id: str, text: str) -> bytes | None:
    """The key of a document in an index; None for a document that cannot be read."""
    try:
        return dict(info.entries(id, make_document(id, text)))[index.number]
    except (MinihttpError, ValueError, TypeError, KeyError):
        return None


def _indexes(transaction: Transaction) -> Iterator[tuple[int, TableInfo, Index]]:
    for info in transaction.catalog.indexed_tables():
        for index in info.stored:
            yield index.number, info, index


class _Check:
    def __init__(self, transaction: Transaction, tick: Tick) -> None:
        self._engine: Reading = transaction.engine
        self._tick = tick
        self._infos = {info.name: info for info in transaction.catalog.indexed_tables()}
        self._names = {
            number: f"{info.name}.{index.name} #{number}" for number, info, index in _indexes(transaction)
        }
        self._expected = dict.fromkeys(self._names, (0, 0))
        self._filling = {number for number, _, index in _indexes(transaction) if not index.ready}

    def run(self) -> Iterator[Finding]:
        for table in stored_tables(self._engine):
            yield from self._table(table, self._infos.get(table) or TableInfo(table))
        stored = self._stored_sums()
        expected = {number: sums for number, sums in self._expected.items() if sums[0]}
        for number in sorted({*stored, *expected}):
            if stored.get(number) == expected.get(number) or number in self._filling:
                continue
            if number not in self._names:
                yield Finding(f"#{number}", f"index {number} is not declared and has entries", True)
            else:
                yield from self._differences(number)

    def _table(self, table: str, info: TableInfo) -> Iterator[Finding]:
        tag, found = ids.table_tag(table), 0
        total = self._engine.count(tag, tag + ids.ABOVE, 2**62)
        for done, (id, text) in enumerate(stored_documents(self._engine, table)):
            if done % 1_000 == 0:
                self._tick(table, done, total)
            problem = self._problem(info, id, text)
            if problem is not None:
                found += 1
                if found <= _MAX_FINDINGS:
                    yield Finding(table, f"document {id}: {problem}")
        if found > _MAX_FINDINGS:
            yield Finding(table, f"{found - _MAX_FINDINGS} more documents are wrong")

    def _problem(self, info: TableInfo, id: str, text: str) -> str | None:
        """What is wrong with a document; its entries are added to the sums that are expected."""
        try:
            document = make_document(id, text)
            for entry in info.entries(id, document) if info.stored else ():
                count, total = self._expected[entry[0]]
                self._expected[entry[0]] = count + 1, total + hash((entry[1], id))
            if info.validator is not None and dumps(info.validator.check(loads(text))) != text:
                return f"its stored form is not that of {info.validator}"
        except ValidationError as error:
            return "it does not match the schema: " + str(error).replace("\n", "; ")
        except (MinihttpError, ValueError, TypeError, KeyError, RecursionError) as error:
            return f"it cannot be read: {error}"
        return None if ids.is_id(id) else "its id is none"

    def _stored_sums(self) -> dict[int, tuple[int, int]]:
        sums: dict[int, tuple[int, int]] = {}
        for done, (number, key, id) in enumerate(self._scan((0, b"", ""))):
            if done % 10_000 == 0:
                self._tick("index entries", done, 0)
            count, total = sums.get(number, (0, 0))
            sums[number] = count + 1, total + hash((key, id))
        return sums

    def _scan(self, start: tuple[int, bytes, str]) -> Iterator[tuple[int, bytes, str]]:
        while rows := self._engine.entries(start, _ENTRIES):
            yield from rows
            number, key, id = rows[-1]
            start = number, key, id + "0"

    def _differences(self, number: int) -> Iterator[Finding]:
        """Each entry looked up by its document, and each document by its entries."""
        place = self._names[number]
        info = self._infos[place.partition(".")[0]]
        index = next(index for index in info.stored if index.number == number)
        found = 0
        for text in self._lost_and_stray(info, index):
            found += 1
            if found <= _MAX_FINDINGS:
                yield Finding(place, text, True)
        if not found or found > _MAX_FINDINGS:
            yield Finding(place, f"{max(0, found - _MAX_FINDINGS)} more entries are wrong", True)

    def _lost_and_stray(self, info: TableInfo, index: Index) -> Iterator[str]:
        for number, stored_key, id in self._scan((index.number, b"", "")):
            if number != index.number:
                break
            row = self._engine.get(id)
            if row is None:
                yield f"an entry points to document {id}, which is not there"
            elif _key(info, index, id, row[1]) != stored_key:
                yield f"an entry of document {id} is not what the document says"
        for id, text in stored_documents(self._engine, info.name):
            key = _key(info, index, id, text)
            at = (index.number, key or b"", id)
            if key is not None and [tuple(row) for row in self._engine.entries(at, 1)] != [at]:
                yield f"document {id} has no entry"
