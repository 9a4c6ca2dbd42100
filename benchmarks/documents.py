# SPDX-License-Identifier: MIT
"""Documents in process, every commit synced (synchronous=FULL): raw sqlite3, SQLAlchemy Core, peewee,
minihttp.

    python benchmarks/documents.py [--documents 2000] [--rounds 5] [--directory DIR]

insert: rows of about 300 bytes with one index, one a transaction, by one thread and by eight. get: one row by
its
    key, in a transaction of its own. range: 30 rows along the index, in one transaction. minihttp checks each
    document against its schema on the way in; the others check nothing. Each row comes back as a dict. Rounds
    are interleaved, medians are printed, ratios count. A peer that is missing is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from minihttp.data.database import Database
from minihttp.data.schema import Schema, Table
from minihttp.data.validators import v
from storage_backends.sqlite import DocumentBackend

NAMES, RANGE_ROWS, WRITERS = 50, 30, 8
COLUMNS = ("name", "email", "age", "active", "tags", "body")
Row = dict[str, Any]


def row(n: int) -> Row:
    return {
        "name": f"name {n % NAMES}",
        "email": f"somebody{n}@example.com",
        "age": 20.5 + n % 60,
        "active": n % 2 == 0,
        "tags": ["red", "green"],
        "body": "x" * 180,
    }


class Raw:
    """What plain sqlite3 can do: columns, `tags` as JSON text, a random key as text."""

    name = "raw sqlite3"

    def __init__(self, directory: str) -> None:
        self._connection = sqlite3.connect(
            os.path.join(directory, "raw.db"), isolation_level=None, check_same_thread=False
        )
        for statement in (
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = FULL",
            "CREATE TABLE rows (id TEXT PRIMARY KEY, name TEXT, email TEXT, age REAL, active, tags, body)",
            "CREATE INDEX by_name ON rows (name)",
        ):
            self._connection.execute(statement)
        self._lock = threading.Lock()

    def insert(self, item: Row) -> str:
        id = os.urandom(16).hex()
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            values = (id, *(json.dumps(item[c]) if c == "tags" else item[c] for c in COLUMNS))
            self._connection.execute("INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?, ?)", values)
            self._connection.execute("COMMIT")
        return id

    def get(self, id: str) -> Row:
        found = self._connection.execute("SELECT * FROM rows WHERE id = ?", (id,)).fetchone()
        return self._dict(found)

    def range(self, name: str) -> list[Row]:
        found = self._connection.execute("SELECT * FROM rows WHERE name = ? LIMIT ?", (name, RANGE_ROWS))
        return [self._dict(values) for values in found]

    def _dict(self, values: Any) -> Row:
        item = dict(zip(("id", *COLUMNS), values, strict=True))
        item["tags"] = json.loads(item["tags"])
        return item

    def close(self) -> None:
        self._connection.close()


class Alchemy:
    name = "SQLAlchemy Core"

    def __init__(self, directory: str) -> None:
        import sqlalchemy as sa

        self._sa = sa
        path = os.path.join(directory, "alchemy.db")
        self._engine = sa.create_engine(f"sqlite:///{path}")

        @sa.event.listens_for(self._engine, "connect")
        def pragmas(connection: Any, record: Any) -> None:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA busy_timeout = 30000")

        columns = [
            sa.Column("name", sa.String, index=True),
            sa.Column("email", sa.String),
            sa.Column("age", sa.Float),
        ]
        columns += [sa.Column("active", sa.Boolean), sa.Column("tags", sa.JSON), sa.Column("body", sa.String)]
        self._table = sa.Table("rows", sa.MetaData(), sa.Column("id", sa.String, primary_key=True), *columns)
        self._table.metadata.create_all(self._engine)

    def insert(self, item: Row) -> str:
        id = os.urandom(16).hex()
        with self._engine.begin() as connection:
            connection.execute(self._table.insert().values(id=id, **item))
        return id

    def get(self, id: str) -> Row:
        with self._engine.connect() as connection:
            found = (
                connection.execute(self._sa.select(self._table).where(self._table.c.id == id))
                .mappings()
                .one()
            )
            return dict(found)

    def range(self, name: str) -> list[Row]:
        query = self._sa.select(self._table).where(self._table.c.name == name).limit(RANGE_ROWS)
        with self._engine.connect() as connection:
            return [dict(found) for found in connection.execute(query).mappings()]

    def close(self) -> None:
        self._engine.dispose()


class Peewee:
    name = "peewee"

    def __init__(self, directory: str) -> None:
        import peewee

        pragmas = {"journal_mode": "wal", "synchronous": "full", "busy_timeout": 30_000}
        self._database = peewee.SqliteDatabase(os.path.join(directory, "peewee.db"), pragmas=pragmas)

        class Item(peewee.Model):  # type: ignore[misc]
            id = peewee.TextField(primary_key=True)
            name = peewee.TextField(index=True)
            email = peewee.TextField()
            age = peewee.FloatField()
            active = peewee.BooleanField()
            tags = peewee.TextField()
            body = peewee.TextField()

            class Meta:
                database = self._database

        self._model = Item
        self._database.create_tables([Item])

    def insert(self, item: Row) -> str:
        id = os.urandom(16).hex()
        with self._database.atomic("IMMEDIATE"):
            self._model.insert(id=id, **{**item, "tags": json.dumps(item["tags"])}).execute()
        return id

    def get(self, id: str) -> Row:
        return self._dict(self._model.select().where(self._model.id == id).dicts().get())

    def range(self, name: str) -> list[Row]:
        query = self._model.select().where(self._model.name == name).limit(RANGE_ROWS)
        return [self._dict(found) for found in query.dicts()]

    def _dict(self, found: Row) -> Row:
        return {**found, "tags": json.loads(found["tags"])}

    def close(self) -> None:
        self._database.close_all() if hasattr(self._database, "close_all") else self._database.close()


class Minihttp:
    name = "minihttp"

    def __init__(self, directory: str) -> None:
        fields = {"name": v.string(), "email": v.string(), "age": v.number(), "active": v.boolean()}
        fields |= {"tags": v.array(v.string()), "body": v.string()}
        schema = Schema(rows=Table(fields).index("by_name", ["name"]))
        self._database = Database(DocumentBackend(os.path.join(directory, "minihttp", "app.db")), schema)

    def insert(self, item: Row) -> str:
        return self._database.write(lambda t: t.db.insert("rows", item), time_limit_seconds=1)

    def get(self, id: str) -> Row:
        return self._database.read(lambda t: t.db.get(id), time_limit_seconds=1) or {}

    def range(self, name: str) -> list[Row]:
        return self._database.read(
            lambda t: t.db.query("rows").with_index("by_name", lambda q: q.eq("name", name)).take(RANGE_ROWS),
            time_limit_seconds=1,
        )

    def close(self) -> None:
        self._database.close()


PEERS = (Raw, Alchemy, Peewee, Minihttp)


def rate(count: int, call: Callable[[int], object]) -> float:
    began = time.perf_counter()
    for n in range(count):
        call(n)
    return count / (time.perf_counter() - began)


def rate_of_threads(count: int, call: Callable[[int], object]) -> float:
    threads = [
        threading.Thread(target=lambda: [call(n) for n in range(count // WRITERS)]) for _ in range(WRITERS)
    ]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return count / (time.perf_counter() - began)


def measure(peer: Any, documents: int) -> dict[str, float]:
    """Operations per second; of the range, rows per second."""
    ids: list[str] = []
    found = {"insert": rate(documents, lambda n: ids.append(peer.insert(row(n))))}
    assert peer.get(ids[0])["tags"] == ["red", "green"] and len(peer.range("name 1")) == RANGE_ROWS
    found["get"] = rate(documents * 4, lambda n: peer.get(ids[n % documents]))
    found["range, rows"] = RANGE_ROWS * rate(documents // 2, lambda n: peer.range(f"name {n % NAMES}"))
    found[f"insert, {WRITERS} threads"] = rate_of_threads(documents, lambda n: peer.insert(row(n)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--documents", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--directory")
    args = parser.parse_args()
    rates: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for _ in range(args.rounds):
        for peer_class in PEERS:
            with tempfile.TemporaryDirectory(dir=args.directory) as directory:
                try:
                    peer = peer_class(directory)
                except ImportError:
                    continue
                for what, found in measure(peer, args.documents).items():
                    rates[peer_class.name][what].append(found)
                peer.close()
    columns = list(rates[Raw.name])
    print(f"| per second | {' | '.join(columns)} |")
    print("|---|" + "---:|" * len(columns))
    base = {what: statistics.median(rates[Raw.name][what]) for what in columns}
    for name, found in rates.items():
        cells = [(statistics.median(found[what]), base[what]) for what in columns]
        print(f"| {name} |", " | ".join(f"{middle:,.0f} ({middle / raw:.2f}×)" for middle, raw in cells), "|")


if __name__ == "__main__":
    main()
