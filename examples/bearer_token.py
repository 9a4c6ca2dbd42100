"""A route behind a bearer token: 401 without one, 403 with a wrong one, else the user it belongs to.

python -m minihttp run bearer_token:sign_up '{"name": "Ada", "email": ""}' --app bearer_token.py
"""

from typing import Any

from minihttp import (App, HandlerCtx, HttpRouter, MutationCtx, QueryCtx, Request, Schema, Table,
                      internal_mutation, internal_query, key_store, v)

schema = Schema(users=Table({"name": v.string(), "email": v.string()}))
http = HttpRouter()


@http.get("/api/user")
def user(ctx: HandlerCtx, request: Request) -> Any:
    token = key_store.require(ctx, request, header="Authorization")  # 401, 403, or the row of the token
    return ctx.run_query(get_user, id=token["data"]["userId"])


@internal_mutation(args={"name": v.string(), "email": v.string()}, returns=v.string())
def sign_up(ctx: MutationCtx, name: str, email: str) -> str:
    user_id = ctx.db.insert("users", {"name": name, "email": email})
    token: str = key_store.issue(ctx, f"sign-up of {name}", prefix="", data={"userId": user_id})["key"]
    return token  # shown once; its SHA-256 is what is stored


@internal_query(args={"id": v.id("users")})
def get_user(ctx: QueryCtx, id: str) -> Any:
    return ctx.db.get(id)


app = App(http, schema=schema, modules=[__name__])
