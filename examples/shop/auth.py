"""API keys and bearer tokens: digests only, shown once."""

from typing import Any

from minihttp import MutationCtx, QueryCtx, internal_mutation, internal_query, v
from minihttp.http import credentials


@internal_mutation(args={"userId": v.id("users"), "name": v.string()}, returns=v.string())
def issue_key(ctx: MutationCtx, userId: str, name: str) -> str:
    key, digest = credentials.new_token("shop_")
    ctx.db.insert("apiKeys", {"key": digest, "userId": userId, "name": name, "createdAt": ctx.now() * 1000})
    return key


@internal_mutation(args={"key": v.string()}, returns=v.boolean())
def revoke_key(ctx: MutationCtx, key: str) -> bool:
    row = find_key(ctx, credentials.digest(key))
    if row is None:
        return False
    ctx.db.patch(row["_id"], {"revokedAt": ctx.now() * 1000})
    return True


@internal_mutation(args={"digest": v.string()}, returns=v.boolean())
def validate_api_key(ctx: MutationCtx, digest: str) -> bool:
    row = find_key(ctx, digest)
    if row is None or "revokedAt" in row:
        return False
    ctx.db.patch(row["_id"], {"lastUsedAt": ctx.now() * 1000})
    return True


def find_key(ctx: QueryCtx, digest: str) -> Any:
    return ctx.db.query("apiKeys").with_index("by_key", lambda q: q.eq("key", digest)).unique()


@internal_mutation(args={"userId": v.id("users")}, returns=v.string())
def issue_token(ctx: MutationCtx, userId: str) -> str:
    token, digest = credentials.new_token()
    ctx.db.insert("tokens", {"digest": digest, "userId": userId})
    return token


@internal_query(args={"digest": v.string()})
def validate_token(ctx: QueryCtx, digest: str) -> Any:
    token = ctx.db.query("tokens").with_index("by_digest", lambda q: q.eq("digest", digest)).unique()
    return token and ctx.db.get(token["userId"])
