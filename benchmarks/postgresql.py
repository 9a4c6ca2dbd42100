# SPDX-License-Identifier: MIT
"""Documents on PostgreSQL against the same statements through libpq, and against sqlite, per second.

    python -m benchmarks.postgresql [seconds of each run, default 2]

Starts a server of its own with fsync on (that of the tests); it, the app and the
raw loop share the processors of one machine. Raw: one commit for each insert, in as many threads.
"""

from __future__ import annotations

import itertools
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any

from minihttp.data.database import Database
from minihttp.data.schema import Schema, Table
from minihttp.data.validators import v

ITEMS = Schema(
    items=Table({"name": v.string(), "n": v.number()}).index("by_n", ["n"]),
    hot=Table({"n": v.number()}),
)


def per_second(threads: int, seconds: float, make: Callable[[int], Callable[[], object]]) -> float:
    """How often the calls of so many threads end in a second."""
    counts, stop = [0] * threads, threading.Event()

    def work(number: int) -> None:
        call = make(number)
        while not stop.is_set():
            call()
            counts[number] += 1

    running = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    begun = time.perf_counter()
    for thread in running:
        thread.start()
    time.sleep(seconds)
    stop.set()
    for thread in running:
        thread.join()
    return sum(counts) / (time.perf_counter() - begun)


def raw(server: Any, threads: int, seconds: float) -> dict[str, float]:
    from psycopg import pq

    place = f"host=127.0.0.1 port={server.port} user=minihttp dbname=minihttp".encode()
    server.execute("CREATE TABLE IF NOT EXISTS raw_d (id text PRIMARY KEY, json text)")
    server.execute("CREATE TABLE IF NOT EXISTS raw_e (k text, id text, PRIMARY KEY (k, id))")

    def calls(text: Callable[[str], str]) -> Callable[[int], Callable[[], object]]:
        def make(number: int) -> Callable[[], object]:
            connection, count = pq.PGconn.connect(place), itertools.count()
            return lambda: connection.exec_(text(f"{os.urandom(12).hex()}{next(count)}").encode())

        return make

    insert = (
        "BEGIN; INSERT INTO raw_d VALUES ('{0}', '{{\"name\":\"x\"}}');"
        " INSERT INTO raw_e VALUES ('{0}', '{0}'); COMMIT"
    )
    return {
        "round trip": per_second(threads, seconds, calls(lambda id: "SELECT 1")),
        "get": per_second(threads, seconds, calls(lambda id: f"SELECT json FROM raw_d WHERE id = '{id}'")),
        "create": per_second(threads, seconds, calls(insert.format)),
    }


def ours(database: Database, threads: int, seconds: float) -> dict[str, float]:
    ids = [
        database.write(lambda t, n=n: t.db.insert("items", {"name": "x" * 50, "n": n})) for n in range(200)
    ]
    hot = database.write(lambda t: t.db.insert("hot", {"n": 0}))
    count = itertools.count()

    def get(number: int) -> Callable[[], object]:
        return lambda: database.read(lambda t: t.db.get(ids[next(count) % 200]))

    def create(number: int) -> Callable[[], object]:
        return lambda: database.write(lambda t: t.db.insert("items", {"name": "x" * 50, "n": next(count)}))

    def hot_row(number: int) -> Callable[[], object]:
        return lambda: database.write(lambda t: t.db.patch(hot, {"n": t.db.get(hot)["n"] + 1}))

    runs = {"get": get, "create": create, "hot row": hot_row}
    return {name: per_second(threads, seconds, make) for name, make in runs.items()}


def main(seconds: float = 2.0) -> None:
    from storage_backends import postgresql, sqlite
    from tests.postgresql_server import VERSIONS, Server

    server = Server(VERSIONS[0], fsync="on").create()
    print(
        f"PostgreSQL {server.version}, {os.cpu_count()} processors shared by server and clients, per second"
    )
    for threads in (1, 8):
        with tempfile.TemporaryDirectory() as folder:
            rows = {"raw libpq": raw(server, threads, seconds)}
            for name, backend in (
                ("postgresql", postgresql.DocumentBackend(server.location(f"b{threads}"))),
                ("sqlite", sqlite.DocumentBackend(f"{folder}/app.db")),
            ):
                database = Database(backend, ITEMS)
                rows[name] = ours(database, threads, seconds)
                database.close()
        for name, row in rows.items():
            numbers = ", ".join(f"{what} {rate:,.0f}" for what, rate in row.items())
            print(f"{threads} threads, {name}: {numbers}", flush=True)
    server.remove()


if __name__ == "__main__":
    main(*map(float, sys.argv[1:]))
