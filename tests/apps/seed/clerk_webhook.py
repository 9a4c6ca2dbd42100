"""A Clerk webhook (Svix headers) that keeps users in step by their `clerkId`."""

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
    WebhookError,
    internal_action,
    internal_mutation,
    v,
)
from minihttp.webhooks import svix

schema = Schema(
    users=Table({"clerkId": v.string(), "email": v.string(), "name": v.string()}).index(
        "by_clerk_id", ["clerkId"]
    )
)
http = HttpRouter(secrets=["CLERK_WEBHOOK_SECRET"])
SVIX_HEADERS = ("svix-id", "svix-timestamp", "svix-signature")


@http.route(path="/webhooks/clerk", method="POST")
def clerk_webhook(ctx: HandlerCtx, request: Request) -> Any:
    headers = {name: request.headers.get(name) for name in SVIX_HEADERS}
    if not all(headers.values()):
        return Response("Missing Svix headers", status=400)
    try:
        ctx.run_action(verify_and_process, body=request.bytes(), headers=headers)
    except WebhookError:
        return Response("Webhook verification failed", status=400)
    return Response("OK")


@internal_action(args={"body": v.bytes(), "headers": v.record(v.string(), v.string())}, returns=v.null())
def verify_and_process(ctx: ActionCtx, body: bytes, headers: dict[str, Any]) -> None:
    delivery = svix.verify(body, headers, ctx.secret("CLERK_WEBHOOK_SECRET"), now=ctx.now())
    user = delivery.json()["data"]
    if delivery.event_type in ("user.created", "user.updated"):
        addresses: list[dict[str, Any]] = user.get("email_addresses") or [{}]
        names = (user.get("first_name"), user.get("last_name"))
        ctx.run_mutation(
            save,
            clerk_id=user["id"],
            email=addresses[0].get("email_address", ""),
            name=" ".join(filter(None, names)),
        )
    elif delivery.event_type == "user.deleted":
        ctx.run_mutation(remove, clerk_id=user["id"])


def by_clerk_id(ctx: QueryCtx, clerk_id: str) -> Any:
    return ctx.db.query("users").with_index("by_clerk_id", lambda q: q.eq("clerkId", clerk_id)).unique()


@internal_mutation(args={"clerk_id": v.string(), "email": v.string(), "name": v.string()})
def save(ctx: MutationCtx, clerk_id: str, email: str, name: str) -> None:
    user = by_clerk_id(ctx, clerk_id)
    if user is None:
        ctx.db.insert("users", {"clerkId": clerk_id, "email": email, "name": name})
    else:
        ctx.db.patch(user["_id"], {"email": email, "name": name})


@internal_mutation(args={"clerk_id": v.string()})
def remove(ctx: MutationCtx, clerk_id: str) -> None:
    user = by_clerk_id(ctx, clerk_id)
    if user is not None:
        ctx.db.delete(user["_id"])


app = App(http, schema=schema, modules=[__name__])
