# SPDX-License-Identifier: MIT
"""10,000 jobs due at once in the serving process, which goes on answering; each runs exactly once."""

from __future__ import annotations

import statistics
import sys
import time
from collections import Counter
from pathlib import Path

from minihttp import App, HttpRouter, Response, internal_mutation, internal_query
from tests.live import live

JOBS = 10_000
HEALTHY_SECONDS = (
    0.050  # the median is held to it: the machine is shared, and a single pause is nobody's fault
)
PATIENCE_SECONDS = 120

http = HttpRouter()
http.route(path="/health", method="GET", handler=lambda ctx, request: Response("ok"))


@internal_mutation
def spread(ctx, first, due):
    for n in range(first, first + 1_000):
        ctx.scheduler.run_at(due, count, n=n)


@internal_mutation
def count(ctx, n):
    ctx.db.insert("counts", {"n": n})


@internal_query
def counted(ctx):
    return [row["n"] for row in ctx.db.query("counts")]


def test_health_stays_fast_while_jobs_drain(tmp_path: Path) -> None:
    app = App(http, modules={"work": sys.modules[__name__]}, data=tmp_path / "data", workers=4)
    with app, live(app) as client:
        diary, due = app.jobs.diary, app.clock() + 1
        for first in range(0, JOBS, 1_000):
            app.run_mutation(spread, first=first, due=due)
        seconds, deadline = [], time.monotonic() + PATIENCE_SECONDS
        while app.database.read(lambda transaction: diary.by_state(transaction, "pending", 1)):
            assert time.monotonic() < deadline
            for _ in range(10):
                begun = time.perf_counter()
                assert client.get("/health").status == 200
                seconds.append(time.perf_counter() - begun)
        assert app.jobs.stop(PATIENCE_SECONDS)
        assert Counter(app.run_query(counted)) == Counter(range(JOBS))
    assert statistics.median(seconds) < HEALTHY_SECONDS, (
        f"of {len(seconds)}, the longest {max(seconds):.3f} s"
    )
