# SPDX-License-Identifier: MIT
"""Export, import (also of Convex's), backup, check, beside `sqlite3 .dump`, `VACUUM INTO`, `zip` of the same.

    python benchmarks/snapshot.py              20,000 documents
    python benchmarks/snapshot.py 1000000      and the peak memory of each step, in a process of its own

Each step runs in a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any

from minihttp import App, Schema, Table, v
from minihttp.app import backends
from minihttp.data.consistency import check_documents
from minihttp.snapshot.archive import Archive
from minihttp.snapshot.backup import back_up, restore
from minihttp.snapshot.convex import write_id
from minihttp.snapshot.export import export_snapshot
from minihttp.snapshot.importing import import_snapshot

SCHEMA = Schema(
    events=Table(
        {
            "user": v.string(),
            "kind": v.string(),
            "n": v.number(),
            "tags": v.array(v.string()),
            "text": v.string(),
        }
    ).index("by_user", ["user", "n"])
)
BATCH = 5_000


def app(folder: Path) -> App:
    return App(schema=SCHEMA, data=str(folder), workers=0)


def nothing(what: str, done: int, total: int) -> None:
    return None


def fill(place: Path, count: int) -> None:
    with app(place / "data") as filled:
        for start in range(0, count, BATCH):
            rows = range(start, min(count, start + BATCH))
            filled.database.write(lambda t, rows=rows: [t.db.insert("events", event(n)) for n in rows])


def event(n: int) -> dict[str, Any]:
    text = f"event {n} " + "lorem ipsum dolor sit amet " * (n % 8)
    return {"user": f"user{n % 5000}", "kind": "click", "n": n, "tags": ["a", f"t{n % 50}"], "text": text}


def export(place: Path, count: int) -> None:
    with app(place / "data") as source, open(place / "s.zip", "wb") as out:
        export_snapshot(source.database, source.files, out, version="0")


def import_(place: Path, count: int) -> None:
    with app(place / "imported") as target, closing(Archive(str(place / "s.zip"))) as archive:
        done = import_snapshot(archive, target.database, target.files)
        assert done.documents["events"] == count


def write_convex(place: Path, count: int) -> None:
    """A snapshot as Convex exports it: its ids, its spelling of values, no manifest."""
    with zipfile.ZipFile(place / "convex.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("_tables/documents.jsonl", json.dumps({"name": "events", "id": 10_001}) + "\n")
        with archive.open("events/documents.jsonl", "w", force_zip64=True) as out:
            for n in range(count):
                id = write_id(10_001, hashlib.sha256(b"%d" % n).digest()[:16])
                row = {**event(n), "_id": id, "_creationTime": 1_700_000_000_000.0 + n}
                out.write(json.dumps(row).encode() + b"\n")


def import_convex(place: Path, count: int) -> None:
    with app(place / "from_convex") as target, closing(Archive(str(place / "convex.zip"))) as archive:
        done = import_snapshot(archive, target.database, target.files)
        assert done.documents["events"] == count


def backup(place: Path, count: int) -> None:
    urls = backends.storage_urls(str(place / "data"), None)
    back_up(backends, *urls, str(place / "backup"), version="0", tick=nothing)


def restored(place: Path, count: int) -> None:
    restore(backends, str(place / "backup"), str(place / "restored"), replace=False, tick=nothing)


def check(place: Path, count: int) -> None:
    with app(place / "data") as checked:
        assert not checked.database.problems(3_600.0)[0]
        assert not check_documents(checked.database)


def dump(place: Path, count: int) -> None:
    with closing(sqlite3.connect(place / "data" / "app.db")) as source, open(place / "dump.sql", "w") as out:
        out.writelines(line + "\n" for line in source.iterdump())


def vacuum(place: Path, count: int) -> None:
    with closing(sqlite3.connect(place / "data" / "app.db")) as source:
        source.execute("VACUUM INTO ?", (str(place / "vacuum.db"),))


def zipped(place: Path, count: int) -> None:
    shutil.make_archive(str(place / "zipped"), "zip", place / "data")


STEPS = {
    "fill (inserts of 5,000)": fill,
    "export": export,
    "import": import_,
    "write a snapshot as Convex does": write_convex,
    "import of Convex's": import_convex,
    "backup": backup,
    "restore": restored,
    "check": check,
    "sqlite3 .dump (iterdump)": dump,
    "VACUUM INTO": vacuum,
    "zip of the folder": zipped,
}


def main() -> None:
    if len(sys.argv) == 4:
        name, place, count = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
        started = time.perf_counter()
        STEPS[name](place, count)
        seconds = time.perf_counter() - started
        used = resource.getrusage(resource.RUSAGE_SELF)
        cpu = used.ru_utime + used.ru_stime
        row = f"{seconds:.2f} s | {cpu:.2f} s | {count / cpu:,.0f} | {used.ru_maxrss / 1024:.0f} MiB"
        print(f"| {name} | {row} |", flush=True)
        return
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    columns = ("step", "time", "processor", "documents a processor second", "peak memory")
    print(f"{count:,} documents\n\n| {' | '.join(columns)} |\n{'|---' * len(columns)}|", flush=True)
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCHMARK_DIR")) as folder:
        for name in STEPS:
            subprocess.run([sys.executable, __file__, name, folder, str(count)], check=True)
        sizes = {
            n: (Path(folder) / n).stat().st_size for n in ("data/app.db", "s.zip", "dump.sql", "zipped.zip")
        }
        print("\n" + ", ".join(f"{name} {size / 2**20:.0f} MiB" for name, size in sizes.items()))


if __name__ == "__main__":
    main()
