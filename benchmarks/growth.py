# SPDX-License-Identifier: MIT
"""What grows with what is stored: the start of `serve`, and the cost of a get, list, insert, claim, receive.

    python benchmarks/growth.py [--documents 10000,100000,1000000] [--others 10000,100000] [--rounds 300]
                                [--directory DIR]

One kind of thing is stored in each data directory: documents (with one index), pending jobs that are due in
a day, handled webhook deliveries of 1 KiB, or files of 100 bytes. Then `python -m minihttp serve` is started
on it, until its port answers, after a clean stop; the median of three, and the processor time until then.
Each cost is the median of so many calls in one process, every write synced. What a thing costs must not
depend on how many there are.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from minihttp import App, HttpRouter, MutationCtx, QueryCtx, Schema, Table, internal_mutation, query, v
from minihttp.webhooks import github

ROOT = Path(__file__).resolve().parent.parent
SECRET = "a secret for what grows"
BATCH = 1_000
schema = Schema(items=Table({"name": v.string(), "text": v.string()}).index("by_name", ["name"]))
http = HttpRouter()


@internal_mutation(args={"name": v.string()}, returns=v.id("items"))
def insert(ctx: MutationCtx, name: str) -> str:
    return ctx.db.insert("items", {"name": name, "text": "x" * 200})


@query(args={"id": v.id("items")})
def get(ctx: QueryCtx, id: str) -> Any:
    return ctx.db.get(id)


@query(args={})
def newest(ctx: QueryCtx) -> Any:
    return ctx.db.query("items").order("desc").take(30)


@internal_mutation(args={})
def nothing(ctx: MutationCtx) -> None:
    pass


@internal_mutation
def on_event(ctx: MutationCtx, delivery: Any) -> None:
    pass


http.webhook("/hook", github.provider(secret="GROWTH_SECRET"), handler=on_event)
app = App(http, schema=schema, modules=[__name__], environment={"GROWTH_SECRET": SECRET})


def post(number: str) -> None:
    body = b'{"text": "%s"}' % (b"x" * 1_000)
    fields = {
        "HTTP_" + n.upper().replace("-", "_"): t for n, t in github.sign(body, SECRET, id=number).items()
    }
    environ: dict[str, Any] = {
        **fields,
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/hook",
        "HTTP_HOST": "localhost",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        "wsgi.url_scheme": "http",
    }
    answer = b"".join(app(environ, lambda *_: None))  # type: ignore[arg-type]
    assert answer == b'{"ok":true}', answer


# ---------------------------------------------------------------- what is stored


def store_documents(start: int, count: int) -> None:
    def write(transaction: Any) -> None:
        for number in range(start, start + count):
            transaction.db.insert("items", {"name": f"item {number}", "text": "x" * 200})

    app.database.write(write)


def store_jobs(start: int, count: int) -> None:
    def write(transaction: Any) -> None:
        scheduler = app.jobs.scheduler(transaction)
        for _ in range(count):
            scheduler.run_after(86_400, nothing)

    app.database.write(write)


def store_deliveries(start: int, count: int) -> None:
    """As the inbox stores them, without a request each; handled, as most are."""
    from minihttp.webhooks.delivery import Delivery

    endpoint = app.inbox.endpoints["/hook"]
    rows = endpoint._rows
    common = {
        "endpoint": "/hook",
        "provider": "github",
        "eventType": "push",
        "timestamp": None,
        "headers": {},
    }
    common |= {"secret": "GROWTH_SECRET", "bodyHash": "0" * 64, "retentionSeconds": 30 * 86_400.0}

    def write(transaction: Any) -> None:
        for number in range(start, start + count):
            body = b'{"text": "%s", "n": %d}' % (b"x" * 1_000, number)
            delivery = Delivery(endpoint.provider.scheme, body, {}, 0)
            row = {**common, "deliveryId": f"old-{number}", "bodyBytes": len(body)}
            rows.insert(row, delivery, None, time.time() * 1000)(transaction)

    app.database.write(write)


def store_files(start: int, count: int) -> None:
    folder = Path(app.options.data) / "files"

    def write(transaction: Any) -> None:
        for _ in range(count):
            key = os.urandom(16).hex()
            (folder / key[:2]).mkdir(exist_ok=True)
            (folder / key[:2] / key).write_bytes(b"x" * 100)
            transaction.system.insert("_storage", {"key": key, "size": 100, "sha256": "x"})

    app.database.write(write)


KINDS: dict[str, Callable[[int, int], None]] = {
    "documents": store_documents,
    "jobs": store_jobs,
    "deliveries": store_deliveries,
    "files": store_files,
}


# ---------------------------------------------------------------- what it costs


def costs(rounds: int) -> dict[str, float]:
    """Medians in microseconds."""
    ids = [app.run_mutation(insert, name=f"new {number}") for number in range(rounds)]
    jobs = app.jobs

    def claim(number: int) -> None:
        row = pending[number]
        jobs._executor.run(row["_id"], jobs.store.call_of(row)[0])

    pending: list[Any] = []
    measured = {
        "get": median(lambda n: app.run_query(get, id=ids[n]), rounds),
        "list": median(lambda n: app.run_query(newest), rounds),
        "insert": median(lambda n: app.run_mutation(insert, name=f"newer {n}"), rounds),
        "receive": median(lambda n: post(f"new-{n}"), rounds),
    }
    pending += list(jobs.store.all_due(jobs.store.now_ms()))
    return {**measured, "claim": median(claim, min(rounds, len(pending)))}


def median(run: Callable[[int], object], rounds: int) -> float:
    seconds = []
    for number in range(rounds):
        begin = time.perf_counter()
        run(number)
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds) * 1e6


def start_seconds(data: Path) -> tuple[float, float]:
    """From the start of the command until the port answers: seconds, and of the processor."""
    command = [sys.executable, "-m", "minihttp", "serve", __file__, "--data", str(data), "--port", "0"]
    begin = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    text = ""
    while not (found := re.search(r"http://[0-9.]+:[0-9]+", text)):
        line = process.stdout.readline()
        assert line, text
        text += line
    urllib.request.urlopen(f"{found[0]}/_/health").read()
    seconds, ticks = time.perf_counter() - begin, Path(f"/proc/{process.pid}/stat").read_text().split()[13:15]
    process.terminate()
    process.communicate()
    return seconds, sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def measure(kind: str, count: int, rounds: int, folder: Path) -> None:
    data = folder / f"{kind}-{count}"
    app.configure(data=str(data), workers=0)
    with app:
        app.prepare()
        for start in range(0, count, BATCH):
            KINDS[kind](start, min(BATCH, count - start))
        app.files.sweep()
    starts = sorted(start_seconds(data) for _ in range(4))[1:]  # the first writes a log back
    with app:
        app.prepare()
        found = costs(rounds)
    cells = [f"{found[name]:,.0f}" for name in ("get", "list", "insert", "claim", "receive")]
    start, processor = (statistics.median(column) for column in zip(*starts, strict=True))
    print(f"| {count:,} {kind} | {start:.2f} | {processor:.2f} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--documents", default="10000,100000,1000000", help="how many, with commas")
    parser.add_argument("--others", default="10000,100000", help="how many jobs, deliveries and files")
    parser.add_argument("--rounds", type=int, default=300, help="calls of each kind")
    parser.add_argument("--directory", help="where the data directories are made")
    options = parser.parse_args()
    print("| stored | start, s | of it processor | get, µs | list of 30 | insert | claim | receive |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory(dir=options.directory) as folder:
        for kind in KINDS:
            counts = options.documents if kind == "documents" else options.others
            for count in filter(None, counts.split(",")):
                measure(kind, int(count), options.rounds, Path(folder))


if __name__ == "__main__":
    main()
