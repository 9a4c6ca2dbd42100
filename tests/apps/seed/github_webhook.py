"""A GitHub webhook: the handler hands event, body and signature to an action, which verifies and stores."""

from typing import Any

from minihttp import (
    ActionCtx,
    App,
    HandlerCtx,
    HttpRouter,
    MutationCtx,
    Request,
    Response,
    Schema,
    Table,
    WebhookError,
    internal_action,
    internal_mutation,
    v,
)
from minihttp.webhooks import github

schema = Schema(events=Table({"event": v.string(), "payload": v.any()}).index("by_event", ["event"]))
http = HttpRouter(secrets=["GITHUB_WEBHOOK_SECRET"])


@http.route(path="/webhooks/github", method="POST")
def github_webhook(ctx: HandlerCtx, request: Request) -> Any:
    event = request.headers.get("X-GitHub-Event", "unknown")
    signature = request.headers.get("X-Hub-Signature-256")
    if not signature:
        return Response("Missing signature", status=400)
    try:
        ctx.run_action(process_webhook, event=event, body=request.bytes(), signature=signature)
    except WebhookError:
        return Response("Webhook verification failed", status=400)
    return Response("OK")


@internal_action(args={"event": v.string(), "body": v.bytes(), "signature": v.string()}, returns=v.null())
def process_webhook(ctx: ActionCtx, event: str, body: bytes, signature: str) -> None:
    delivery = github.verify(
        body, {"X-Hub-Signature-256": signature}, ctx.secret("GITHUB_WEBHOOK_SECRET"), now=ctx.now()
    )
    ctx.run_mutation(store, event=event, payload=delivery.json())


@internal_mutation(args={"event": v.string(), "payload": v.any()})
def store(ctx: MutationCtx, event: str, payload: Any) -> None:
    ctx.db.insert("events", {"event": event, "payload": payload})


app = App(http, schema=schema, modules=[__name__])
