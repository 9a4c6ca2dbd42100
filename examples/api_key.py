"""A route behind an API key: 401 without one, 403 with a wrong or revoked one. Only digests are stored.

python -c 'from examples.api_key import app; print(app.run_mutation("examples/api_key:issue", name="laptop"))'
"""

from typing import Any

from minihttp import App, HandlerCtx, HttpRouter, MutationCtx, Request, internal_mutation, key_store, v

http = HttpRouter()


@http.route(path="/api/protected", method="GET")
def protected(ctx: HandlerCtx, request: Request) -> dict[str, Any]:
    key = key_store.require(ctx, request)
    return {"secret": "the cake is real", "for": key["name"]}


@internal_mutation(args={"name": v.string()}, returns=v.string())
def issue(ctx: MutationCtx, name: str) -> str:
    key: str = key_store.issue(ctx, name)["key"]
    return key


@internal_mutation(args={"name": v.string()})
def revoke(ctx: MutationCtx, name: str) -> None:
    for key in key_store.listed(ctx):
        if key["name"] == name:
            key_store.revoke(ctx, key["_id"])


app = App(http, modules=[__name__])
