# SPDX-License-Identifier: MIT
"""Export: everything that is stored, as of one moment, as the entries of an archive.

Stored text is already Convex's encoded JSON, so a document is copied, not parsed. With `convex_ids` the ids
are written as Convex spells them, so that `npx convex import` takes the snapshot. Knows no ZIP format.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import IO, TYPE_CHECKING, Any, Final

from ..data import ids
from ..data.migration import Tick, stored_documents, stored_tables
from ..errors import StorageUnavailableError
from .archive import ArchiveWriter
from .convex import write_id

if TYPE_CHECKING:
    from ..data.backend import Reading
    from ..data.database import Database
    from ..data.documents import Transaction
    from ..files.storage import FileStore

REBUILT: Final = frozenset(
    ("_catalog", "_indexes", "_checked", "_file_stores", "_file_deletions", "_storage", "_imports")
)
"""System tables that are not copied row by row: an import makes them anew, from what it reads."""
_FIRST_TABLE_NUMBER: Final = 10_001  # as in Convex, where user tables begin there
_BLOCK_BYTES: Final = 256 * 1024


def export_snapshot(
    database: Database,
    files: FileStore,
    out: IO[bytes],
    *,
    version: str,
    system: bool = False,
    convex_ids: bool = False,
    tick: Tick = lambda what, done, total: None,
) -> dict[str, Any]:
    """Write one snapshot of the database and the files that it names; returns the manifest.

    Args:
        out: a file open for writing; it need not be able to seek.
        version: of minihttp, for the manifest.
        system: whether jobs, deliveries, keys and the database's secret go along: then it is a backup.
        convex_ids: write ids in Convex's form, wherever one of ours stands.
        tick: told how far it is.

    Raises:
        StorageUnavailableError: a file's bytes are missing or damaged; the snapshot is not whole then.
    """

    def run(transaction: Transaction) -> dict[str, Any]:
        tables = database.schema.tables if database.schema else {}
        schema = {
            name: {"documents": str(table.validator), "indexes": table.indexes}
            for name, table in tables.items()
        }
        facts = {"minihttp": version, "created": database.clock(), "system": system, "schema": schema}
        with ArchiveWriter(out) as writer:
            _Export(transaction.engine, files, writer, database, tick, convex_ids).run(system)
            return writer.close(**facts)

    return database.read(run)


class _Export:
    def __init__(
        self,
        engine: Reading,
        files: FileStore,
        writer: ArchiveWriter,
        database: Database,
        tick: Tick,
        convex_ids: bool,
    ) -> None:
        self._engine = engine
        self._files = files
        self._writer = writer
        self._tick = tick
        declared = database.schema.tables if database.schema else {}
        self._stored = stored_tables(engine)
        self._tables = sorted({*declared, *(name for name in self._stored if not name.startswith("_"))})
        self._numbers = {
            ids.table_tag(name): number for number, name in enumerate(self._tables, _FIRST_TABLE_NUMBER)
        }
        self._numbers[ids.table_tag("_storage")] = 1  # no user table's
        self._respell = self._convex_spelling if convex_ids else None

    def run(self, system: bool) -> None:
        numbered = enumerate(self._tables, _FIRST_TABLE_NUMBER)
        rows = [{"name": name, "id": number} for number, name in numbered]
        self._add_lines("_tables/documents.jsonl", [json.dumps(row).encode() for row in rows])
        for name in self._tables:
            self._add_table(f"{name}/documents.jsonl", name)
        for name in self._stored if system else ():
            if name.startswith("_") and name not in REBUILT:
                self._add_table(f"_minihttp/tables/{name}/documents.jsonl", name)
        self._add_lines("_storage/documents.jsonl", map(self._storage_line, self._metadata()))
        total = self._count("_storage")
        for done, document in enumerate(self._metadata()):
            self._tick("files", done, total)
            self._add_file(document)

    def _metadata(self) -> Iterator[dict[str, Any]]:
        for id, text in stored_documents(self._engine, "_storage"):
            yield {**json.loads(text), "_id": id}

    def _count(self, table: str) -> int:
        tag = ids.table_tag(table)
        return self._engine.count(tag, tag + ids.ABOVE, 2**62)

    def _add_table(self, entry: str, table: str) -> None:
        def lines() -> Iterator[bytes]:
            total = self._count(table)
            for done, (id, text) in enumerate(stored_documents(self._engine, table)):
                if done % 1_000 == 0:
                    self._tick(table, done, total)
                yield self._line(id, text)

        self._add_lines(entry, lines())

    def _add_lines(self, entry: str, lines: Iterable[bytes]) -> None:
        count = 0

        def counted() -> Iterator[bytes]:
            nonlocal count
            for line in lines:
                count += 1
                yield line

        self._writer.add(entry, _joined(counted()))
        self._writer.entries[entry]["documents"] = count

    def _line(self, id: str, text: str) -> bytes:
        head = f'{{"_creationTime":{ids.microseconds(id) / 1000!r},"_id":"{id}"'
        line = head + ("," + text[1:] if text != "{}" else "}")
        if self._respell is None:
            return line.encode()
        return json.dumps(self._respell(json.loads(line)), ensure_ascii=False, separators=(",", ":")).encode()

    def _storage_line(self, document: dict[str, Any]) -> bytes:
        """As Convex writes it; `internalId` is the UUID of the file's URL."""
        key = document.pop("key")
        uuid = "-".join((key[:8], key[8:12], key[12:16], key[16:20], key[20:]))
        line = {**document, "_creationTime": ids.microseconds(document["_id"]) / 1000, "internalId": uuid}
        return json.dumps(line if self._respell is None else self._respell(line)).encode()

    def _add_file(self, document: dict[str, Any]) -> None:
        id = document["_id"] if self._respell is None else self._respell(document["_id"])
        entry = f"_storage/{id}"
        with closing(self._files.open(document)) as blob:
            blocks = iter(lambda: blob.read(_BLOCK_BYTES), b"")
            self._writer.add(entry, blocks, compressed=False)
        found = self._writer.entries[entry]["sha256"]
        if found != base64.b64decode(document["sha256"]).hex():
            raise StorageUnavailableError(
                f"the bytes of file {document['_id']} (blob {document['key']}) are damaged: their SHA-256 is"
                f" {found}; `check` lists every such file"
            )

    def _convex_spelling(self, value: Any) -> Any:
        """The same value with each id of a table here as an id of Convex."""
        if isinstance(value, str):
            number = self._numbers.get(value[: ids.TAG_LENGTH]) if ids.is_id(value) else None
            return value if number is None else write_id(number, hashlib.sha256(value.encode()).digest()[:16])
        if isinstance(value, list):
            return [self._convex_spelling(item) for item in value]
        if isinstance(value, dict):
            return {self._convex_spelling(name): self._convex_spelling(item) for name, item in value.items()}
        return value


def _joined(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Lines in blocks: compressing each alone would take twice as long."""
    block: list[bytes] = []
    size = 0
    for line in lines:
        block.append(line)
        size += len(line)
        if size >= _BLOCK_BYTES:
            yield b"\n".join([*block, b""])
            block, size = [], 0
    if block:
        yield b"\n".join([*block, b""])
