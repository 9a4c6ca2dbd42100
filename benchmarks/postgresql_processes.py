# SPDX-License-Identifier: MIT
"""Several processes on one PostgreSQL, and peers on the same server: creates and jobs, per second.

    python -m benchmarks.postgresql_processes [seconds of each run, default 5] [jobs, default 2000]

Starts a server of its own with fsync on; it and all processes share the processors of one machine. Peers are
Django's ORM (a row and its index, a commit each) and Procrastinate (its worker, in one process), where they
are installed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from benchmarks.postgresql import ITEMS, per_second
from minihttp.data.database import Database
from minihttp.limits import Limits
from storage_backends.postgresql import DocumentBackend

THREADS = 4  # of each process, and workers
PROCESSES = (1, 2, 4)


def child(what: str, location: str, amount: str) -> None:
    """One process: says that it is ready, waits for a line, and prints what it has done."""
    result = {"create": create, "jobs": drain}[what](location, float(amount))
    print(json.dumps(result), flush=True)


def go() -> None:
    print("ready", flush=True)
    sys.stdin.readline()


def create(location: str, seconds: float) -> float:
    database = Database(DocumentBackend(location), ITEMS)

    def make(number: int) -> Callable[[], object]:
        return lambda: database.write(lambda t: t.db.insert("items", {"name": "x" * 50, "n": number}))

    go()
    rate = per_second(THREADS, seconds, make)
    database.close()
    return rate


def world(location: str, workers: int) -> tuple[Any, list[int]]:
    from tests.jobs.world import World

    bodies: list[int] = []
    made = World(
        location, engine=DocumentBackend, clock=time.time, alone=False, workers=workers, limits=Limits()
    )

    def note(ctx: Any, n: float) -> None:
        bodies.append(1)
        ctx.db.insert("notes", {"n": n})

    made.mutation(note)
    return made, bodies


def drain(location: str, count: float) -> int:
    made, bodies = world(location, THREADS)
    go()
    made.jobs.start()
    while pending(made):
        time.sleep(0.02)
    made.close()
    return len(bodies)


def pending(made: Any) -> bool:
    return bool(
        made.database.read(
            lambda t: list(made.jobs.store.pools(t)) or made.jobs.store.by_state(t, "pending", 1)
        )
    )


def schedule(made: Any, count: int) -> None:
    for first in range(0, count, 500):
        numbers = range(first, min(first + 500, count))
        made.database.write(
            lambda t, numbers=numbers: [
                made.jobs.scheduler(t).run_after(0, "work:note", n=n) for n in numbers
            ]
        )


def together(what: str, location: str, amount: float, processes: int) -> tuple[float, list[Any]]:
    """The seconds that so many processes take, and what they say."""
    command = [sys.executable, "-m", "benchmarks.postgresql_processes", what, location, str(amount)]
    running = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    for one in running:
        assert one.stdout is not None and one.stdout.readline() == "ready\n"
    begun = time.perf_counter()
    for one in running:
        assert one.stdin is not None
        one.stdin.write("\n")
        one.stdin.flush()
    said = [json.loads(one.communicate()[0]) for one in running]
    return time.perf_counter() - begun, said


def django(server: Any, seconds: float, threads: int) -> float:
    import django
    from django.conf import settings
    from django.db import connection, models

    place = {"HOST": "127.0.0.1", "PORT": str(server.port), "USER": "minihttp", "NAME": "minihttp"}
    settings.configure(DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", **place}})
    django.setup()

    class Item(models.Model):
        name = models.CharField(max_length=100)
        n = models.FloatField(db_index=True)

        class Meta:
            app_label = "peer"

    with connection.schema_editor() as editor:
        editor.create_model(Item)
    return per_second(threads, seconds, lambda n: lambda: Item.objects.create(name="x" * 50, n=n))


def procrastinate(server: Any, count: int) -> float:
    """Jobs a second that its worker ends, with as many at once as ours has workers."""
    import asyncio

    from procrastinate import App, PsycopgConnector

    async def run() -> float:
        place = f"host=127.0.0.1 port={server.port} user=minihttp dbname=minihttp"
        app = App(connector=PsycopgConnector(conninfo=place))

        @app.task(name="note")
        async def note(n: int) -> None:
            await app.connector.execute_query_async("INSERT INTO notes VALUES (%(n)s)", n=n)

        async with app.open_async():
            await app.schema_manager.apply_schema_async()
            await app.connector.execute_query_async("CREATE TABLE IF NOT EXISTS notes (n int)")
            await note.batch_defer_async(*[{"n": n} for n in range(count)])
            begun = time.perf_counter()
            await app.run_worker_async(wait=False, concurrency=THREADS, install_signal_handlers=False)
            return count / (time.perf_counter() - begun)

    return asyncio.run(run())


def main(seconds: float = 5.0, count: float = 2_000) -> None:
    from tests.postgresql_server import VERSIONS, Server

    server = Server(VERSIONS[0], fsync="on").create()
    print(f"PostgreSQL {server.version}, {os.cpu_count()} processors for the server and all processes")
    for processes in PROCESSES:
        rates = together("create", server.location(f"create{processes}"), seconds, processes)[1]
        print(f"create, {processes} processes of {THREADS} threads: {sum(rates):,.0f} a second", flush=True)
    for processes in PROCESSES:
        location = server.location(f"jobs{processes}")
        made, _ = world(location, 0)
        schedule(made, int(count))
        taken, bodies = together("jobs", location, count, processes)
        notes = len(made.rows("notes"))
        made.close()
        text = f"{count / taken:,.0f} a second, {sum(bodies):,} bodies for {notes:,} jobs"
        print(f"jobs, {processes} processes of {THREADS} workers: {text}", flush=True)
    if find_spec("django"):
        print(f"Django ORM, create, 8 threads: {django(server, seconds, 8):,.0f} a second", flush=True)
    if find_spec("procrastinate"):
        print(f"Procrastinate, {int(count):,} jobs: {procrastinate(server, int(count)):,.0f} a second")
    server.remove()


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] in ("create", "jobs"):
        child(*sys.argv[1:])
    else:
        main(*map(float, sys.argv[1:]))
