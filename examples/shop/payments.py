"""What a completed checkout does: a payment at once, a receipt in the background."""

from typing import Any

from minihttp import (
    ActionCtx,
    MutationCtx,
    QueryCtx,
    RetryPolicy,
    internal_action,
    internal_mutation,
    internal_query,
    v,
)


@internal_mutation(args={"session": v.any()})
def handle_checkout_complete(ctx: MutationCtx, session: Any) -> None:
    fields = {"sessionId": session["id"], "customerId": session.get("customer")}
    payment = ctx.db.insert("payments", fields)  # once: the inbox has seen to that
    again = RetryPolicy(max_attempts=5)
    ctx.scheduler.with_options(retry=again).run_after(0, write_receipt, payment=payment)


@internal_action(args={"payment": v.id("payments")})
def write_receipt(ctx: ActionCtx, payment: str) -> None:
    """With a retry policy it runs at least once, so it looks whether it is done. Yours may send a mail."""
    row = ctx.run_query(get, payment=payment)
    if row is None or "receipt" in row:
        return
    text = f"Paid: {row['sessionId']}\n"
    file = ctx.storage.store(text.encode(), content_type="text/plain; charset=utf-8")
    ctx.run_mutation(keep_receipt, payment=payment, file=file)


@internal_query(args={"payment": v.id("payments")})
def get(ctx: QueryCtx, payment: str) -> Any:
    return ctx.db.get(payment)


@internal_mutation(args={"payment": v.id("payments"), "file": v.id("_storage")})
def keep_receipt(ctx: MutationCtx, payment: str, file: str) -> None:
    ctx.db.patch(payment, {"receipt": file})


@internal_query(args={})
def newest(ctx: QueryCtx) -> Any:
    return ctx.db.query("payments").order("desc").take(100)
