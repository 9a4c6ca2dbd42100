# SPDX-License-Identifier: MIT
"""Failover: a primary with a synchronous standby, four processes, and the end of the primary's machine.

Nothing that was acknowledged is lost, nothing takes effect twice, and no client that waits sees an error.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.documents import ROOT, Oops
from tests.postgresql_server import USER, Server, postgresql

SCHEMA = "failover"


@pytest.fixture
def pair() -> Iterator[tuple[Server, Server]]:
    version = postgresql().version
    primary = Server(version, synchronous_commit="on").create()
    standby = Server(version)
    source = f"host=127.0.0.1 port={primary.port} user={USER} application_name=sb"
    standby.run("pg_basebackup", "-D", str(standby.directory), "-R", "-X", "stream", "-C", "-S", "sb",
                "-c", "fast", "-d", source)  # fmt: skip
    standby.start()
    primary.execute("ALTER SYSTEM SET synchronous_standby_names = 'sb'")
    primary.execute("SELECT pg_reload_conf()")
    end = time.monotonic() + 60
    while primary.execute("SELECT sync_state FROM pg_stat_replication") != [("sync",)]:
        assert time.monotonic() < end, primary.execute("SELECT * FROM pg_stat_replication")
        threading.Event().wait(0.1)
    yield primary, standby
    primary.remove()
    standby.remove()


def location(pair: tuple[Server, Server]) -> str:
    hosts = ",".join(f"127.0.0.1:{server.port}" for server in pair)
    return f"//{USER}@{hosts}/{USER}?options=-csearch_path%3D{SCHEMA}"


def test_the_primary_is_killed_under_four_processes(pair: tuple[Server, Server], tmp_path: Path) -> None:
    primary, standby = pair
    stop = tmp_path / "stop"
    children = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.test_failover", location(pair), str(n), str(stop)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for n in range(4)
    ]
    try:
        for child in children:
            assert child.stdout is not None and child.stderr is not None
            assert child.stdout.readline() == "ready\n", child.stderr.read()
        threading.Event().wait(2)
        primary.stop(signal.SIGKILL)
        threading.Event().wait(0.3)
        standby.execute("SELECT pg_promote()", database="postgres")
        threading.Event().wait(4)
        stop.touch()
        outcomes = [child.communicate(timeout=120) for child in children]
    finally:
        for child in children:
            child.kill()
    assert [child.returncode for child in children] == [0] * 4, [errors[-2_000:] for _, errors in outcomes]
    acknowledged = [line for out, _ in outcomes for line in out.split()]
    assert len(acknowledged) > 50
    assert len(set(acknowledged)) == len(acknowledged)

    from storage_backends.postgresql import DocumentBackend
    from tests.jobs.world import World

    world = World(standby.location(SCHEMA), engine=DocumentBackend, clock=time.time, alone=False)
    kept = Counter(row["key"] for row in world.rows("marks"))
    assert max(kept.values()) == 1, "nothing twice"
    assert set(acknowledged) <= set(kept), "nothing lost"
    [hot] = world.rows("hot")
    assert hot["count"] == len(kept)
    followed = Counter(row["key"] for row in world.rows("followed"))
    assert followed == kept, "each job once"
    world.close()


def main(location: str, number: str, stop: str) -> None:
    """One process: two threads of mutations, each of which schedules a job; their keys once acknowledged."""
    from storage_backends.postgresql import DocumentBackend
    from tests.contracts.documents import together
    from tests.jobs.world import World

    world = World(location, engine=DocumentBackend, clock=time.time, workers=2, alone=False)

    def mark(ctx, key):
        ctx.db.insert("marks", {"key": key})
        hot = ctx.db.query("hot").first()
        if hot is None:
            ctx.db.insert("hot", {"count": 1})
        else:
            ctx.db.patch(hot["_id"], {"count": hot["count"] + 1})
        ctx.scheduler.run_after(0, "work:follow", key=key)

    def follow(ctx, key):
        ctx.db.insert("followed", {"key": key})

    world.mutation(mark)
    world.mutation(follow)
    world.jobs.start()
    print("ready", flush=True)

    def work(thread: int) -> None:
        count = 0
        while not os.path.exists(stop):
            count += 1
            key = f"{number}-{thread}-{count}"
            world.runner.run("work:mark", {"key": key})
            os.write(1, f"{key}\n".encode())
            world.runner.run("work:seen", {"key": key})

    def seen(ctx, key):
        if not any(row["key"] == key for row in ctx.db.query("marks").order("desc").take(500)):
            raise Oops("what was acknowledged is not there")

    world.query(seen)
    together([lambda: work(0), lambda: work(1)])
    end = time.monotonic() + 60
    while not all(row["state"]["kind"] == "success" for row in world.rows("_scheduled_functions")):
        assert time.monotonic() < end
        threading.Event().wait(0.1)
    world.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
