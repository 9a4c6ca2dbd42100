# SPDX-License-Identifier: MIT
"""Failover by Patroni, for as many rounds as one asks: `python -m tests.patroni_drill --rounds 6`.

Three PostgreSQL servers under Patroni with a synchronous standby (its Raft, so no etcd), and some `minihttp
serve` on a URL of all three, written to by clients. In each round the primary is lost in one of three ways:
its machine is (`kill -9` of PostgreSQL and Patroni), PostgreSQL alone is, or the operator moves it. The old
one rejoins, and what is there is held against what was acknowledged. Needs `pip install 'patroni[raft]'
'psycopg[binary]'`, in any virtual environment, and Debian's `postgresql`.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg

from tests.live import ROOT, Process
from tests.postgresql_server import INSTALLED, USER, VERSIONS, as_another_user, free_port

APP = ROOT / "tests" / "apps" / "journal.py"
NODES = 3
CLIENTS = 2  # of each process
LONG_SECONDS = 20.0
WAYS = ("machine", "postgresql", "switchover")
_READY_SECONDS = 180.0
_SETTLE_SECONDS = 180.0  # leases of jobs among them
_BEFORE_SECONDS, _AFTER_SECONDS = 2.0, 3.0  # of each round, around its failover
# Patroni takes no smaller ttl; so long a lost machine keeps its leadership.
_DYNAMIC = {
    "ttl": 20,
    "loop_wait": 1,
    "retry_timeout": 3,
    "synchronous_mode": True,
    "primary_start_timeout": 0,
    "postgresql": {
        "use_pg_rewind": True,
        "parameters": {"max_connections": 200, "max_pred_locks_per_transaction": 256},
    },
}


class Node:
    """A machine: Patroni and the PostgreSQL that it starts."""

    def __init__(self, home: Path, number: int, patroni: str, rafts: list[str]) -> None:
        self.name, self.home, self._patroni = f"node{number}", home / f"node{number}", patroni
        self.port, self.api = free_port(), free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.home.mkdir()
        self._as_user = as_another_user(self.home)
        binaries, _ = INSTALLED[VERSIONS[0]]
        place = {"listen": f"127.0.0.1:{self.api}", "connect_address": f"127.0.0.1:{self.api}"}
        config = {
            "scope": "drill",
            "name": self.name,
            "restapi": place,
            "raft": {
                "data_dir": str(self.home / "raft"),
                "self_addr": rafts[number],
                "partner_addrs": rafts[:number] + rafts[number + 1 :],
            },
            "bootstrap": {
                "dcs": _DYNAMIC,
                "initdb": [{"encoding": "UTF8"}, {"locale": "C"}, "data-checksums"],
            },
            "postgresql": {
                "listen": f"127.0.0.1:{self.port}",
                "connect_address": f"127.0.0.1:{self.port}",
                "data_dir": str(self.home / "data"),
                "bin_dir": str(binaries),
                "pgpass": str(self.home / "pgpass"),
                "authentication": {
                    "superuser": {"username": USER, "password": "drill"},
                    "replication": {"username": "replicator", "password": "drill"},
                },
                "pg_hba": ["host all all 127.0.0.1/32 trust", "host replication all 127.0.0.1/32 trust"],
                "parameters": {"unix_socket_directories": str(self.home), "shared_buffers": "32MB"},
            },
        }
        (self.home / "patroni.json").write_text(json.dumps(config))  # which is YAML

    def start(self) -> None:
        with open(self.home / "log", "ab") as log:
            self._process = subprocess.Popen(
                [*self._as_user, self._patroni, str(self.home / "patroni.json")],
                cwd=self.home,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _postgresql(self) -> list[int]:
        """All its processes (Linux)."""
        with suppress(OSError, ValueError):
            pid = int((self.home / "data" / "postmaster.pid").read_text().split()[0])
            return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
        return []

    def lose_postgresql(self) -> None:
        for pid in self._postgresql():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def lose_machine(self) -> None:
        if self._process is not None:
            self._process.kill()
            self.lose_postgresql()
            self._process.wait()

    def ask(self, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(f"http://127.0.0.1:{self.api}{path}", data, timeout=20) as reply:
            return reply.read().decode()


class Cluster:
    """Three nodes, of which one is the primary."""

    def __init__(self, home: Path, patroni: str) -> None:
        rafts = [f"127.0.0.1:{free_port()}" for _ in range(NODES)]
        self.nodes = [Node(home, number, patroni, rafts) for number in range(NODES)]

    def start(self) -> None:
        for node in self.nodes:
            node.start()
        primary = self.wait_until_whole()
        place = f"postgresql://{USER}@127.0.0.1:{primary.port}/postgres"
        with psycopg.connect(place, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {USER}".encode())

    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        return f"postgresql://{USER}@{hosts}/{USER}?target_session_attrs=read-write"

    def members(self) -> dict[str, str]:
        """What each member is, of those that stream or are the primary."""
        for node in self.nodes:
            with suppress(OSError, ValueError, http.client.HTTPException):
                members = json.loads(node.ask("/cluster"))["members"]
                return {m["name"]: m["role"] for m in members if m["state"] in ("running", "streaming")}
        return {}

    def wait_until_whole(self) -> Node:
        """Wait for a primary, a synchronous standby and another one; returns the primary."""
        end = time.monotonic() + _READY_SECONDS
        while sorted((roles := self.members()).values()) != ["leader", "replica", "sync_standby"]:
            assert time.monotonic() < end, f"the cluster is not whole: {roles}"
            threading.Event().wait(0.2)
        [primary] = [node for node in self.nodes if roles[node.name] == "leader"]
        return primary

    def lose(self, primary: Node, way: str) -> None:
        if way == "machine":
            primary.lose_machine()
        elif way == "postgresql":
            primary.lose_postgresql()
        else:
            primary.ask("/switchover", {"leader": primary.name})

    def stop(self) -> None:
        for node in self.nodes:
            node.lose_machine()


class Journal:
    """What clients have asked for in one round, and what they were told."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.sent: set[str] = set()
        self.acknowledged: set[str] = set()
        self.errors: list[str] = []
        self.waits: list[float] = []
        self.ended = threading.Event()

    def write(self, server: Process, client: int, patience_seconds: float) -> None:
        """One client: a note after the other, until the round ends."""
        address = (server.client.host, server.client.port)
        count = 0
        while not self.ended.is_set():
            count += 1
            key = f"{self.number}-{client}-{count}"
            self.sent.add(key)
            began = time.monotonic()
            try:
                connection = http.client.HTTPConnection(*address, timeout=patience_seconds)
                body = json.dumps({"path": "journal:note", "args": {"key": key}})
                connection.request("POST", "/api/mutation", body, {"Content-Type": "application/json"})
                response = connection.getresponse()
                text = response.read().decode()
                if response.status == 200 and json.loads(text)["status"] == "success":
                    self.acknowledged.add(key)
                else:
                    self.errors.append(f"{response.status} {text[:200]}")
            except (OSError, http.client.HTTPException) as error:
                self.errors.append(repr(error))
            finally:
                connection.close()
            self.waits.append(time.monotonic() - began)


class Drill:
    """The cluster, the processes, and the figures of all rounds."""

    def __init__(self, home: Path, patroni: str, processes: int, patience_seconds: float) -> None:
        self.patience_seconds = patience_seconds
        self.figures: Counter[str] = Counter()
        self.errors: list[str] = []
        self.longest: dict[str, float] = {}
        self.servers: list[Process] = []
        self.cluster = Cluster(home, patroni)
        self._home, self._count = home, processes

    def start(self) -> None:
        self.cluster.start()
        limits = dict.fromkeys(("MINIHTTP_LIMITS_QUERY_SECONDS", "MINIHTTP_LIMITS_MUTATION_SECONDS"), "5")
        for number in range(self._count):
            options = ("--data", self.cluster.url(), "--files", str(self._home / "files"))
            env = {"JOURNAL_SECRET": "whsec_drill", **limits}
            data = self._home / f"server{number}"
            quiet = ("--log-level", "warning")
            self.servers.append(Process(APP, data, *options, *quiet, env=env, module="minihttp"))

    def round(self, number: int, way: str) -> str:
        """One failover under load; returns a line about it."""
        primary = self.cluster.wait_until_whole()
        journal = Journal(number)
        clients = [
            threading.Thread(target=journal.write, args=(server, n * CLIENTS + k, self.patience_seconds))
            for n, server in enumerate(self.servers)
            for k in range(CLIENTS)
        ]
        for client in clients:
            client.start()
        threading.Event().wait(_BEFORE_SECONDS)
        before, began = len(journal.acknowledged), time.monotonic()
        self.cluster.lose(primary, way)
        self._wait(lambda: primary.name not in self.cluster.members() or self._moved(primary), "it goes")
        self._wait(
            lambda: "leader" in self.cluster.members().values() and self._moved(primary), "another comes"
        )
        promoted_seconds = time.monotonic() - began
        threading.Event().wait(_AFTER_SECONDS)
        if way == "machine":
            primary.start()
        journal.ended.set()
        for thread in clients:
            thread.join()
        self.cluster.wait_until_whole()
        rejoined_seconds = time.monotonic() - began
        self._hold_against(journal)
        longest = max(journal.waits)
        self.longest[way] = max(self.longest.get(way, 0.0), longest)
        self.figures[f"failovers ({way})"] += 1
        self.figures["acknowledged"] += len(journal.acknowledged)
        self.figures["errors"] += len(journal.errors)
        self.figures[f"waits above {LONG_SECONDS:g} s"] += sum(s > LONG_SECONDS for s in journal.waits)
        self.errors += journal.errors
        return (
            f"round {number}, {way}: another primary after {promoted_seconds:.1f} s, all three after"
            f" {rejoined_seconds:.1f} s; {len(journal.acknowledged)} acknowledged ({before} before),"
            f" {len(journal.errors)} errors, longest wait {longest:.1f} s"
        )

    def _moved(self, primary: Node) -> bool:
        roles = self.cluster.members()
        return any(role == "leader" and name != primary.name for name, role in roles.items())

    @staticmethod
    def _wait(there: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + _READY_SECONDS
        while not there():
            assert time.monotonic() < end, f"not in time: {what}"
            threading.Event().wait(0.1)

    def _hold_against(self, journal: Journal) -> None:
        """Count what was lost and what is there twice, once all jobs have ended."""
        end = time.monotonic() + _SETTLE_SECONDS
        while not self._settled(there := self._marks(journal.number)) and time.monotonic() < end:
            threading.Event().wait(0.5)
        notes = there["note"]
        self.figures["lost"] += len(journal.acknowledged - set(notes))
        self.figures["never sent"] += len(set(notes) - journal.sent)
        for kind, times in (("note", 1), ("follow", 1), ("act", 1), ("ended", 2)):
            self.figures["double"] += sum(count > times for count in there[kind].values())
        self.figures["scheduled mutations that did not run"] += len(set(notes) - set(there["follow"]))
        self.figures["completions that did not run"] += 2 * len(notes) - sum(there["ended"].values())
        self.figures["actions that failed"] += len(set(notes) - set(there["act"]))
        self.figures["jobs"] += 2 * len(notes)

    def _marks(self, number: int) -> dict[str, Counter[str]]:
        reply = self.servers[0].client.post(
            "/api/query", {"path": "journal:marks", "args": {"round": str(number)}}
        )
        found: dict[str, Counter[str]] = {kind: Counter() for kind in ("note", "follow", "act", "ended")}
        for kind, key in reply.json()["value"]:
            found[kind][key] += 1
        return found

    @staticmethod
    def _settled(there: dict[str, Counter[str]]) -> bool:
        return sum(there["ended"].values()) >= 2 * len(there["note"])

    def close(self) -> None:
        for server in self.servers:
            server.kill()
        self.cluster.stop()


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m tests.patroni_drill", description=__doc__)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("--patience", type=float, default=60.0, help="seconds that a client waits")
    parser.add_argument("--patroni", default=shutil.which("patroni"), help="the program")
    parser.add_argument(
        "--ways", nargs="+", choices=WAYS, default=WAYS, help="how the primary is lost, in turn"
    )
    args = parser.parse_args(argv)
    if args.patroni is None:
        parser.error("the program patroni is not installed; --patroni says where it is")
    home = Path(tempfile.mkdtemp(prefix="minihttp-patroni-"))
    home.chmod(0o755)
    drill = Drill(home, args.patroni, args.processes, args.patience)
    try:
        drill.start()
        for number in range(args.rounds):
            print(drill.round(number, args.ways[number % len(args.ways)]), flush=True)
    finally:
        drill.close()
    for name, count in sorted(drill.figures.items()):
        print(f"{name}: {count}")
    print("longest wait: " + ", ".join(f"{way} {seconds:.1f} s" for way, seconds in drill.longest.items()))
    for error, count in Counter(drill.errors).most_common(10):
        print(f"{count} × {error}")
    shutil.rmtree(home, ignore_errors=True)
    return int(any(drill.figures[bad] for bad in ("lost", "double", "never sent", "errors")))


if __name__ == "__main__":
    sys.exit(main())
