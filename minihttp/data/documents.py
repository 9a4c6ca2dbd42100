# SPDX-License-Identifier: MIT
"""`ctx.db`: reading and writing documents (`docs/convex.md` §4).

A Reader has no `insert`: what may not be done is not there. Every write is checked here: the table's name,
the schema, the rules of values, the limits; and its index entries are worked out. Knows the engine only as
`backend.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import DocumentError, LimitError, ValidationError, no_attribute
from ..limits import Limits
from ..values import dumps, dumps_changed, largest_part, loads, show, stored_text
from . import ids
from .catalog import Document, TableInfo, Tables, make_document
from .query import Query
from .transaction import SYSTEM_LIMITS, EngineTransaction

if TYPE_CHECKING:
    from .backend import Entry, Guard

_WRITING = ("insert", "patch", "replace", "delete")
_WORDS_OF_OTHERS = {  # of databases that people know
    "update": "write patch(id, {…}) for some fields, replace(id, {…}) for all",
    "save": "write insert(table, {…}), patch(id, {…}) or replace(id, {…})",
    "add": "write insert(table, {…})",
    "create": "write insert(table, {…})",
    "remove": "write delete(id)",
    "find": 'write query("table").with_index(…).collect(), or get(id)',
    "select": 'write query("table").with_index(…).collect()',
    "all": 'write query("table").collect()',
    "execute": 'there is no SQL: write query("table").with_index(…).collect()',
    "commit": "a mutation commits when it returns, and undoes everything when it raises",
    "rollback": "a mutation undoes everything when it raises",
}
_SYSTEM_FIELDS = ("_id", "_creationTime")
_EXPIRED_AT_ONCE = 100


class Reader:
    """Documents, for reading. Every call counts against the transaction's deadline.

    Args:
        limits: of one document.
        counted: whether what is read and written counts against the transaction's limits.
    """

    def __init__(self, transaction: EngineTransaction, tables: Tables, limits: Limits, counted: bool) -> None:
        self._transaction = transaction
        self._tables = tables
        self._limits = limits
        self._counted = counted

    if not TYPE_CHECKING:  # so that type checkers find what is not there

        def __getattr__(self, name: str) -> Any:
            hint = _WORDS_OF_OTHERS.get(name, "")
            if name in _WRITING:
                hint = "a query only reads documents; a mutation can change them"
            elif not hint and name in (table.name for table in self._tables):
                hint = f'it is a table: write query("{name}"), insert("{name}", {{…}}), get(id)'
            raise no_attribute(self, name, hint)

    def get(self, *where: str) -> Document | None:
        """`get(id)` or `get(table, id)`: the document, or None if there is none (any more).

        Raises:
            DocumentError: for what is not an id, or not one of that table.
        """
        id = self._document_id("get", where)
        row = self._row(id)
        if row is None or not self._tables.admits(row[0]):
            return None
        self._count_read(row)
        return make_document(id, row[1])

    def query(self, table: str) -> Query:
        """A query over the documents of a table.

        Raises:
            DocumentError: for a table that is not in the schema; without a schema it is empty.
        """
        return Query(self._transaction, self._tables.named(table), self._counted)

    def normalize_id(self, table: str, text: object) -> str | None:
        """The text, if it has the form of an id of that table, else None."""
        info = self._tables.named(table)
        return str(text) if ids.is_id(text) and str(text).startswith(info.tag) else None

    @property
    def system(self) -> Reader:
        """`_storage` and `_scheduled_functions`, for reading."""
        return Reader(self._transaction, self._transaction.catalog.public_system, self._limits, True)

    def _row(self, id: str) -> tuple[str, str] | None:
        if self._counted:
            self._transaction.count_range()
        return self._transaction.engine.get(id)

    def _count_read(self, row: tuple[str, str]) -> None:
        if self._counted:
            self._transaction.count_read(len(row[1]))

    def _document_id(self, operation: str, where: tuple[Any, ...]) -> str:
        if not 1 <= len(where) <= 2:
            raise TypeError(f"db.{operation} takes an id, or a table and an id")
        id: str = where[-1]
        if not ids.is_id(id):
            got = type(id).__name__
            wrong = "Unable to decode ID" if isinstance(id, str) else f"expected string but got '{got}'"
            raise DocumentError(
                "InvalidArgument", f"Invalid argument `id` for `db.{operation}`, {wrong}: {show(id)}"
            ).refusing(id)
        self._tables.check_side(id, operation)
        if len(where) == 2:
            table = self._tables.named(where[0])
            if not id.startswith(table.tag):
                other = ids.table_of(id) or "?"
                raise DocumentError(
                    "InvalidTable", f'expected to be an Id<"{table.name}">, got Id<"{other}"> instead.'
                ).refusing(id)
        return id


class PreparedDocument:
    """A document with all that the engine wants to know of it.

    Args:
        info: its table.
        fields: without the system fields.
        limits: of one document.
        guard: of the catalog that `info` is from, where it is prepared before its transaction.
        json: their text, where it is known and the table has no validator.

    Raises:
        ValidationError: when it does not match the schema or is not made of Convex values.
        LimitError: when it is too large.
    """

    __slots__ = ("entries", "guard", "id", "json", "size_bytes", "table")

    def __init__(
        self,
        info: TableInfo,
        id: str,
        fields: Document,
        limits: Limits,
        guard: Guard | None = None,
        json: str | None = None,
    ) -> None:
        self.id = id
        self.guard = guard
        self.table = info.name
        checked = _checked(info, fields)
        self.json = json = dumps(checked, limits) if json is None else json
        self.size_bytes = len(json) if json.isascii() else len(json.encode())
        if self.size_bytes > limits.max_document_bytes:
            raise LimitError(
                "DocumentTooLarge",
                f"Document is too large ({self.size_bytes} bytes > maximum size {limits.max_document_bytes})",
            ).refusing(largest_part(checked))
        self.entries = info.entries(id, checked) if info.stored else []


class Writer(Reader):
    """Documents, for reading and writing."""

    def insert(self, table: str, document: Document) -> str:
        """Store a new document and return its id.

        Raises:
            ValidationError: when it does not match the schema or is not made of Convex values.
            DocumentError: for a table that may not be written.
            LimitError: when it is too large, or the transaction has written too much.
        """
        info = self._tables.writable(table)
        fields = self._fields("insert", document)
        id = self._transaction.catalog.ids.make(info.tag)
        return self.add(PreparedDocument(info, id, fields, self._limits))

    def add(self, prepared: PreparedDocument) -> str:
        """Store a new document that was prepared before (`Database.prepare`), and return its id."""
        transaction = self._transaction
        if self._counted:
            transaction.count_write(prepared.size_bytes)
        entries = prepared.entries if prepared.guard is None else self._entries(prepared)
        transaction.engine.put(prepared.id, prepared.table, prepared.json, entries, ())
        return prepared.id

    def add_new(self, prepared: PreparedDocument) -> bool:
        """As `add`, unless there is a document of its id already; whether it was stored."""
        self._count_write(prepared.size_bytes)
        entries = self._entries(prepared)
        return self._transaction.engine.insert(prepared.id, prepared.table, prepared.json, entries)

    def _entries(self, prepared: PreparedDocument) -> list[Entry]:
        if prepared.guard is None or prepared.guard == self._transaction.catalog.guard:
            return prepared.entries
        # There are other indexes by now.
        return self._tables.writable(prepared.table).entries(prepared.id, loads(prepared.json))

    def patch(self, *where_and_fields: Any) -> None:
        """`patch(id, fields)` or `patch(table, id, fields)`: set some fields; UNSET removes one.

        A None removes an optional field whose validator does not accept null. Objects and arrays are replaced
        whole.

        Raises:
            DocumentError: for no such document; otherwise as `insert`.
        """
        info, old, fields = self._change("patch", "Update", where_and_fields)
        self._store(info, old, {**_own_fields(old), **fields})

    def trust(self, document: Document) -> None:
        """Take a document of the framework's to be so, by the word of one who has it to himself; see
        `Writing.trust`."""
        id = document["_id"]
        info = self._tables.named(ids.table_of(id))
        self._transaction.engine.trust(id, info.name, dumps(_own_fields(document), self._limits))

    def rewrite(self, old: Document, changes: Document) -> Document:
        """As `patch`, of a document of the framework's that this transaction has read, and not written since.

        What is not changed stays as it was stored, also where the values in memory were given to a function
        of the user's.

        Returns:
            The document as it is then.
        """
        new, text = {**old, **changes}, stored_text(old)
        json = None if text is None else dumps_changed(text, changes, self._limits)
        fields = _own_fields(new) if json is None else new
        self._store(self._tables.named(ids.table_of(old["_id"])), old, fields, json)
        return new

    def replace(self, *where_and_document: Any) -> None:
        """`replace(id, document)` or `replace(table, id, document)`: all of it but its id and time.

        Raises:
            DocumentError: for no such document; otherwise as `insert`.
        """
        info, old, fields = self._change("replace", "Replace", where_and_document)
        self._store(info, old, fields)

    def delete(self, *where: str) -> None:
        """`delete(id)` or `delete(table, id)`.

        Raises:
            DocumentError: for no such document.
        """
        info, old = self._existing("delete", "Delete", where)
        self._count_write(0)
        self._transaction.engine.delete(old["_id"], info.entries(old["_id"], old))

    def _count_write(self, size_bytes: int) -> None:
        if self._counted:
            self._transaction.count_write(size_bytes)

    def _change(
        self, operation: str, verb: str, arguments: tuple[Any, ...]
    ) -> tuple[TableInfo, Document, Document]:
        if len(arguments) < 2:
            raise TypeError(f"db.{operation} takes an id and a value, or a table, an id and a value")
        info, old = self._existing(operation, verb, arguments[:-1])
        return info, old, self._fields(operation, arguments[-1], old)

    def _existing(self, operation: str, verb: str, where: tuple[Any, ...]) -> tuple[TableInfo, Document]:
        id = self._document_id(operation, where)
        row = self._row(id)
        if row is None or not (self._tables.admits(row[0]) or row[0].startswith("_")):
            missing = DocumentError("DocumentNotFound", f"{verb} on nonexistent document ID {id}")
            raise missing.refusing(id)
        self._count_read(row)
        return self._tables.writable(row[0]), make_document(id, row[1])

    def _fields(self, operation: str, document: Any, old: Document | None = None) -> Document:
        """The document without its system fields, which may only be given as they are."""
        if not isinstance(document, dict):
            raise ValidationError(f"db.{operation} takes a document as a dict, not {show(document)}")
        reserved = [name for name in document if isinstance(name, str) and name.startswith("_")]
        for name in reserved:
            if name not in _SYSTEM_FIELDS or old is None:
                raise ValidationError(
                    f"Field name {show(name)} starts with '_', which is reserved for system fields"
                    f" (db.{operation})"
                )
            if document[name] != old[name]:
                raise ValidationError(
                    f"db.{operation} cannot change {name} from {show(old[name])} to {show(document[name])}"
                )
        return {name: document[name] for name in document if name not in reserved} if reserved else document

    def _store(self, info: TableInfo, old: Document, fields: Document, json: str | None = None) -> None:
        prepared = PreparedDocument(info, old["_id"], fields, self._limits, json=json)
        self._count_write(prepared.size_bytes)
        add, gone = prepared.entries, info.entries(prepared.id, old)
        if gone:
            add, gone = [x for x in add if x not in gone], [x for x in gone if x not in add]
        self._transaction.engine.put(prepared.id, prepared.table, prepared.json, add, gone)


class Transaction(EngineTransaction):
    """A transaction with its documents; each view of them is made for who asks: most ask for one.

    Attributes:
        db: what a function sees as `ctx.db`: a Writer in a mutation, else a Reader.
    """

    _db: Any = None
    _system: Writer | None = None

    @property
    def db(self) -> Any:
        db = self._db
        if db is None:
            kind = Writer if self.writable else Reader
            db = self._db = kind(self, self.catalog.user, self.limits, True)
        return db

    @property
    def reader(self) -> Reader:
        """As `db`, for reading only."""
        return Reader(self, self.catalog.user, self.limits, True) if self.writable else self.db

    @property
    def system(self) -> Writer:
        """The system tables, not held to document limits; in a transaction that only reads a Reader."""
        system = self._system
        if system is None:
            kind: type[Any] = Writer if self.writable else Reader
            system = self._system = kind(self, self.catalog.system, SYSTEM_LIMITS, False)
        return system

    def rows_where(self, table: str, field: str, value: Any) -> Query:
        """The documents of a system table with this value in a field, with which its index `by_<field>`
        begins."""
        return self.system.query(table).with_index(f"by_{field}", lambda q: q.eq(field, value))

    def expired(self, table: str, index: str, field: str) -> list[Document]:
        """Some of the documents of a system table whose moment in a field, with which the index begins, has
        passed: not all, for a transaction holds the one write lock."""
        rows = self.system.query(table).with_index(index, lambda q: q.lte(field, self.now))
        return rows.take(_EXPIRED_AT_ONCE)


def _own_fields(document: Document) -> Document:
    return {name: value for name, value in document.items() if name not in _SYSTEM_FIELDS}


def _checked(info: TableInfo, fields: Document) -> Document:
    if info.validator is None:
        return fields
    try:
        checked: Document = info.validator.check(fields)
    except ValidationError as error:
        raise ValidationError(
            f'Failed to insert or update a document in table "{info.name}" '
            f"because it does not match the schema: {error}"
        ) from None
    return checked
