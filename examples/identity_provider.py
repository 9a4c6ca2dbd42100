"""Users of an OpenID Connect provider such as Clerk, Auth0 or WorkOS: each has notes of their own.

Put your provider's issuer and audience below; a client sends its token (Convex's: `client.setAuth`).
"""

from typing import Any

from minihttp import (App, HandlerCtx, HttpRouter, MutationCtx, QueryCtx, Request, Schema, Table, auth,
                      mutation, query, v)

http = HttpRouter()
schema = Schema(notes=Table({"owner": v.string(), "text": v.string()}).index("by_owner", ["owner"]))


@query(args={})
def mine(ctx: QueryCtx) -> list[Any]:
    identity = ctx.auth.get_user_identity()
    if identity is None:  # nobody is signed in
        return []
    owner = identity.token_identifier  # "issuer|subject": the same for every token of this user
    return ctx.db.query("notes").with_index("by_owner", lambda q: q.eq("owner", owner)).take(100)


@mutation(args={"text": v.string()})
def add(ctx: MutationCtx, text: str) -> str:
    owner = ctx.auth.require_user_identity().token_identifier  # 401 where nobody is signed in
    return ctx.db.insert("notes", {"owner": owner, "text": text})


@http.get("/me", auth="required")
def me(ctx: HandlerCtx, request: Request) -> Any:
    identity = ctx.auth.require_user_identity()
    return {"name": identity.name, "email": identity.email, "notes": len(ctx.run_query(mine))}


app = App(http, schema=schema, modules=[__name__],
          auth=[auth.oidc("https://your-app.clerk.accounts.dev", audience="convex")])
