"""Users, kept in step with Clerk by their `clerkId`."""

from minihttp import internal_mutation, internal_query, v


def by_clerk_id(ctx, clerk_id):
    return ctx.db.query("users").with_index("by_clerk_id", lambda q: q.eq("clerkId", clerk_id)).unique()


@internal_mutation(args={"user": v.any()}, returns=v.id("users"))
def save(ctx, user):
    addresses = user.get("email_addresses") or [{}]
    fields = {
        "email": addresses[0].get("email_address", ""),
        "name": " ".join(filter(None, (user.get("first_name"), user.get("last_name")))),
    }
    row = by_clerk_id(ctx, user["id"])
    if row is None:
        return ctx.db.insert("users", {"clerkId": user["id"], **fields})
    ctx.db.patch(row["_id"], fields)
    return row["_id"]


@internal_mutation(args={"user": v.any()})
def remove(ctx, user):
    row = by_clerk_id(ctx, user["id"])
    if row is not None:
        ctx.db.delete(row["_id"])


@internal_query(args={})
def all(ctx):
    return ctx.db.query("users").collect()
