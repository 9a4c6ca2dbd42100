"""A Stripe webhook, verified by hand; the event's type decides which mutation runs.

STRIPE_WEBHOOK_SECRET=whsec_… python -m minihttp serve examples/stripe_webhook.py
"""

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
from minihttp.webhooks import stripe

schema = Schema(
    payments=Table({"sessionId": v.string(), "customerId": v.nullable(v.string())}).index(
        "by_session", ["sessionId"]
    ),
    subscriptions=Table({"subscriptionId": v.string(), "status": v.string()}).index(
        "by_subscription", ["subscriptionId"]
    ),
)
http = HttpRouter(secrets=["STRIPE_WEBHOOK_SECRET"])


@http.route(path="/webhooks/stripe", method="POST")
def stripe_webhook(ctx: HandlerCtx, request: Request) -> Any:
    signature = request.headers.get("stripe-signature")
    if not signature:
        return Response("Missing signature", status=400)
    try:
        ctx.run_action(verify_and_process, body=request.bytes(), signature=signature)
    except WebhookError:
        return Response("Webhook error", status=400)
    return Response("OK")


@internal_action(args={"body": v.bytes(), "signature": v.string()}, returns=v.null())
def verify_and_process(ctx: ActionCtx, body: bytes, signature: str) -> None:
    delivery = stripe.verify(
        body, {"Stripe-Signature": signature}, ctx.secret("STRIPE_WEBHOOK_SECRET"), now=ctx.now()
    )
    event = delivery.json()
    thing = event["data"]["object"]
    if delivery.event_type == "checkout.session.completed":
        ctx.run_mutation(handle_checkout_complete, session_id=thing["id"], customer_id=thing.get("customer"))
    elif delivery.event_type == "customer.subscription.updated":
        ctx.run_mutation(handle_update, subscription_id=thing["id"], status=thing["status"])


@internal_mutation(args={"session_id": v.string(), "customer_id": v.nullable(v.string())})
def handle_checkout_complete(ctx: MutationCtx, session_id: str, customer_id: str | None) -> None:
    known = ctx.db.query("payments").with_index("by_session", lambda q: q.eq("sessionId", session_id)).first()
    if known is None:  # Stripe delivers an event more than once
        ctx.db.insert("payments", {"sessionId": session_id, "customerId": customer_id})


@internal_mutation(args={"subscription_id": v.string(), "status": v.string()})
def handle_update(ctx: MutationCtx, subscription_id: str, status: str) -> None:
    subscription = (
        ctx.db.query("subscriptions")
        .with_index("by_subscription", lambda q: q.eq("subscriptionId", subscription_id))
        .unique()
    )
    if subscription is None:
        ctx.db.insert("subscriptions", {"subscriptionId": subscription_id, "status": status})
    else:
        ctx.db.patch(subscription["_id"], {"status": status})


app = App(http, schema=schema, modules=[__name__])
