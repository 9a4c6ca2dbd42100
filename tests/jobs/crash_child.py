# SPDX-License-Identifier: MIT
"""The process that the crash test kills: `crash_child.py DATABASE LOG [SCHEME]` runs jobs until it is gone.

Mutations count in the database, actions write a line to a file: an effect outside of any transaction.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from minihttp.limits import Limits
from tests.jobs.world import World


def make_world(path: str, log_path: str, scheme: str = "sqlite") -> World:
    """Of PostgreSQL, a world among others that share its database."""
    options: dict[str, Any] = {}
    if scheme == "postgresql":
        from storage_backends.postgresql import DocumentBackend

        limits = Limits(query_seconds=60, mutation_seconds=60, job_lease_seconds=2)
        options = {"engine": DocumentBackend, "alone": False, "limits": limits}
    world = World(path, clock=time.time, workers=4, **options)
    log = os.open(log_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def count(ctx, n):
        ctx.db.insert("counts", {"n": n})
        if n % 10 == 0:
            ctx.scheduler.run_after(0, "work:follow", n=n)

    def follow(ctx, n):
        ctx.db.insert("follows", {"n": n})

    def act(ctx, n):
        os.write(log, b"%d\n" % n)

    def kill(ctx):
        os._exit(9)

    world.mutation(kill)
    world.mutation(count)
    world.mutation(follow)
    world.action(act)
    return world


if __name__ == "__main__":
    world = make_world(*sys.argv[1:])
    world.jobs.start()
    print("running", flush=True)
    time.sleep(60)
