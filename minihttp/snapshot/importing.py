# SPDX-License-Identifier: MIT
"""Import: a snapshot into the tables of an app, each table in one transaction, each file checked.

What is done is noted in `_imports`, so that an import that was killed goes on where it was when it is run
again; the note goes with the last step, and until then `check` says that it is unfinished. Ids of Convex
become ids of ours that carry the same creation time; the same id always becomes the same.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from ..data import ids
from ..data.catalog import TableInfo, make_document
from ..data.documents import PreparedDocument
from ..data.migration import Tick, stored_documents
from ..data.transaction import SYSTEM_LIMITS
from ..data.walks import map_ids
from ..errors import LimitError, MinihttpError, SnapshotError, ValidationError
from ..files.measured import Measured
from .archive import Archive
from .convex import decoder, read_id
from .export import REBUILT

if TYPE_CHECKING:
    from ..data.database import Database
    from ..data.documents import Transaction
    from ..files.storage import FileStore

MODES = ("empty", "append", "replace")
_BATCH = 500
_MAX_LISTED = 20
_is_uuid = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch
_STORAGE = "_storage"
_UNREADABLE = (ValueError, TypeError, AttributeError, KeyError, RecursionError)  # of a line of JSON


class Imported(NamedTuple):
    """What an import did, or would do."""

    documents: dict[str, int]
    """How many, by table; files count as those of `_storage`."""
    bytes: int
    resumed: list[str]
    """Tables that an earlier, interrupted import of the same snapshot had finished."""
    dangling: list[str]
    """The first references to documents that are not in the snapshot, as `table id: reference`, and how many
    more there are."""
    skipped: list[str]
    """What is in the snapshot and was not read."""


def import_snapshot(
    archive: Archive,
    database: Database,
    files: FileStore,
    *,
    mode: str = "empty",
    system: bool = False,
    dry_run: bool = False,
    tick: Tick = lambda what, done, total: None,
) -> Imported:
    """Read a snapshot, ours or Convex's, into the app.

    Args:
        mode: "empty" refuses a table that has documents, "append" adds to it, "replace" removes them first.
        system: whether jobs, deliveries, keys and the secret of a backup are taken too.
        dry_run: check every document and file, and write nothing.
        tick: told how far it is.

    Raises:
        SnapshotError: the snapshot is damaged, or does not fit this app; the table it came to is as it was.
        StorageFullError and its kin: run it again to go on.
    """
    with closing(sqlite3.connect("")) as known:  # a temporary file, made when something is put into it
        return _Import(archive, database, files, mode, system, dry_run, tick, known).run()


class _Import:
    def __init__(
        self,
        archive: Archive,
        database: Database,
        files: FileStore,
        mode: str,
        system: bool,
        dry_run: bool,
        tick: Tick,
        known: sqlite3.Connection,
    ) -> None:
        self._archive = archive
        self._database = database
        self._files = files
        self._mode = mode
        self._dry_run = dry_run
        self._tick = tick
        self._ids = None if archive.manifest else _ConvexIds(archive, tick, known)
        self._note_name = f"{archive.fingerprint} {mode}"
        self._makes_ids = bool(archive.manifest and archive.manifest.get("rows"))  # rows of a user's own file
        self._bytes = 0
        self._keys: set[str] = set()  # of the blobs that the snapshot's files have
        self._tables = [name for name in archive.tables if not name.startswith("_")]
        if system:
            inner = (name for name in archive.tables if name.startswith("_") and name != "_tables")
            self._tables += [name for name in inner if name not in REBUILT]
        elif archive.manifest is None:
            others = (n for n in archive.tables if n.startswith("_") and n not in ("_tables", _STORAGE))
            archive.skipped += [archive.tables[name] for name in others]

    def run(self) -> Imported:
        done = self._database.read(self._done)
        if not done and not self._dry_run:
            self._database.write(self._finish)  # what another run left says nothing about this one
        todo = [name for name in (_STORAGE, *self._tables) if name not in done]
        self._database.read(partial(self._check_targets, todo))
        counts = dict(done)
        for name in todo:
            if name == _STORAGE and _STORAGE not in self._archive.tables:
                continue
            counts[name] = self._files_of(name) if name == _STORAGE else self._table(name)
        if not self._dry_run:
            self._database.write(self._finish)
        dangling = self._ids.dangling if self._ids else []
        return Imported(counts, self._bytes, sorted(done), dangling, self._archive.skipped)

    # ------------------------------------------------------------ before and after

    def _done(self, transaction: Transaction) -> dict[str, int]:
        """The tables that an interrupted import of this snapshot has finished."""
        rows = transaction.system.query("_imports").collect()
        return {row["table"]: int(row["documents"]) for row in rows if row["snapshot"] == self._note_name}

    def _check_targets(self, names: list[str], transaction: Transaction) -> None:
        """Refuse before anything is written: tables that are not declared, or that have documents."""
        for name in names:
            try:
                info = self._info(transaction, name)
            except MinihttpError as error:
                raise SnapshotError(f"{self._archive.path}: {error}") from None
            is_full = transaction.engine.count(info.tag, info.tag + ids.ABOVE, 1)
            if is_full and self._mode == "empty" and not name.startswith("_"):
                raise SnapshotError(
                    f"table {name!r} has documents: --append adds to them, --replace removes them first"
                )

    def _finish(self, transaction: Transaction) -> None:
        for row in transaction.system.query("_imports").collect():
            transaction.system.delete(row["_id"])

    def _info(self, transaction: Transaction, name: str) -> TableInfo:
        if name == "_settings":  # the database's own, which no room declares
            return TableInfo(name)
        catalog = transaction.catalog
        return (catalog.system if name.startswith("_") else catalog.user).writable(name)

    # ------------------------------------------------------------ documents

    def _table(self, name: str) -> int:
        """One table, in one transaction; returns how many documents it had."""
        entry = self._archive.tables[name]
        total = self._archive.facts(entry).get("documents", 0)

        def run(transaction: Transaction) -> int:
            info = self._info(transaction, name)
            if self._mode == "replace" or name.startswith("_"):
                self._remove_all(transaction, info)
            count = 0
            for document in self._documents(info, name, transaction.catalog.ids.make):
                self._put(transaction, document, count)
                count += 1
                if count % _BATCH == 0:
                    self._tick(name, count, total)
            self._note(transaction, name, count)
            return count

        return self._transact(run)

    def _transact(self, run: Callable[[Transaction], int]) -> int:
        return self._database.read(run) if self._dry_run else self._database.write(run, alone=True)

    def _documents(
        self, info: TableInfo, name: str, make_id: Callable[[str], str]
    ) -> Iterator[PreparedDocument]:
        """Each document of a table, checked and with its index entries."""
        entry = self._archive.tables[name]
        schema = entry.removesuffix("documents.jsonl") + "generated_schema.jsonl"
        try:
            read = decoder(self._archive.lines(schema) if schema in self._archive else None)
        except _UNREADABLE as error:
            raise SnapshotError(f"{schema} cannot be read: {error!r}") from None
        place = self._archive.name_of(entry)
        limits = SYSTEM_LIMITS if name.startswith("_") else self._database.limits
        for number, line in enumerate(self._archive.lines(entry), 1):
            try:
                fields = read(line)
                id = fields.pop("_id", None)
                time_ms = fields.pop("_creationTime", None)
                if self._ids is not None:
                    id, fields = self._ids.rewrite(info, name, id, time_ms, fields)
                elif id is None and self._makes_ids:
                    id = make_id(info.tag)
                elif id is None:
                    raise SnapshotError("a document has no _id")
                if not id.startswith(info.tag) or not ids.is_id(id):
                    raise SnapshotError(f"{id!r} is not an id of table {name!r}")
                self._bytes += len(line)
                yield PreparedDocument(info, id, fields, limits)
            except _UNREADABLE as error:
                raise SnapshotError(f"{place}, line {number}, cannot be read: {error}") from None
            except (ValidationError, LimitError, SnapshotError) as error:
                raise SnapshotError(f"{place}, line {number}: {error}") from None

    def _put(self, transaction: Transaction, document: PreparedDocument, count: int) -> None:
        if self._dry_run:
            return
        engine = transaction.engine
        if self._mode == "append" and engine.get(document.id) is not None:
            raise SnapshotError(f"document {document.id} is there already: --replace takes the snapshot's")
        engine.put(document.id, document.table, document.json, document.entries, ())
        if count % _BATCH == 0:
            engine.get("")  # what was put is sent to the engine, not kept in memory

    def _remove_all(self, transaction: Transaction, info: TableInfo) -> None:
        if self._dry_run:
            return
        for id, text in stored_documents(transaction.engine, info.name):
            transaction.engine.delete(id, info.entries(id, make_document(id, text)))

    def _note(self, transaction: Transaction, name: str, count: int) -> None:
        expected = self._archive.facts(self._archive.tables[name]).get("documents", count)
        if count != expected:
            raise SnapshotError(f"table {name!r} has {count} documents, the manifest says {expected}")
        if not self._dry_run:
            row = {"snapshot": self._note_name, "table": name, "documents": count}
            transaction.system.insert("_imports", row)

    # ------------------------------------------------------------ files

    def _files_of(self, name: str) -> int:
        """The stored files: the bytes first, each checked, then all of their documents in one transaction."""
        put: list[str] = []
        replaced: set[str] = set()

        def run(transaction: Transaction) -> int:
            info = self._info(transaction, name)
            if self._mode == "replace":
                replaced.update(row["key"] for row in transaction.system.query(name))
                self._remove_all(transaction, info)
            count = 0
            for count, (id, document, _) in enumerate(self._stored_files(info), 1):
                if self._mode == "replace" or transaction.engine.get(id) is None:
                    self._put(transaction, PreparedDocument(info, id, document, self._database.limits), count)
            self._note(transaction, name, count)
            return count

        try:
            self._put_blobs(self._database.read(lambda transaction: self._info(transaction, name)), put)
            count = self._transact(run)
        except BaseException:
            for key in put:
                self._files.discard(key)
            raise
        if not self._dry_run:
            for key in replaced.difference(self._keys):
                self._files.discard(key)
        return count

    def _stored_files(self, info: TableInfo) -> Iterator[tuple[str, dict[str, Any], str]]:
        """The id and the document of each file, as `_storage` keeps it, and the entry with its bytes."""
        entry = self._archive.tables[info.name]
        for number, line in enumerate(self._archive.lines(entry), 1):
            try:
                row = json.loads(line)
                id, key = row["_id"], str(row.get("internalId"))
                key = key.replace("-", "") if _is_uuid(key) else hashlib.sha256(id.encode()).hexdigest()[:32]
                document = {"sha256": row["sha256"], "size": row["size"], "key": key}
                if row.get("contentType"):
                    document["contentType"] = row["contentType"]
                if self._ids is not None:
                    id = self._ids.ours(id, info.name) or id
            except _UNREADABLE as error:
                raise SnapshotError(f"{entry}, line {number}, does not describe a file: {error!r}") from None
            if row["_id"] not in self._archive.files:
                raise SnapshotError(
                    f"{self._archive.path} has no bytes of file {row['_id']}: export it with its file storage"
                )
            yield id, document, self._archive.files[row["_id"]]

    def _put_blobs(self, info: TableInfo, put: list[str]) -> None:
        total = len(self._archive.files)
        for done, (_, document, entry) in enumerate(self._stored_files(info)):
            self._tick("files", done, total)
            key = document["key"]
            self._keys.add(key)
            self._bytes += int(document["size"])
            checked = self._checked(entry, base64.b64decode(document["sha256"]), document["size"])
            if self._dry_run or self._files.holds(document):
                for _ in checked:
                    pass
                continue
            with self._files.faults("store a file"):
                self._files.backend.put(key, checked)
            put.append(key)

    def _checked(self, entry: str, sha256: bytes, size: float) -> Iterator[bytes]:
        found = Measured(self._archive.chunks(entry))
        yield from found
        if found.sha256.digest() != sha256 or found.size_bytes != size:
            raise SnapshotError(
                f"{self._archive.path}: {entry} is not what its metadata says (size, SHA-256)"
            )


class _ConvexIds:
    """Convex's ids -> ours, in a database of its own that is not kept: memory does not grow with them."""

    def __init__(self, archive: Archive, tick: Tick, known: sqlite3.Connection) -> None:
        self._dangling: list[str] = []
        self._dangling_count = 0
        self._tables: dict[int, str] = {}
        self._known = known
        self._known.execute("CREATE TABLE ids (id TEXT PRIMARY KEY, microseconds INTEGER) WITHOUT ROWID")
        for done, (table, entry) in enumerate(archive.tables.items()):
            tick("ids", done, len(archive.tables))
            if table == "_tables":
                try:
                    rows = (json.loads(line) for line in archive.lines(entry))
                    self._tables.update((row["id"], row["name"]) for row in rows)
                except _UNREADABLE as error:
                    raise SnapshotError(f"{entry} cannot be read: {error!r}") from None
            else:
                self._known.executemany(
                    "INSERT OR REPLACE INTO ids VALUES (?, ?)", self._read(archive, table)
                )

    def _read(self, archive: Archive, table: str) -> Iterator[tuple[str, int]]:
        entry = archive.tables[table]
        for number, line in enumerate(archive.lines(entry), 1):
            try:
                row = json.loads(line)
                id, time_ms = row["_id"], float(row["_creationTime"])
                spelled = read_id(id)
                if spelled is None or not 0 <= time_ms < ids.MAX_MICROSECONDS / 1000:
                    raise ValueError(f"{id!r} at {time_ms!r} is not an id of Convex and its creation time")
            except _UNREADABLE as error:
                raise SnapshotError(f"{entry}, line {number}: {error}") from None
            self._tables.setdefault(spelled[0], table)
            yield id, int(time_ms * 1000)

    @property
    def dangling(self) -> list[str]:
        """The first references that point to nothing in the snapshot, and how many more there are. They
        become ids that point to nothing here."""
        more = self._dangling_count - len(self._dangling)
        return self._dangling + ([f"and {more:,} more"] if more else [])

    def ours(self, id: str, table: str | None) -> str | None:
        """Our id for one of Convex's.

        Args:
            table: the table whose ids are expected; None: of any table, but only one that is in the snapshot.

        Returns:
            None for a text that is no such id, and is left as it is.
        """
        spelled = read_id(id)
        of = self._tables.get(spelled[0], table) if spelled else None  # of a table that was not exported
        if of is None or table not in (None, of):
            return None
        row = self._known.execute("SELECT microseconds FROM ids WHERE id = ?", (id,)).fetchone()
        if row is None and table is None:
            return None
        return ids.derived(of, row[0] if row else 0, id.encode())

    def rewrite(
        self, info: TableInfo, table: str, id: Any, time_ms: Any, fields: dict[str, Any]
    ) -> tuple[str, dict[str, Any]]:
        """A document's id and fields with ids of ours."""

        nowhere: dict[str, str] = {}  # ours -> Convex's; also of members of a union that do not match

        def change(expected: str | None, text: str) -> str:
            found = self.ours(text, expected)
            if found and not ids.microseconds(found):
                nowhere[found] = text
            return found or text

        found = self.ours(id, table)
        if found is None:
            raise SnapshotError(f"{id!r} is not an id of table {table!r}")
        changed: dict[str, Any] = map_ids(info.validator, fields, change)
        if nowhere:
            written = repr(changed)
            for text in (text for ours, text in nowhere.items() if ours in written):
                self._dangling_count += 1
                if self._dangling_count <= _MAX_LISTED:
                    self._dangling.append(f"{table} {id}: {text}")
        return found, changed
