"""Create and read: a mutation, a query, and a list with `limit`.

curl -X POST …/api/items -H 'Content-Type: application/json' -d '{"name": "pen"}'
curl '…/api/items?limit=5'
"""

from typing import Any

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

schema = Schema(
    items=Table({"name": v.string(), "description": v.optional(v.string())}).index("by_name", ["name"])
)
http = HttpRouter()


@internal_mutation(args={"name": v.string(), "description": v.optional(v.string())}, returns=v.id("items"))
def create(ctx: MutationCtx, name: str, description: str | None = None) -> str:
    return ctx.db.insert("items", {"name": name, "description": description})


@internal_query(args={"id": v.id("items")})
def get(ctx: QueryCtx, id: str) -> Any:
    return ctx.db.get(id)


@internal_query(args={"limit": v.number()})
def list_items(ctx: QueryCtx, limit: float) -> Any:
    return ctx.db.query("items").order("desc").take(limit)


@http.route(path="/api/items", method="POST")
def post_item(ctx: HandlerCtx, request: Request) -> Any:
    body = request.json(dict)
    item_id = ctx.run_mutation(create, name=body["name"], description=body.get("description"))
    return Response.json(ctx.run_query(get, id=item_id), status=201)


@http.route(path="/api/items", method="GET")
def get_items(ctx: HandlerCtx, request: Request) -> Any:
    limit = request.query.get("limit", default=10, type=int, min=0, max=100)
    return Response.json(ctx.run_query(list_items, limit=limit))


app = App(http, schema=schema, modules=[__name__])
