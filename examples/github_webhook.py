"""GitHub by hand: verified in the handler, without the inbox; see docs/howto/github.md.

GITHUB_WEBHOOK_SECRET=… python -m minihttp serve examples/github_webhook.py
"""

from typing import Any

from minihttp import (App, HandlerCtx, HttpRouter, MutationCtx, Request, Response, Schema, Table,
                      WebhookError, internal_mutation, v)
from minihttp.webhooks import github

fields = {"delivery": v.string(), "event": v.string(), "payload": v.any()}
schema = Schema(events=Table(fields).index("by_delivery", ["delivery"]))
http = HttpRouter(secrets=["GITHUB_WEBHOOK_SECRET"])  # a warning at the start when it is not set


@http.route(path="/webhooks/github", method="POST", max_body=25 * 2**20)  # what GitHub may send
def github_webhook(ctx: HandlerCtx, request: Request) -> Response:
    try:
        delivery = github.verify(request.bytes(), request.headers, ctx.secret("GITHUB_WEBHOOK_SECRET"))
    except WebhookError:  # its reason is for the log, not for a stranger
        return Response("Webhook verification failed", status=400)
    ctx.run_mutation(store, id=delivery.id or "", event=delivery.event_type or "", payload=delivery.json())
    return Response("OK")


@internal_mutation(args={"id": v.string(), "event": v.string(), "payload": v.any()})
def store(ctx: MutationCtx, id: str, event: str, payload: Any) -> None:
    if ctx.db.query("events").with_index("by_delivery", lambda q: q.eq("delivery", id)).first() is None:
        ctx.db.insert("events", {"delivery": id, "event": event, "payload": payload})


app = App(http, schema=schema, modules=[__name__])
