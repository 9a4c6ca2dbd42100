# SPDX-License-Identifier: MIT
"""10,000 jobs due at once in the serving process, which goes on answering; each runs exactly once.

Replies are held against jobs, not against a clock, so that the bound is the same on any machine.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from minihttp import App, HttpRouter, Response, internal_mutation, internal_query, testing
from tests.live import live

from .world import LIMITS

JOBS = 10_000
JOBS_PER_REQUEST = 100  # at most, on the average; usually there are one or two
PATIENCE_SECONDS = 600

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


def test_health_is_answered_while_jobs_drain(tmp_path: Path) -> None:
    modules, clock = {"work": sys.modules[__name__]}, testing.Clock()
    app = App(http, modules=modules, data=tmp_path / "data", workers=4, clock=clock, limits=LIMITS)
    with app, live(app) as client:
        for first in range(0, JOBS, 1_000):
            app.run_mutation(spread, first=first, due=clock() + 1)
        clock.advance(1)
        answered = 0
        while app.database.read(lambda transaction: app.jobs.store.by_state(transaction, "pending", 1)):
            assert client.get("/health").status == 200
            answered += 1
        assert app.jobs.stop(PATIENCE_SECONDS)
        assert Counter(app.run_query(counted)) == Counter(range(JOBS))
    assert answered * JOBS_PER_REQUEST > JOBS
