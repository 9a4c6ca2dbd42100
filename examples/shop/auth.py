"""Who calls: API keys and tokens that the shop gives out, and signed tokens (JWT) of its own."""

from minihttp import MutationCtx, internal_mutation, key_store, v
from minihttp import auth as providers

auth = [providers.shared_secret("SHOP_TOKEN_SECRET", issuer="https://shop.example")]  # for `auth="required"`


@internal_mutation(args={"userId": v.id("users"), "name": v.string()}, returns=v.string())
def issue_key(ctx: MutationCtx, userId: str, name: str) -> str:
    key: str = key_store.issue(ctx, name, prefix="shop_", data={"userId": userId})["key"]
    return key  # shown once; its SHA-256 is what is stored


@internal_mutation(args={"key": v.string()}, returns=v.boolean())
def revoke_key(ctx: MutationCtx, key: str) -> bool:
    row = key_store.validate(ctx, key)
    return row is not None and key_store.revoke(ctx, row["_id"])


@internal_mutation(args={"userId": v.id("users")}, returns=v.string())
def issue_token(ctx: MutationCtx, userId: str) -> str:
    token: str = key_store.issue(ctx, "token", prefix="", data={"userId": userId})["key"]
    return token
