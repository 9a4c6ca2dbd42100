"""Users, kept in step with Clerk by their `clerkId`."""

from typing import Any

from minihttp import MutationCtx, QueryCtx, internal_mutation, internal_query, v


def by_clerk_id(ctx: QueryCtx, clerk_id: str) -> Any:
    return ctx.db.query("users").with_index("by_clerk_id", lambda q: q.eq("clerkId", clerk_id)).unique()


@internal_mutation(args={"user": v.any()}, returns=v.id("users"))
def save(ctx: MutationCtx, user: Any) -> str:
    addresses: list[dict[str, Any]] = user.get("email_addresses") or [{}]
    fields: dict[str, Any] = {
        "email": addresses[0].get("email_address", ""),
        "name": " ".join(filter(None, (user.get("first_name"), user.get("last_name")))),
    }
    row = by_clerk_id(ctx, user["id"])
    if row is None:
        return ctx.db.insert("users", {"clerkId": user["id"], **fields})
    user_id: str = row["_id"]
    ctx.db.patch(user_id, fields)
    return user_id


@internal_mutation(args={"user": v.any()})
def remove(ctx: MutationCtx, user: Any) -> None:
    row = by_clerk_id(ctx, user["id"])
    if row is not None:
        ctx.db.delete(row["_id"])


@internal_query(args={})
def all(ctx: QueryCtx) -> Any:
    return ctx.db.query("users").collect()


@internal_query(args={"id": v.id("users")})
def get(ctx: QueryCtx, id: str) -> Any:
    return ctx.db.get(id)
