# SPDX-License-Identifier: MIT
"""An app whose functions say who calls, with the providers of Convex's own tests."""

from typing import Any

from minihttp import (
    ActionCtx,
    App,
    HandlerCtx,
    HttpRouter,
    MutationCtx,
    QueryCtx,
    Request,
    Response,
    Schema,
    Table,
    action,
    auth,
    internal_mutation,
    internal_query,
    mutation,
    query,
    v,
)
from minihttp.errors import AuthError
from tests.auth.makers import JWKS, NOW

http = HttpRouter()
schema = Schema(seen=Table({"who": v.nullable(v.string())}))


@query(args={})
def me(ctx: QueryCtx) -> Any:
    identity = ctx.auth.get_user_identity()
    return None if identity is None else dict(identity)


@internal_query(args={})
def subject(ctx: QueryCtx) -> str | None:
    identity = ctx.auth.get_user_identity()
    return None if identity is None else identity.subject


@query(args={})
def nested(ctx: QueryCtx) -> str | None:
    return ctx.run_query(subject)


@mutation(args={})
def note(ctx: MutationCtx) -> str | None:
    who = ctx.run_query(nested)
    ctx.db.insert("seen", {"who": who})
    return ctx.run_mutation(note_again)


@internal_mutation(args={})
def note_again(ctx: MutationCtx) -> str | None:
    who = ctx.run_query(subject)
    ctx.db.insert("seen", {"who": who})
    return who


@action(args={})
def act(ctx: ActionCtx) -> list[str | None]:
    return [ctx.run_query(subject), ctx.run_mutation(note_again), ctx.run_action(act_again)]


@action(args={})
def act_again(ctx: ActionCtx) -> str | None:
    ctx.scheduler.run_after(0, note_again)
    return ctx.run_query(subject)


@mutation(args={})
def schedule(ctx: MutationCtx) -> None:
    ctx.scheduler.run_after(0, note_again)


@query(args={})
def seen(ctx: QueryCtx) -> list[Any]:
    return [document["who"] for document in ctx.db.query("seen")]


@query(args={})
@auth.required
def mine(ctx: QueryCtx) -> str:
    return ctx.auth.require_user_identity().subject


@query(args={})
def here(ctx: QueryCtx) -> str:
    return ctx.origin


@http.route(path="/who", method="GET")
def who(ctx: HandlerCtx, request: Request) -> Response:
    raw = request.headers.get("Authorization")
    try:
        identity = ctx.auth.get_user_identity()
    except AuthError as error:
        return Response.json({"raw": raw, "error": error.code})
    return Response.json({"raw": raw, "subject": identity and identity.subject})


@http.route(path="/through", method="GET")
def through(ctx: HandlerCtx, request: Request) -> Response:
    return Response.json({"query": ctx.run_query(subject), "mutation": ctx.run_mutation(note_again)})


@http.route(path="/count", method="GET")
def count(ctx: HandlerCtx, request: Request) -> Response:
    return Response.json(
        {"count": len(ctx.run_query(seen)), "origin": ctx.origin, "here": ctx.run_query(here)}
    )


@http.route(path="/required", method="POST", auth="required")
def required(ctx: HandlerCtx, request: Request) -> Response:
    return Response.json({"subject": ctx.auth.require_user_identity().subject, "body": request.json()})


http.route(path="/required-too", method="GET", handler=auth.required(who))

PROVIDERS = [
    auth.jwt(issuer="https://issuer.example.com/1", jwks=JWKS, audience="App 1"),
    auth.jwt(issuer="https://no-aud.example.com", jwks=JWKS),
    auth.jwt(issuer="https://broken.example.com", jwks="data:text/plain;base64,e30tLQ=="),
]
app = App(http, schema=schema, modules={"who": __name__}, auth=PROVIDERS, clock=lambda: NOW)
