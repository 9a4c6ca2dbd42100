# SPDX-License-Identifier: MIT
"""Documents on PostgreSQL against the same statements through libpq, and against sqlite, per second.

    python -m benchmarks.postgresql [rounds, default 6] [seconds of each run, default 1]

Starts a server of its own with fsync on (that of the tests); it, the app and the raw loop share the
processors of one machine. Raw: one commit for each insert, in as many threads. The runs take turns, so that
other work on the machine meets all of them; a ratio is the median of those of the rounds. Behind each rate
stands the processor time of one call, in microseconds: that of this process and that of the server.
"""

from __future__ import annotations

import itertools
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from minihttp.data.database import Database
from minihttp.data.schema import Schema, Table
from minihttp.data.validators import v

ITEMS = Schema(
    items=Table({"name": v.string(), "n": v.number()}).index("by_n", ["n"]),
    hot=Table({"n": v.number()}),
)
Make = Callable[[int], Callable[[], object]]


def per_second(threads: int, seconds: float, make: Make) -> float:
    """How often the calls of so many threads end in a second."""
    counts, stop = [0] * threads, threading.Event()
    ready = threading.Barrier(threads + 1)

    def work(number: int) -> None:
        call = make(number)
        ready.wait()
        while not stop.is_set():
            call()
            counts[number] += 1

    running = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    ready.wait()
    begun = time.perf_counter()
    time.sleep(seconds)
    stop.set()
    for thread in running:
        thread.join()
    return sum(counts) / (time.perf_counter() - begun)


class Rate(NamedTuple):
    per_second: float
    microseconds: float  # of this process's processor time, a call
    server_microseconds: float


def measured(server: Any, threads: int, seconds: float, make: Make) -> Rate:
    def used() -> tuple[float, float]:
        return time.process_time(), processor_seconds(server.directory)

    before = used()
    begun = time.perf_counter()
    rate = per_second(threads, seconds, make)
    calls = rate * (time.perf_counter() - begun)
    ours, theirs = (1e6 * (after - at) / calls for after, at in zip(used(), before, strict=True))
    return Rate(rate, ours, theirs)


def processor_seconds(directory: Path) -> float:
    """Of a PostgreSQL server and all its processes, also those that have ended (Linux)."""
    try:
        pid = (directory / "postmaster.pid").read_text().split()[0]
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0.0
    ticks = 0
    for one in (pid, *children):
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        ticks += sum(map(int, fields[11 : 15 if one == pid else 13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def raw(server: Any, threads: int) -> dict[str, Make]:
    from psycopg import pq

    place = f"host=127.0.0.1 port={server.port} user=minihttp dbname=minihttp".encode()
    server.execute("CREATE TABLE IF NOT EXISTS raw_d (id text PRIMARY KEY, json text)")
    server.execute("CREATE TABLE IF NOT EXISTS raw_e (k text, id text, PRIMARY KEY (k, id))")
    connections = [pq.PGconn.connect(place) for _ in range(threads)]
    number = itertools.count()

    def calls(text: Callable[[str], str]) -> Make:
        def make(thread: int) -> Callable[[], object]:
            connection = connections[thread]
            return lambda: connection.exec_(text(f"{os.urandom(12).hex()}{next(number)}").encode())

        return make

    insert = (
        "BEGIN; INSERT INTO raw_d VALUES ('{0}', '{{\"name\":\"x\"}}');"
        " INSERT INTO raw_e VALUES ('{0}', '{0}'); COMMIT"
    )
    return {
        "round trip": calls(lambda id: "SELECT 1"),
        "get": calls(lambda id: f"SELECT json FROM raw_d WHERE id = '{id}'"),
        "create": calls(insert.format),
    }


def ours(database: Database) -> dict[str, Make]:
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

    return {"get": get, "create": create, "hot row": hot_row}


def main(rounds: float = 6, seconds: float = 1.0) -> None:
    from storage_backends import postgresql, sqlite
    from tests.postgresql_server import VERSIONS, Server

    server = Server(VERSIONS[0], fsync="on").create()
    print(
        f"PostgreSQL {server.version}, {os.cpu_count()} processors shared by server and clients, per second"
    )
    for threads in (1, 8):
        with tempfile.TemporaryDirectory() as folder:
            databases = {
                "postgresql": Database(postgresql.DocumentBackend(server.location(f"b{threads}")), ITEMS),
                "sqlite": Database(sqlite.DocumentBackend(f"{folder}/app.db"), ITEMS),
            }
            runs = {"raw libpq": raw(server, threads), **{n: ours(each) for n, each in databases.items()}}
            rates: dict[tuple[str, str], list[Rate]] = {
                (what, who): [] for who, calls in runs.items() for what in calls
            }
            for _, (what, who) in itertools.product(range(int(rounds)), sorted(rates)):
                rates[what, who].append(measured(server, threads, seconds, runs[who][what]))
            for database in databases.values():
                database.close()
        _print(threads, rates)
    server.remove()


def _print(threads: int, rates: dict[tuple[str, str], list[Rate]]) -> None:
    for (what, who), found in sorted(rates.items()):
        rate, ours, theirs = map(statistics.median, zip(*found, strict=True))
        line = f"{threads} threads, {what}, {who}: {rate:,.0f}, {ours:.0f} + {theirs:.0f} µs"
        other = "sqlite" if what == "hot row" else "raw libpq"
        if who == "postgresql":
            ratios = sorted(a[0] / b[0] for a, b in zip(found, rates[what, other], strict=True))
            ratio = statistics.median(ratios)
            line += f", {ratio:.2f} of {other} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        print(line, flush=True)


if __name__ == "__main__":
    main(*map(float, sys.argv[1:]))
