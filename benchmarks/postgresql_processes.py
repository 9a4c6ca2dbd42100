# SPDX-License-Identifier: MIT
"""Several processes on one PostgreSQL, and peers on the same server: creates and jobs, per second.

    python -m benchmarks.postgresql_processes [rounds, default 3] [seconds of a run, 5] [jobs, 1000]

Starts a server of its own with fsync on; it and all processes share the processors of one machine. Peers are
Django's ORM (a row and its index, a commit each) and Procrastinate (its worker, in one process), where they
are installed. The runs take turns, so that other work on the machine meets all of them; a ratio is the median
of those of the rounds.
"""

from __future__ import annotations

import json
import os
import statistics
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


def django(server: Any, threads: int) -> Callable[[float], float]:
    """Creates a second in so many seconds, by Django's ORM."""
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

    def make(number: int) -> Callable[[], object]:
        return lambda: Item.objects.create(name="x" * 50, n=number)

    return lambda seconds: per_second(threads, seconds, make)


def procrastinate(server: Any, count: int, is_first: bool) -> float:
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
            if is_first:
                await app.schema_manager.apply_schema_async()
                await app.connector.execute_query_async("CREATE TABLE notes (n int)")
            await note.batch_defer_async(*[{"n": n} for n in range(count)])
            begun = time.perf_counter()
            await app.run_worker_async(wait=False, concurrency=THREADS, install_signal_handlers=False)
            return count / (time.perf_counter() - begun)

    return asyncio.run(run())


def main(rounds: float = 3, seconds: float = 5.0, count: float = 1_000) -> None:
    from tests.postgresql_server import VERSIONS, Server

    server = Server(VERSIONS[0], fsync="on").create()
    print(f"PostgreSQL {server.version}, {os.cpu_count()} processors for the server and all processes")
    rates: dict[str, list[float]] = {}

    def note(name: str, rate: float) -> None:
        rates.setdefault(name, []).append(rate)

    orm = django(server, 8) if find_spec("django") else None
    bodies = dict.fromkeys(PROCESSES, 0)
    for number in range(int(rounds)):
        for processes in PROCESSES:
            location = server.location(f"create{number}_{processes}")
            note(f"create, {processes}", sum(together("create", location, seconds, processes)[1]))
        if orm is not None:
            note("create, Django's ORM, 8 threads", orm(seconds))
        for processes in PROCESSES:
            location = server.location(f"jobs{number}_{processes}")
            made, _ = world(location, 0)
            schedule(made, int(count))
            taken, run = together("jobs", location, count, processes)
            assert len(made.rows("notes")) == int(count)
            made.close()
            note(f"jobs, {processes}", count / taken)
            bodies[processes] += sum(run)
        if find_spec("procrastinate"):
            note("jobs, Procrastinate, 1", procrastinate(server, int(count), number == 0))
    for name, found in rates.items():
        ratios = [a / b for a, b in zip(found, rates[f"{name.partition(',')[0]}, 1"], strict=True)]
        text = f"{statistics.median(found):,.0f} a second, {statistics.median(ratios):.2f} of one process"
        print(f"{name}: {text} ({min(ratios):.2f} to {max(ratios):.2f})")
    part = statistics.median(a / b for a, b in zip(rates["jobs, 1"], rates["create, 1"], strict=True))
    print(f"jobs, 1: {part:.2f} of create, 1")
    for processes, ran in bodies.items():
        print(f"bodies run, {processes}: {ran / (int(count) * int(rounds)):.3f} of the jobs")
    server.remove()


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] in ("create", "jobs"):
        child(*sys.argv[1:])
    else:
        main(*map(float, sys.argv[1:]))
