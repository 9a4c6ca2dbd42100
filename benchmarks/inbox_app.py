# SPDX-License-Identifier: MIT
"""The app of webhooks.py, as a user writes it; its data goes where BENCHMARK_DATA says."""

from __future__ import annotations

import os

from minihttp import (
    App,
    HandlerCtx,
    HttpRouter,
    MutationCtx,
    QueryCtx,
    Request,
    Response,
    internal_mutation,
    internal_query,
    v,
)
from minihttp.webhooks import stripe

http = HttpRouter()


@internal_mutation(args={"delivery": v.any()})
def on_event(ctx: MutationCtx, delivery: dict[str, object]) -> None:
    ctx.db.insert("seen", {"id": delivery["id"]})
    total = ctx.db.query("totals").first()
    if total is None:
        ctx.db.insert("totals", {"seen": 1})
    else:
        ctx.db.patch(total["_id"], {"seen": total["seen"] + 1})


@internal_query()
def handled(ctx: QueryCtx) -> object:
    total = ctx.db.query("totals").first()
    return 0 if total is None else total["seen"]


http.webhook("/stripe", stripe.provider(secret="BENCHMARK_KEY"), handler=None)
http.webhook("/handled", stripe.provider(secret="BENCHMARK_KEY"), handler=on_event)


@http.get("/count")
def count(ctx: HandlerCtx, request: Request) -> Response:
    return Response.json(ctx.run_query(handled))


app = App(http, modules=[__name__], data=os.environ.get("BENCHMARK_DATA", ":memory:"))
