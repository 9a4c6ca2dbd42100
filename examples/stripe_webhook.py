"""Stripe: each delivery is verified, kept and handled exactly once; see docs/howto/stripe.md.

STRIPE_WEBHOOK_SECRET=whsec_… python -m minihttp serve examples/stripe_webhook.py
"""

from typing import Any

from minihttp import App, HttpRouter, MutationCtx, Schema, Table, internal_mutation, v
from minihttp.webhooks import stripe

schema = Schema(
    payments=Table({"sessionId": v.string(), "customerId": v.nullable(v.string())}),
    subscriptions=Table({"id": v.string(), "status": v.string()}).index("by_stripe_id", ["id"]),
)
http = HttpRouter()


@internal_mutation
def on_event(ctx: MutationCtx, delivery: dict[str, Any]) -> None:
    """One transaction: what it writes and the end of the delivery are one commit."""
    thing = delivery["payload"]["data"]["object"]
    if delivery["event_type"] == "checkout.session.completed":
        ctx.db.insert("payments", {"sessionId": thing["id"], "customerId": thing.get("customer")})
    elif delivery["event_type"] == "customer.subscription.updated":
        rows = ctx.db.query("subscriptions").with_index("by_stripe_id", lambda q: q.eq("id", thing["id"]))
        if known := rows.unique():
            ctx.db.patch(known["_id"], {"status": thing["status"]})
        else:
            ctx.db.insert("subscriptions", {"id": thing["id"], "status": thing["status"]})


# `ordered_by`: the deliveries of one object are handled one after the other, in the order in which they came.
provider = stripe.provider(secret="STRIPE_WEBHOOK_SECRET")  # the name of an environment variable
http.webhook("/webhooks/stripe", provider, handler=on_event, ordered_by="data.object.id")
app = App(http, schema=schema, modules=[__name__])
