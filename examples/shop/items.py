"""Things the shop sells."""

from minihttp import internal_mutation, internal_query, mutation, query, v


@internal_mutation(args={"name": v.string(), "description": v.optional(v.string())}, returns=v.id("items"))
def create(ctx, name, description=None):
    return ctx.db.insert("items", {"name": name, "description": description})


@internal_query(args={"id": v.id("items")})
def get(ctx, id):
    return ctx.db.get(id)


@query(args={"limit": v.optional(v.number())})
def list_items(ctx, limit=10):
    return ctx.db.query("items").order("desc").take(limit)


@internal_query(args={})
def protected_data(ctx):
    return {"items": len(ctx.db.query("items").collect())}


@mutation(args={"id": v.id("items"), "description": v.optional(v.string())})
def describe(ctx, id, description=None):
    """Public: Convex's own clients may call it as `items:describe`."""
    ctx.db.patch(id, {"description": description})


@internal_mutation(args={"data": v.any()})
def handle(ctx, data):
    """What `/api/process` does with its data."""
    if data == "crash":
        raise RuntimeError("the password is hunter2")  # goes to the log, never to the caller
    return data
