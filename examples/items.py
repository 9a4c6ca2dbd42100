"""Documents: a mutation that writes, a query that reads, a list with `limit`.

curl http://127.0.0.1:8080/api/items -H 'Content-Type: application/json' -d '{"name": "pen"}'
"""

from typing import Any

from minihttp import (App, HandlerCtx, HttpRouter, MutationCtx, QueryCtx, Request, Response, Schema, Table,
                      internal_mutation, internal_query, v)

schema = Schema(items=Table({"name": v.string(), "description": v.optional(v.string())}))
http = HttpRouter()


@internal_mutation(args={"name": v.string(), "description": v.optional(v.string())}, returns=v.any())
def create(ctx: MutationCtx, name: str, description: str | None = None) -> Any:
    return ctx.db.get(ctx.db.insert("items", {"name": name, "description": description}))  # None: left out


@internal_query(args={"limit": v.number()})
def newest(ctx: QueryCtx, limit: float) -> Any:
    return ctx.db.query("items").order("desc").take(limit)  # ids are in the order of creation


@http.post("/api/items")
def post_item(ctx: HandlerCtx, request: Request) -> Response:
    body = request.json(dict)  # 400 for what is not JSON or no object; 400 for a missing field below
    item = ctx.run_mutation(create, name=body["name"], description=body.get("description"))
    return Response.json(item, status=201)  # the mutation is committed and synced by now


@http.get("/api/items")
def get_items(ctx: HandlerCtx, request: Request) -> Any:
    return ctx.run_query(newest, limit=request.query.get("limit", default=10, type=int, min=0, max=100))


app = App(http, schema=schema, modules=[__name__])
