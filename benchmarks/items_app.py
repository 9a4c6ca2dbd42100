# SPDX-License-Identifier: MIT
"""The app of documents_http.py, as a user writes it; its data goes where BENCHMARK_DATA says."""

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
    Schema,
    Table,
    internal_mutation,
    internal_query,
    v,
)

LIST_ROWS = 30
FIELDS = {
    "name": v.string(),
    "email": v.string(),
    "age": v.number(),
    "active": v.boolean(),
    "body": v.string(),
}
http = HttpRouter()


@internal_mutation(args=FIELDS)
def create(ctx: MutationCtx, **item: object) -> object:
    return {"id": ctx.db.insert("items", item)}


@internal_query(args={"id": v.id("items")})
def get(ctx: QueryCtx, id: str) -> object:
    return ctx.db.get(id)


@internal_query(args={"name": v.string()})
def by_name(ctx: QueryCtx, name: str) -> object:
    return ctx.db.query("items").with_index("by_name", lambda q: q.eq("name", name)).take(LIST_ROWS)


http.mutation("/items", create, status=201)


@http.post("/handled")
def create_in_a_handler(ctx: HandlerCtx, request: Request) -> Response:
    return Response.json(ctx.run_mutation(create, **request.json(dict)), status=201)


@http.get("/items/{id}")
def get_item(ctx: HandlerCtx, request: Request) -> Response:
    return Response.json(ctx.run_query(get, id=request.path_params["id"]))


@http.get("/items")
def list_items(ctx: HandlerCtx, request: Request) -> Response:
    return Response.json(ctx.run_query(by_name, name=request.query["name"]))


schema = Schema(items=Table(FIELDS).index("by_name", ["name"]))
app = App(http, schema=schema, modules=[__name__], data=os.environ.get("BENCHMARK_DATA", ":memory:"))
