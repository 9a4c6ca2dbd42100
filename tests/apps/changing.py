# SPDX-License-Identifier: MIT
"""An app with the schema that `SCHEMA` names; its taking in is held until there is a file `GO_ON`."""

from __future__ import annotations

import os
import threading
from typing import Any

from minihttp import (
    App,
    HttpRouter,
    Response,
    Schema,
    Table,
    internal_action,
    internal_mutation,
    internal_query,
    v,
)
from minihttp.webhooks import github

_LOOK_SECONDS = 0.01
NAMES = {
    "old": v.optional(v.string()),
    "narrower": v.optional(v.union(v.literal("a"), v.literal("b"))),
    "indexed": v.optional(v.string()),
}


def schema_of(name: str) -> Schema:
    items = Table({"n": v.number(), "name": NAMES[name]}).index("by_n", ["n"])
    if name == "indexed":
        items.index("by_name", ["name"])
    return Schema(items=items, notes=Table({"text": v.string()}).index("by_text", ["text"]))


http = HttpRouter()


@internal_mutation(args={"text": v.string()})
def note(ctx: Any, text: str) -> Any:
    return ctx.db.insert("notes", {"text": text})


@internal_query
def notes(ctx: Any) -> Any:
    return sorted(row["text"] for row in ctx.db.query("notes"))


@internal_query
def first(ctx: Any) -> Any:
    return ctx.db.query("items").with_index("by_n").first()


@internal_query
def named(ctx: Any) -> Any:
    return len(ctx.db.query("items").with_index("by_name", lambda q: q.eq("name", "b")).take(100))


@internal_mutation
def note_item(ctx: Any) -> None:
    ctx.db.insert("notes", {"text": f"mutation saw {ctx.db.query('items').first()['n']:g}"})


@internal_action
def act_on_item(ctx: Any) -> None:
    ctx.run_mutation(note, text=f"action saw {ctx.run_query(first)['n']:g}")


@internal_mutation
def schedule(ctx: Any) -> None:
    ctx.scheduler.run_after(0, note_item)
    ctx.scheduler.run_after(0, act_on_item)
    ctx.scheduler.run_after(0, note, text="job")


@internal_mutation
def on_event(ctx: Any, delivery: Any) -> None:
    ctx.db.insert("notes", {"text": f"hook {delivery['id']}"})


@internal_mutation
def on_item_event(ctx: Any, delivery: Any) -> None:
    ctx.db.insert("notes", {"text": f"hook saw {ctx.db.query('items').first()['n']:g}"})


http.mutation("/notes", note, status=201)
http.mutation("/jobs", schedule)
http.webhook("/hook", github.provider(secret="GITHUB_WEBHOOK_SECRET"), handler=on_event)
http.webhook("/hook/items", github.provider(secret="GITHUB_WEBHOOK_SECRET"), handler=on_item_event)


@http.route(path="/notes", method="GET")
def get_notes(ctx: Any, request: Any) -> Response:
    return Response.json(ctx.run_query(notes))


@http.route(path="/items/first", method="GET")
def get_first(ctx: Any, request: Any) -> Response:
    return Response.json(ctx.run_query(first))


@http.route(path="/items/named", method="GET")
def get_named(ctx: Any, request: Any) -> Response:
    return Response.json(ctx.run_query(named))


app = App(http, schema=schema_of(os.environ.get("SCHEMA", "old")), modules=[__name__])


def _hold(what: str, done: int, total: int) -> None:
    if threading.current_thread().name == "minihttp-schema":
        while not os.path.exists(os.environ["GO_ON"]):
            threading.Event().wait(_LOOK_SECONDS)


if "GO_ON" in os.environ:
    app.progress = _hold
