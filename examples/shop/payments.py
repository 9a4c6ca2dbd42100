"""What a completed checkout does."""

from typing import Any

from minihttp import MutationCtx, internal_mutation, v


@internal_mutation(args={"session": v.any()})
def handle_checkout_complete(ctx: MutationCtx, session: Any) -> None:
    known = (
        ctx.db.query("payments").with_index("by_session", lambda q: q.eq("sessionId", session["id"])).first()
    )
    if known is None:  # Stripe delivers an event more than once
        ctx.db.insert("payments", {"sessionId": session["id"], "customerId": session.get("customer")})
