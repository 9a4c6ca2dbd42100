# SPDX-License-Identifier: MIT
"""An app in which every effect leaves a mark that can be counted, for `tests/endurance.py`."""

from __future__ import annotations

from typing import Any

from minihttp import (
    App,
    HttpRouter,
    Response,
    Schema,
    Table,
    internal_action,
    internal_mutation,
    mutation,
    query,
    v,
)
from minihttp.webhooks import stripe

schema = Schema(
    marks=Table({"round": v.string(), "kind": v.string(), "key": v.string()}).index("by_round", ["round"])
)
http = HttpRouter()


def mark(ctx: Any, kind: str, key: str) -> None:
    ctx.db.insert("marks", {"round": key.partition("-")[0], "kind": kind, "key": key})


@mutation(args={"key": v.string()})
def note(ctx: Any, key: str) -> None:
    """A document and two jobs in one transaction, each with something to do at its end."""
    mark(ctx, "note", key)
    jobs = ctx.scheduler.with_options(on_complete=ended, context=key)
    jobs.run_after(0, follow, key=key)
    jobs.run_after(0, act, key=key)


@internal_mutation(args={"key": v.string()})
def follow(ctx: Any, key: str) -> None:
    mark(ctx, "follow", key)


@internal_action(args={"key": v.string()})
def act(ctx: Any, key: str) -> None:
    ctx.run_mutation(acted, key=key)


@internal_mutation(args={"key": v.string()})
def acted(ctx: Any, key: str) -> None:
    mark(ctx, "act", key)


@internal_mutation
def ended(ctx: Any, job_id: str, result: Any, context: str) -> None:
    mark(ctx, "ended", context)


@internal_mutation(args={"delivery": v.any()})
def on_event(ctx: Any, delivery: Any) -> None:
    mark(ctx, "delivery", delivery["payload"]["id"])


@internal_mutation(args={"key": v.string(), "id": v.string()})
def keep(ctx: Any, key: str, id: str) -> None:
    mark(ctx, "file", key)


@query(args={"round": v.string()})
def marks(ctx: Any, round: str) -> list[list[str]]:
    rows = ctx.db.query("marks").with_index("by_round", lambda q: q.eq("round", round)).collect()
    return [[row["kind"], row["key"]] for row in rows]


@http.route(path="/files/{key}", method="POST")
def store(ctx: Any, request: Any) -> dict[str, str]:
    id = ctx.storage.store(request.body)
    ctx.run_mutation(keep, key=request.path_params["key"], id=id)
    return {"id": id}


@http.route(path="/files/{id}", method="GET")
def fetch(ctx: Any, request: Any) -> Response:
    return Response(ctx.storage.get(request.path_params["id"]))


http.webhook("/webhooks/stripe", stripe.provider(secret="JOURNAL_SECRET"), handler=on_event)
app = App(http, schema=schema, modules={"journal": __name__})
