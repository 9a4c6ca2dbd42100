"""Deliveries: the inbox has verified and kept them; here they are carried out and logged, exactly once."""

from typing import Any

from minihttp import MutationCtx, QueryCtx, internal_mutation, internal_query, v

from . import payments, subscriptions, users

REACTIONS: dict[tuple[str, str], tuple[Any, str]] = {
    ("stripe", "checkout.session.completed"): (payments.handle_checkout_complete, "session"),
    ("stripe", "customer.subscription.updated"): (subscriptions.handle_update, "subscription"),
    ("svix", "user.created"): (users.save, "user"),
    ("svix", "user.updated"): (users.save, "user"),
    ("svix", "user.deleted"): (users.remove, "user"),
}


@internal_mutation(args={"delivery": v.any()})
def on_event(ctx: MutationCtx, delivery: dict[str, Any]) -> None:
    """The reaction, the log entry and the end of the delivery are one transaction: all or none.

    What raises here is tried again, and is `dead` in the end: `python -m minihttp webhooks list`.
    """
    source, event_type, payload = delivery["provider"], delivery["event_type"], delivery["payload"]
    reaction, parameter = REACTIONS.get((source, event_type), (None, ""))
    if reaction is not None:
        data = payload["data"]
        ctx.run_mutation(reaction, **{parameter: data["object"] if source == "stripe" else data})
    ctx.db.insert(
        "webhookEvents",
        {
            "source": source,
            "eventType": event_type or "unknown",
            "payload": payload,
            "processedAt": ctx.now() * 1000,
        },
    )


@internal_query(args={"cursor": v.nullable(v.string())})
def page(ctx: QueryCtx, cursor: str | None) -> Any:
    """What was logged, 100 at a time, for whoever holds the admin key."""
    return ctx.db.query("webhookEvents").paginate(num_items=100, cursor=cursor)
