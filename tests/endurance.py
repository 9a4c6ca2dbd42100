# SPDX-License-Identifier: MIT
"""The journal of kills, for as long as one asks: `python -m tests.endurance --minutes 30`.

Two servers, one with each file store of this machine, are killed at random moments while clients write
documents, files and webhooks (each sent twice), whose jobs and `on_complete` write again. After each kill the
servers come back, sometimes killed again on the way, and what is there is held against the journal: nothing
that was acknowledged is lost, nothing is there twice, whatever is scheduled ends once.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from minihttp import testing
from tests.live import PATIENCE_SECONDS, ROOT, Process, serve_command

APP = ROOT / "tests" / "apps" / "journal.py"
CLIENTS = 3
SECRET = "whsec_journal"
KINDS = ("note", "note", "file", "delivery")
STORES = ("filesystem", "sqlite")
_MAX_FILE_BYTES = 200_000
_MAX_ANSWERS = 150  # of one life of a server
_KILLED_AGAIN = 0.25  # how often the next start is killed too


class Effect:
    """One thing that a client asks for."""

    def __init__(self, kind: str, key: str) -> None:
        self.kind, self.key = kind, key
        self.is_acknowledged = False
        self.id = self.sha256 = ""  # of a file


class World:
    """One data directory, its server and the journal of the present round."""

    def __init__(self, folder: Path, store: str, chance: random.Random) -> None:
        self.data = folder / store
        self.chance = chance
        self.options = ("--files", store, "--log-level", "warning")
        self.env = {"JOURNAL_SECRET": SECRET}
        self.answers = threading.Semaphore(0)
        self.files: list[Effect] = []
        self.figures: Counter[str] = Counter()
        self.slowest_start_seconds = 0.0
        self.server = self._start()

    def _start(self) -> Process:
        began = time.monotonic()
        server = Process(APP, self.data, *self.options, env=self.env)
        self.slowest_start_seconds = max(self.slowest_start_seconds, time.monotonic() - began)
        return server

    def round(self, number: int) -> None:
        """Write until the kill, come back, and check."""
        journal: list[Effect] = []
        self.answers = threading.Semaphore(0)
        wrong: list[BaseException] = []
        writers = [
            threading.Thread(target=self._write, args=(f"{number}", client, journal, wrong))
            for client in range(CLIENTS)
        ]
        for writer in writers:
            writer.start()
        for _ in range(self.chance.randint(1, _MAX_ANSWERS)):
            assert self.answers.acquire(timeout=PATIENCE_SECONDS), wrong
        self.server.kill()
        self.figures["kills"] += 1
        for writer in writers:
            writer.join(PATIENCE_SECONDS)
        assert not wrong, wrong[0]
        if self.chance.random() < _KILLED_AGAIN:
            self._die_while_starting()
        self.server = self._start()
        self._check(f"{number}", journal)

    def _die_while_starting(self) -> None:
        command = serve_command(APP, self.data, *self.options)
        environ = {**os.environ, **self.env}
        with subprocess.Popen(command, cwd=ROOT, env=environ, stderr=subprocess.DEVNULL) as process:
            threading.Event().wait(self.chance.uniform(0.1, 1.5))
            process.kill()
        self.figures["kills while starting"] += 1

    # ------------------------------------------------------------ writing

    def _write(self, number: str, client: int, journal: list[Effect], wrong: list[BaseException]) -> None:
        chance = random.Random(f"{number}-{client}")
        count = 0
        while True:
            count += 1
            effect = Effect(chance.choice(KINDS), f"{number}-{client}-{count}")
            journal.append(effect)
            try:
                getattr(self, f"_send_{effect.kind}")(effect, chance)
            except (OSError, http.client.HTTPException):
                return  # the kill
            except BaseException as error:
                wrong.append(error)
                return

    def _post(self, effect: Effect, path: str, body: Any, headers: Any = None) -> Any:
        reply = self.server.client.post(path, body, headers)
        assert reply.status == 200, reply
        effect.is_acknowledged = True
        self.answers.release()
        return reply

    def _send_note(self, effect: Effect, chance: random.Random) -> None:
        body = {"path": "journal:note", "args": {"key": effect.key}}
        assert self._post(effect, "/api/mutation", body).json()["status"] == "success"

    def _send_file(self, effect: Effect, chance: random.Random) -> None:
        data = chance.randbytes(chance.randrange(_MAX_FILE_BYTES))
        effect.sha256 = hashlib.sha256(data).hexdigest()
        effect.id = self._post(effect, f"/files/{effect.key}", data).json()["id"]

    def _send_delivery(self, effect: Effect, chance: random.Random) -> None:
        payload = {"id": effect.key, "type": "journal", "data": {"object": {}}}
        body, headers = testing.signed("stripe", payload, SECRET, now=time.time())
        for _ in range(2):
            self._post(effect, "/webhooks/stripe", body, headers)

    # ------------------------------------------------------------ checking

    def _check(self, number: str, journal: list[Effect]) -> None:
        """Hold what is there against the journal, once all that was scheduled has ended."""
        acknowledged = {
            kind: {e.key for e in journal if e.kind == kind and e.is_acknowledged} for kind in set(KINDS)
        }
        sent = {kind: {e.key for e in journal if e.kind == kind} for kind in set(KINDS)}
        until = time.monotonic() + PATIENCE_SECONDS
        while not self._is_settled(there := self._marks(number), acknowledged) and time.monotonic() < until:
            threading.Event().wait(0.1)
        for kind in set(KINDS):
            assert acknowledged[kind] <= set(there[kind]) <= sent[kind], f"{kind}: lost, or never sent"
            assert set(there[kind].values()) <= {1}, f"{kind}: there twice"
        notes = there["note"]
        assert there["follow"] == notes, "a scheduled mutation takes effect exactly once"
        assert set(there["act"]) <= set(notes), "an action of nothing"
        assert set(there["act"].values()) <= {1}, "a scheduled action runs at most once"
        assert there["ended"] == Counter(dict.fromkeys(notes, 2)), "on_complete runs exactly once"
        self.files += [e for e in journal if e.kind == "file" and e.is_acknowledged]
        for effect in self.files[-50:] + self.chance.sample(self.files, min(20, len(self.files))):
            reply = self.server.client.get(f"/files/{effect.id}")
            assert hashlib.sha256(reply.body).hexdigest() == effect.sha256, f"file {effect.key} is damaged"
        for kind, keys in acknowledged.items():
            self.figures[f"{kind}s acknowledged"] += len(keys)
        self.figures["jobs ended"] += sum(there["ended"].values())

    def _marks(self, number: str) -> dict[str, Counter[str]]:
        reply = self.server.client.post("/api/query", {"path": "journal:marks", "args": {"round": number}})
        found: dict[str, Counter[str]] = {
            kind: Counter() for kind in ("note", "follow", "act", "ended", "file", "delivery")
        }
        for kind, key in reply.json()["value"]:
            found[kind][key] += 1
        return found

    def _is_settled(self, there: dict[str, Counter[str]], acknowledged: dict[str, set[str]]) -> bool:
        return (
            sum(there["ended"].values()) >= 2 * len(there["note"])
            and len(there["follow"]) >= len(there["note"])
            and set(there["delivery"]) >= acknowledged["delivery"]
        )

    def close(self) -> None:
        """Stop the server and look into the database."""
        assert self.server.terminate() == 0
        database = sqlite3.connect(self.data / "app.db")
        try:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        finally:
            database.close()


def run(minutes: float, folder: Path, seed: int) -> list[World]:
    """Run rounds for so long, at least one; returns what has figures."""
    chance = random.Random(seed)
    worlds: list[World] = []
    until = time.monotonic() + 60 * minutes
    try:
        worlds += [World(folder, store, chance) for store in STORES]
        number = 0
        while number == 0 or time.monotonic() < until:
            for world in worlds:
                world.round(number)
            number += 1
            if number % 20 == 0:
                print(f"round {number}", *map(_figures, worlds), sep="\n  ", flush=True)
        for world in worlds:
            world.close()
    finally:
        for world in worlds:
            world.server.kill()
    return worlds


def _figures(world: World) -> str:
    parts = [f"{count} {name}" for name, count in sorted(world.figures.items())]
    return f"{world.data.name}: {', '.join(parts)}, slowest start {world.slowest_start_seconds:.1f} s"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m tests.endurance", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--folder", type=Path, help="kept at the end; a temporary one if absent")
    args = parser.parse_args(argv)
    print(f"seed {args.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="minihttp-endurance-") as temporary:
        worlds = run(args.minutes, args.folder or Path(temporary), args.seed)
    print("nothing was lost, nothing was there twice", *map(_figures, worlds), sep="\n  ")
    return 0


if __name__ == "__main__":
    sys.exit(main())
