# SPDX-License-Identifier: MIT
"""Backups under load, for as long as one asks: `python -m tests.backups --seconds 60`.

A process writes documents and files by several threads and is killed at random moments; beside it backups
are made by the command line, and some of these are killed too. Each backup that ended is restored: `check`
finds nothing, and every write that was acknowledged before the backup began is there. What was killed is not
taken for a backup. How long writers waited is said beside a control: as long a time after each backup.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from minihttp import App, internal_mutation, v
from minihttp.app import backends
from minihttp.snapshot.backup import backups_in, restore
from tests.snapshot.world import SCHEMA

ROOT = Path(__file__).resolve().parents[1]
WRITERS = 3
PATIENCE_SECONDS = 60.0
_LIFE_SECONDS = (0.5, 4.0)  # of the process that writes
_KILLED_BACKUPS = 0.25
_BYTES = 200_000
_WRITE = "import sys; from tests.backups import write_for_ever; write_for_ever(*sys.argv[1:])"
_APP = "from tests.backups import make_app\napp = make_app({!r})\n"


@internal_mutation(args={"name": v.string(), "picture": v.id("_storage")})
def write(ctx: Any, name: str, picture: str) -> None:
    user = ctx.db.insert("users", {"name": name, "picture": picture})
    ctx.db.insert("posts", {"author": user})


def make_app(data: str) -> App:
    return App(schema=SCHEMA, modules=[__name__], data=data, workers=0)


def write_for_ever(data: str, life: str) -> None:
    """Store a file and insert documents, again and again; each is told once it is acknowledged."""
    told = threading.Lock()

    def failed(failure: threading.ExceptHookArgs) -> int:
        sys.__excepthook__(failure.exc_type, failure.exc_value or SystemExit(), failure.exc_traceback)
        return 1

    def run(number: int) -> None:
        storage, count = app.files.outside(), 0
        while True:
            count += 1
            picture = storage.store(os.urandom(random.randrange(_BYTES)))
            spare = storage.store(b"spare")
            name, began = f"{life}-{number}-{count}", time.monotonic()
            app.run_mutation(write, name=name, picture=picture)
            waited_ms = (time.monotonic() - began) * 1_000
            storage.delete(spare)
            with told:
                print(name, f"{waited_ms:.1f}", flush=True)

    threading.excepthook = lambda failure: os._exit(failed(failure))
    logging.getLogger("minihttp").setLevel(logging.ERROR)  # the sweep after a kill is no news here
    with make_app(data) as app:
        threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(WRITERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


class Writer:
    """The process that writes; when it is killed another takes its place."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self.acknowledged: list[str] = []
        self.waits_ms: list[tuple[float, float]] = []  # when, and how long
        self.kills = 0
        self.failed = False
        self._stopped = threading.Event()
        self._some = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Writer:
        self._thread.start()
        assert self._some.wait(PATIENCE_SECONDS), "nothing was written"
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stopped.set()
        self._thread.join(PATIENCE_SECONDS)

    def _run(self) -> None:
        while not self._stopped.is_set():
            arguments = (str(self._data), str(self.kills))
            command = [sys.executable, "-c", _WRITE, *arguments]
            process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
            assert process.stdout is not None
            killer = threading.Thread(target=self._kill, args=(process,))
            killer.start()
            for line in process.stdout:
                if not line.endswith("\n"):
                    break  # cut by the kill
                name, waited = line.split()
                self.acknowledged.append(name)
                self.waits_ms.append((time.monotonic(), float(waited)))
                self._some.set()
            killer.join()
            process.stdout.close()
            if process.wait() != -9:
                self.failed = True
                return
            self.kills += 1

    def _kill(self, process: subprocess.Popen[str]) -> None:
        while process.poll() is None and not self._some.wait(0.1):
            pass
        self._stopped.wait(random.uniform(*_LIFE_SECONDS))
        process.kill()


def run(folder: Path, seconds: float, *, least: int = 1) -> dict[str, Any]:
    """Back up for so long, and at least so often; returns figures."""
    (folder / "app.py").write_text(_APP.format(str(folder / "data")))
    place, begun = folder / "backups", 0
    spans: dict[str, list[tuple[float, float]]] = {"beside a backup": [], "as long without": []}
    promised: dict[str, int] = {}
    end = time.monotonic() + seconds
    with Writer(folder / "data") as writer:
        while time.monotonic() < end or len(promised) < least:
            assert not writer.failed, "the process that writes has failed by itself"
            known, before = len(writer.acknowledged), set(backups_in(str(place)))
            command = [sys.executable, "-m", "minihttp", "backup", str(place), "app.py"]
            environ = {**os.environ, "PYTHONPATH": str(ROOT)}
            began = time.monotonic()
            making = subprocess.Popen(command, cwd=folder, env=environ, stdout=subprocess.DEVNULL)
            begun += 1
            if random.random() < _KILLED_BACKUPS:
                time.sleep(random.uniform(0.2, 1.5))
                making.kill()
            code = making.wait(PATIENCE_SECONDS)
            assert code in (0, -9), f"backup: exit code {code}"
            ended = time.monotonic()
            spans["beside a backup"].append((began, ended))
            promised |= dict.fromkeys(set(backups_in(str(place))) - before, known)
            time.sleep(max(ended - began, 1.0 - time.time() % 1.0))  # a backup is named by its second
            spans["as long without"].append((ended, 2 * ended - began))
    for number, (backup, known) in enumerate(promised.items()):
        _examine(backup, folder / f"restored{number}", writer.acknowledged[:known])
    figures = {
        "writes": len(writer.acknowledged),
        "writers killed": writer.kills,
        "backups begun": begun,
        "backups restored": len(promised),
    }
    for when, times in spans.items():
        figures |= _figures(when, [ms for at, ms in writer.waits_ms if any(a <= at <= b for a, b in times)])
    return figures


def _examine(backup: str, folder: Path, acknowledged: Iterable[str]) -> None:
    restore(backends, backup, str(folder), replace=False, tick=lambda what, done, total: None)
    with make_app(str(folder)) as app:
        assert app.run_action("_app:check") == [], backup
        users = app.database.read(lambda t: {row["name"] for row in t.db.query("users").take(10**6)})
    missing = [name for name in acknowledged if name not in users]
    assert not missing, f"{backup} lacks {missing[:5]}, which were acknowledged before it"


def _figures(when: str, waits_ms: list[float]) -> dict[str, Any]:
    """How long writers waited; what a busy machine adds is in both of the times that are compared."""
    if not waits_ms:
        return {}
    ordered = sorted(waits_ms)
    last = len(ordered) - 1
    return {
        f"writes, {when}": len(waits_ms),
        f"p50 ms, {when}": ordered[last // 2],
        f"p99 ms, {when}": ordered[int(last * 0.99)],
        f"longest ms, {when}": ordered[last],
        f"longer than 50 ms, {when}": sum(1 for ms in waits_ms if ms > 50.0),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    with tempfile.TemporaryDirectory() as folder:
        for name, value in run(Path(folder), parser.parse_args().seconds).items():
            print(f"{name}: {value:,}")


if __name__ == "__main__":
    main()
