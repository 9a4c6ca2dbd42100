# SPDX-License-Identifier: MIT
"""Job queues on SQLite, every commit synced (synchronous=FULL): raw sqlite3, huey, persist-queue, litequeue,
minihttp.

    python benchmarks/jobs.py [--jobs 1000] [--rounds 5] [--directory DIR]

put: jobs written down per second, by one thread and by eight. take+ack: jobs taken and marked as done per
    second; raw sqlite3 takes the oldest in one commit and deletes it in another. minihttp runs a function
    too: a mutation that does nothing (one commit), an action that does nothing (two). Latency: from the call
    that enqueues to the start of the function in a worker. Rounds are interleaved, medians are printed,
    ratios count. A peer that is missing is left out. At the end: how long `/health` takes over HTTP while
    10,000 due jobs are run.
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from minihttp import App, HttpRouter, Response
from minihttp.data.database import Database
from minihttp.functions.context import CONTEXTS
from minihttp.functions.decorators import internal_action, internal_mutation
from minihttp.functions.registry import Function, Registry
from minihttp.functions.runner import Runner
from minihttp.jobs.jobs import JOB_TABLES, Jobs
from minihttp.server import Server
from storage_backends.sqlite import DocumentBackend

PAYLOAD = {"to": "ada@example.com", "subject": "Welcome", "body": "x" * 200}


class Raw:
    """What plain sqlite3 can do: one table, an index by time."""

    name = "raw sqlite3"

    def __init__(self, directory: Path) -> None:
        self.path = directory / "raw.db"
        self.threads = threading.local()
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute(
            "CREATE TABLE jobs (id INTEGER PRIMARY KEY, due REAL, state TEXT, payload TEXT)"
        )
        self.connection.execute("CREATE INDEX by_due ON jobs (state, due)")

    @property
    def connection(self) -> sqlite3.Connection:
        if not hasattr(self.threads, "connection"):
            self.threads.connection = sqlite3.connect(self.path, timeout=60, isolation_level=None)
            self.threads.connection.execute("PRAGMA synchronous = FULL")
        return self.threads.connection

    def put(self) -> None:
        row = (time.time(), "pending", str(PAYLOAD))
        self.connection.execute("INSERT INTO jobs (due, state, payload) VALUES (?, ?, ?)", row)

    def take(self, count: int) -> None:
        oldest = "SELECT id FROM jobs WHERE state = 'pending' AND due <= ? ORDER BY due LIMIT 1"
        take = f"UPDATE jobs SET state = 'running' WHERE id = ({oldest}) RETURNING id"
        for _ in range(count):
            ((job_id,),) = self.connection.execute(take, (time.time(),)).fetchall()
            self.connection.execute("UPDATE jobs SET state = 'done' WHERE id = ?", (job_id,))


class Huey:
    """Takes at most once: what a worker has taken is gone from the queue."""

    name = "huey"

    def __init__(self, directory: Path) -> None:
        from huey import SqliteHuey

        self.path = str(directory / "huey.db")
        self.huey = SqliteHuey(filename=self.path, fsync=True, results=False)
        self.started: list[float] = []
        self.task = self.huey.task()(lambda to, subject, body: self.started.append(time.perf_counter()))

    def put(self) -> None:
        self.task(**PAYLOAD)

    def take(self, count: int) -> None:
        for _ in range(count):
            self.huey.execute(self.huey.dequeue())

    def latencies(self, count: int) -> list[float]:
        consumer = self.huey.create_consumer(workers=1, check_worker_health=False)
        consumer._set_signal_handlers = lambda: None
        consumer.start()
        try:
            return _latencies(self.put, self.started, count)
        finally:
            consumer.stop(graceful=True)


class PersistQueue:
    name = "persist-queue"

    def __init__(self, directory: Path) -> None:
        from persistqueue import SQLiteAckQueue

        self.queue = SQLiteAckQueue(str(directory / "persist"), multithreading=True)
        for connection in (self.queue._putter, self.queue._getter):
            connection.execute("PRAGMA synchronous = FULL")

    def put(self) -> None:
        self.queue.put(PAYLOAD)

    def take(self, count: int) -> None:
        for _ in range(count):
            self.queue.ack(self.queue.get())


class LiteQueue:
    name = "litequeue"

    def __init__(self, directory: Path) -> None:
        from litequeue import LiteQueue as Queue

        self.path = str(directory / "lite.db")
        self.threads = threading.local()
        self.make = Queue

    @property
    def queue(self):
        if not hasattr(self.threads, "queue"):
            self.threads.queue = self.make(self.path, timeout=60)
            self.threads.queue.conn.execute("PRAGMA synchronous = FULL")
        return self.threads.queue

    def put(self) -> None:
        self.queue.put(str(PAYLOAD))

    def take(self, count: int) -> None:
        for _ in range(count):
            self.queue.done(self.queue.pop().message_id)


class Minihttp:
    """A mutation that does nothing but note the time; jobs are taken by one thread."""

    name = "minihttp"
    kind = staticmethod(internal_mutation)
    workers = 1

    def __init__(self, directory: Path) -> None:
        registry = Registry()
        self.started: list[float] = []

        def note(ctx, to, subject, body):
            self.started.append(time.perf_counter())

        self.function: Function = self.kind(note)
        registry.add(self.function, "work:note")
        self.database = Database(DocumentBackend(str(directory / "mini.db")), system=JOB_TABLES)
        self.runner = Runner(
            self.database,
            registry,
            contexts=CONTEXTS,
            environment={},
            storage=lambda transaction, call: None,
            scheduler=lambda transaction, call: self.jobs.scheduler(transaction, call),
        )
        self.jobs = Jobs(self.database, self.runner, workers=self.workers)
        self.scheduler = self.jobs.scheduler()

    def put(self) -> None:
        self.scheduler.run_after(0, self.function, **PAYLOAD)

    def take(self, count: int) -> None:
        assert self.jobs.run_due() >= count

    def latencies(self, count: int) -> list[float]:
        self.jobs.start()
        try:
            return _latencies(self.put, self.started, count)
        finally:
            self.jobs.stop(10)

    def close(self) -> None:
        self.database.close()


class MinihttpWorkers(Minihttp):
    """The same with the worker threads of `serve`."""

    name = "minihttp, 4 workers"
    workers = 4

    def take(self, count: int) -> None:
        self.jobs.start()
        while len(self.started) < count:
            time.sleep(0.001)
        assert self.jobs.stop(10)


class MinihttpActions(MinihttpWorkers):
    """Actions: claimed in one commit, ended in another."""

    name = "minihttp, actions"
    kind = staticmethod(internal_action)


def _latencies(put: Callable[[], None], started: list[float], count: int) -> list[float]:
    """Seconds from each call of `put` to the start of its job, one at a time."""
    found = []
    for number in range(count):
        begun = time.perf_counter()
        put()
        while len(started) <= number:
            time.sleep(0.0001)
        found.append(started[number] - begun)
    return found


def put_with(threads: int, put: Callable[[], None], count: int) -> None:
    def work() -> None:
        for _ in range(count // threads):
            put()

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def rate(run: Callable[[], None], count: int) -> float:
    begun = time.perf_counter()
    run()
    return count / (time.perf_counter() - begun)


def measure(contender: type, directory: Path, count: int) -> dict[str, float]:
    """One round of one contender in a directory of its own."""
    queue = contender(directory)
    found = {
        "put": rate(lambda: put_with(1, queue.put, count), count),
        "put, 8 threads": rate(lambda: put_with(8, queue.put, count), count),
        "take+ack": rate(lambda: queue.take(2 * (count // 8 * 8)), 2 * count),
    }
    getattr(queue, "close", lambda: None)()
    if hasattr(queue, "latencies"):
        (directory / "latency").mkdir()
        queue = contender(directory / "latency")
        found["latency p50, ms"] = 1000 * statistics.median(queue.latencies(100))
        getattr(queue, "close", lambda: None)()
    return found


def table(results: dict[str, list[dict[str, float]]]) -> str:
    columns = ["put", "put, 8 threads", "take+ack", "latency p50, ms"]
    lines = [f"| jobs/s | {' | '.join(columns)} |", f"|---|{'---:|' * len(columns)}"]
    for name, rounds in results.items():
        cells = []
        for column in columns:
            values = [found[column] for found in rounds if column in found]
            digits = 1 if "ms" in column else 0
            cells.append(f"{statistics.median(values):,.{digits}f}" if values else "–")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def drain(directory: Path, count: int) -> str:
    """What `/health` takes over HTTP while `count` jobs, due at once, are run by four workers."""
    http, seconds = HttpRouter(), []
    http.route(path="/health", method="GET", handler=lambda ctx, request: Response("ok"))
    app = App(http, modules=[__name__], data=directory / "data", workers=4)
    server = Server(app, port=0)
    thread = threading.Thread(target=server.run)
    thread.start()
    with app:
        due = time.time() + count / 2_000
        for first in range(0, count, 1_000):
            app.run_mutation(spread, first=first, due=due)
        time.sleep(max(0.0, due - time.time()))
        begun = time.perf_counter()
        client = HTTPConnection("127.0.0.1", server.port)
        while app.database.read(lambda transaction: app.jobs.store.by_state(transaction, "pending", 1)):
            asked = time.perf_counter()
            client.request("GET", "/health")
            assert client.getresponse().read() == b"ok"
            seconds.append(time.perf_counter() - asked)
        drained = time.perf_counter() - begun
        client.close()
        server.stop()
        thread.join()
    p50, p99 = (1000 * sorted(seconds)[int(part * len(seconds))] for part in (0.5, 0.99))
    return (
        f"/health while {count:,} jobs drained in {drained:.1f} s: {len(seconds):,} replies,"
        f" p50 {p50:.1f} ms, p99 {p99:.1f} ms, at most {1000 * max(seconds):.1f} ms"
    )


@internal_mutation
def spread(ctx: Any, first: int, due: float) -> None:
    for number in range(first, first + 1_000):
        ctx.scheduler.run_at(due, noted, n=number)


@internal_mutation
def noted(ctx: Any, n: int) -> None:
    ctx.db.insert("notes", {"n": n})


CONTENDERS = (Raw, Huey, PersistQueue, LiteQueue, Minihttp, MinihttpWorkers, MinihttpActions)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--directory", help="where the databases are made (a real disk, not a tmpfs)")
    options = parser.parse_args()
    results: dict[str, list[dict[str, float]]] = {contender.name: [] for contender in CONTENDERS}
    for _ in range(options.rounds):
        for contender in CONTENDERS:
            with tempfile.TemporaryDirectory(dir=options.directory) as directory:
                try:
                    results[contender.name].append(measure(contender, Path(directory), options.jobs))
                except ImportError:
                    print(f"{contender.name} is not installed", file=sys.stderr)
    print(table(results))
    with tempfile.TemporaryDirectory(dir=options.directory) as directory:
        print(drain(Path(directory), 10_000))


if __name__ == "__main__":
    main()
