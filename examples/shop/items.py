"""Things the shop sells."""

from typing import Any

from minihttp import MutationCtx, QueryCtx, internal_mutation, internal_query, mutation, query, v


@internal_mutation(args={"name": v.string(), "description": v.optional(v.string())}, returns=v.id("items"))
def create(ctx: MutationCtx, name: str, description: str | None = None) -> str:
    return ctx.db.insert("items", {"name": name, "description": description})


@internal_query(args={"id": v.id("items")})
def get(ctx: QueryCtx, id: str) -> Any:
    return ctx.db.get(id)


MAX_LISTED = 100  # whoever asks: anybody may


@query(args={"limit": v.optional(v.number())})
def list_items(ctx: QueryCtx, limit: float = 10) -> Any:
    return ctx.db.query("items").order("desc").take(min(limit, MAX_LISTED))


@internal_query(args={})
def protected_data(ctx: QueryCtx) -> Any:
    return {"items": len(ctx.db.query("items").take(1_000))}


@mutation(args={"id": v.id("items"), "description": v.optional(v.string())})
def describe(ctx: MutationCtx, id: str, description: str | None = None) -> None:
    """Public: Convex's own clients may call it as `items:describe`."""
    ctx.db.patch(id, {"description": description})


@internal_mutation(args={"data": v.any()})
def handle(ctx: MutationCtx, data: Any) -> Any:
    """What `/api/process` does with its data."""
    if data == "crash":
        raise RuntimeError("the password is hunter2")  # goes to the log, never to the caller
    return data
