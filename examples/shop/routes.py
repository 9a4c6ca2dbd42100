"""The shop's routes: everything the single-file examples show, in one app.

GITHUB_WEBHOOK_SECRET=… STRIPE_WEBHOOK_SECRET=… CLERK_WEBHOOK_SECRET=… python -m minihttp serve examples/shop
"""

from typing import Any

from minihttp import Cors, HandlerCtx, HTTPError, HttpRouter, Request, Response, key_store, v
from minihttp.webhooks import github, stripe, svix

from . import items, payments, users, webhooks

http = HttpRouter()

http.webhook(
    "/webhooks/github",
    github.provider(secret="GITHUB_WEBHOOK_SECRET"),
    handler=webhooks.on_event,
    max_body_bytes=25 * 2**20,  # what GitHub may send
)
http.webhook("/webhooks/stripe", stripe.provider(secret="STRIPE_WEBHOOK_SECRET"), handler=webhooks.on_event)
http.webhook(
    "/webhooks/clerk",
    svix.provider(secret="CLERK_WEBHOOK_SECRET"),
    handler=webhooks.on_event,
    ordered_by="data.id",  # one user's deliveries in the order in which they came
)


@http.get("/health")
def health(ctx: HandlerCtx, request: Request) -> Any:
    return {"status": "ok"}


@http.post("/api/data", cors=Cors(["*"]))
def data(ctx: HandlerCtx, request: Request) -> Any:
    return {"received": request.json(), "filter": request.query.get("filter")}


@http.post("/api/form")
def form(ctx: HandlerCtx, request: Request) -> Any:
    fields = request.form()
    return {"name": fields.get("name"), "email": fields.get("email")}


@http.post("/api/upload")
def upload(ctx: HandlerCtx, request: Request) -> Any:
    content_type = request.headers.get("Content-Type", "application/octet-stream")
    return {"storageId": ctx.storage.store(request.body, content_type=content_type)}


@http.get(path_prefix="/files/")
def download(ctx: HandlerCtx, request: Request) -> Any:
    url = ctx.storage.get_url(request.tail)
    if url is None:
        raise HTTPError(404, "File not found")
    return Response.redirect(url, 302)


@http.get(path_prefix="/api/users/")
def user_by_path(ctx: HandlerCtx, request: Request) -> Any:
    return {"userId": request.tail}


@http.get("/api/protected", auth=key_store.guard())  # 401 without a key, 403 for a wrong or revoked one
def protected(ctx: HandlerCtx, request: Request) -> Any:
    return ctx.run_query(items.protected_data)


@http.get("/api/payments", auth=key_store.guard())
def list_payments(ctx: HandlerCtx, request: Request) -> Any:
    return ctx.run_query(payments.newest)


@http.get("/api/user", auth=key_store.guard(header="Authorization"))
def user(ctx: HandlerCtx, request: Request) -> Any:
    return ctx.run_query(users.get, id=request.state["key"]["data"]["userId"])


@http.get("/api/me", auth="required")
def me(ctx: HandlerCtx, request: Request) -> Any:
    identity = ctx.auth.get_user_identity()  # of a token signed with SHOP_TOKEN_SECRET
    return dict(identity or {})


@http.post("/api/items", body=v.object({"name": v.string(), "description": v.optional(v.string())}))
def post_item(ctx: HandlerCtx, request: Request) -> Any:
    item_id = ctx.run_mutation(items.create, **request.json())  # 400 for what does not match `body`
    return Response.json(ctx.run_query(items.get, id=item_id), status=201)


@http.get("/api/items")
def get_items(ctx: HandlerCtx, request: Request) -> Any:
    limit = request.query.get("limit", default=10, type=int, min=0, max=9999)
    return ctx.run_query(items.list_items, limit=limit)


@http.post("/api/process")
def process(ctx: HandlerCtx, request: Request) -> Any:
    if request.media_type != "application/json":
        raise HTTPError(415, "Content-Type must be application/json")
    body = request.json(dict)
    if body.get("data") is None:
        raise HTTPError(400, "Missing required field: data")
    return {"success": True, "result": ctx.run_mutation(items.handle, data=body["data"])}
