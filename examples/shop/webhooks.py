"""Deliveries: verified by an action, carried out and logged by one mutation."""

from importlib import import_module
from typing import Any

from minihttp import (
    ActionCtx,
    MutationCtx,
    QueryCtx,
    internal_action,
    internal_mutation,
    internal_query,
    v,
)

from . import payments, subscriptions, users

SECRETS = {
    "github": "GITHUB_WEBHOOK_SECRET",
    "stripe": "STRIPE_WEBHOOK_SECRET",
    "svix": "CLERK_WEBHOOK_SECRET",
}
REACTIONS: dict[tuple[str, str], tuple[Any, str]] = {
    ("stripe", "checkout.session.completed"): (payments.handle_checkout_complete, "session"),
    ("stripe", "customer.subscription.updated"): (subscriptions.handle_update, "subscription"),
    ("svix", "user.created"): (users.save, "user"),
    ("svix", "user.updated"): (users.save, "user"),
    ("svix", "user.deleted"): (users.remove, "user"),
}


@internal_action(
    args={"source": v.string(), "body": v.bytes(), "headers": v.record(v.string(), v.string())},
    returns=v.null(),
)
def verify_and_process(ctx: ActionCtx, source: str, body: bytes, headers: dict[str, Any]) -> None:
    provider = import_module(f"minihttp.webhooks.{source}")
    delivery = provider.verify(body, headers, ctx.secret(SECRETS[source]), now=ctx.now())
    event: dict[str, Any] = {
        "source": source,
        "event_type": delivery.event_type or "unknown",
        "payload": delivery.json(),
    }
    try:
        ctx.run_mutation(process, **event)
    except Exception as error:
        ctx.run_mutation(log, **event, status="failed", error=f"{type(error).__name__}: {error}")
        raise


@internal_mutation(args={"source": v.string(), "event_type": v.string(), "payload": v.any()})
def process(ctx: MutationCtx, source: str, event_type: str, payload: Any) -> None:
    """The reaction and the log entry in one transaction: both or neither."""
    reaction, parameter = REACTIONS.get((source, event_type), (None, ""))
    if reaction is not None:
        data = payload["data"]
        ctx.run_mutation(reaction, **{parameter: data["object"] if source == "stripe" else data})
    ctx.run_mutation(log, source=source, event_type=event_type, payload=payload, status="success")


@internal_mutation(
    args={
        "source": v.string(),
        "event_type": v.string(),
        "payload": v.any(),
        "status": v.string(),
        "error": v.optional(v.string()),
    }
)
def log(
    ctx: MutationCtx, source: str, event_type: str, payload: Any, status: str, error: str | None = None
) -> None:
    ctx.db.insert(
        "webhookEvents",
        {
            "source": source,
            "eventType": event_type,
            "payload": payload,
            "processedAt": ctx.now() * 1000,
            "status": status,
            "error": error,
        },
    )


@internal_query(args={"cursor": v.nullable(v.string())})
def page(ctx: QueryCtx, cursor: str | None) -> Any:
    """What was logged, 100 at a time, for whoever holds the admin key."""
    return ctx.db.query("webhookEvents").paginate(num_items=100, cursor=cursor)
