"""The shop's routes: everything the single-file examples show, in one app.

GITHUB_WEBHOOK_SECRET=… STRIPE_WEBHOOK_SECRET=… CLERK_WEBHOOK_SECRET=… python -m minihttp serve examples/shop
"""

import logging
from typing import Any

from minihttp import Cors, HandlerCtx, HTTPError, HttpRouter, Request, Response, WebhookError
from minihttp.http import credentials

from . import auth, items, webhooks

http = HttpRouter(secrets=sorted(webhooks.SECRETS.values()))


@http.route(path="/health", method="GET")
def health(ctx: HandlerCtx, request: Request) -> Any:
    return Response.json({"status": "ok"})


@http.route(path="/api/data", method="POST", cors=Cors(["*"]))
def data(ctx: HandlerCtx, request: Request) -> Any:
    return Response.json({"received": request.json(), "filter": request.query.get("filter")})


@http.route(path="/api/form", method="POST")
def form(ctx: HandlerCtx, request: Request) -> Any:
    fields = request.form()
    return Response.json({"name": fields.get("name"), "email": fields.get("email")})


@http.route(path="/api/upload", method="POST")
def upload(ctx: HandlerCtx, request: Request) -> Any:
    content_type = request.headers.get("Content-Type", "application/octet-stream")
    return Response.json({"storageId": ctx.storage.store(request.body, content_type=content_type)})


@http.route(path_prefix="/files/", method="GET")
def download(ctx: HandlerCtx, request: Request) -> Any:
    url = ctx.storage.get_url(request.tail)
    if url is None:
        raise HTTPError(404, "File not found")
    return Response.redirect(url, 302)


@http.route(path_prefix="/api/users/", method="GET")
def user_by_path(ctx: HandlerCtx, request: Request) -> Any:
    return Response.json({"userId": request.tail})


def take_delivery(ctx: HandlerCtx, request: Request, source: Any, names: Any, missing: Any) -> Any:
    headers = {name: request.headers.get(name) for name in names}
    if not all(headers.values()):
        return Response(missing, status=400)
    optional = {name: request.headers.get(name) for name in ("X-GitHub-Event", "X-GitHub-Delivery")}
    headers |= {name: value for name, value in optional.items() if value}
    try:
        ctx.run_action(webhooks.verify_and_process, source=source, body=request.bytes(), headers=headers)
    except HTTPError:  # no secret here (503), or not JSON (400)
        raise
    except WebhookError:
        return Response("Webhook verification failed", status=400)
    except Exception:  # genuine, but it could not be carried out; it is in webhookEvents as failed
        logging.exception("webhook error")
        return Response("Webhook error", status=400)
    return Response("OK")


@http.route(path="/webhooks/github", method="POST")
def github_webhook(ctx: HandlerCtx, request: Request) -> Any:
    return take_delivery(ctx, request, "github", ["X-Hub-Signature-256"], "Missing signature")


@http.route(path="/webhooks/stripe", method="POST")
def stripe_webhook(ctx: HandlerCtx, request: Request) -> Any:
    return take_delivery(ctx, request, "stripe", ["Stripe-Signature"], "Missing signature")


@http.route(path="/webhooks/clerk", method="POST")
def clerk_webhook(ctx: HandlerCtx, request: Request) -> Any:
    return take_delivery(
        ctx, request, "svix", ["svix-id", "svix-timestamp", "svix-signature"], "Missing Svix headers"
    )


@http.route(path="/api/protected", method="GET")
def protected(ctx: HandlerCtx, request: Request) -> Any:
    digest = credentials.digest(credentials.api_key(request))  # 401 when there is none
    if not ctx.run_mutation(auth.validate_api_key, digest=digest):
        return Response.json({"error": "Invalid API key"}, status=403)
    return Response.json(ctx.run_query(items.protected_data))


@http.route(path="/api/user", method="GET")
def user(ctx: HandlerCtx, request: Request) -> Any:
    digest = credentials.digest(credentials.bearer_token(request))  # 401 when there is none
    found = ctx.run_query(auth.validate_token, digest=digest)
    if found is None:
        return Response.json({"error": "Invalid token"}, status=403)
    return Response.json(found)


@http.route(path="/api/items", method="POST")
def post_item(ctx: HandlerCtx, request: Request) -> Any:
    body = request.json(dict)
    item_id = ctx.run_mutation(items.create, name=body["name"], description=body.get("description"))
    return Response.json(ctx.run_query(items.get, id=item_id), status=201)


@http.route(path="/api/items", method="GET")
def get_items(ctx: HandlerCtx, request: Request) -> Any:
    limit = request.query.get("limit", "10")
    if not (limit.isascii() and limit.isdigit() and len(limit) <= 4):
        raise HTTPError(400, f"limit must be a whole number from 0 to 9999, not {limit!r}")
    return Response.json(ctx.run_query(items.list_items, limit=int(limit)))


@http.route(path="/api/process", method="POST")
def process(ctx: HandlerCtx, request: Request) -> Any:
    if request.media_type != "application/json":
        raise HTTPError(415, "Content-Type must be application/json")
    body = request.json(dict)
    if body.get("data") is None:
        raise HTTPError(400, "Missing required field: data")
    return Response.json({"success": True, "result": ctx.run_mutation(items.handle, data=body["data"])})
