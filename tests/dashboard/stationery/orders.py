# SPDX-License-Identifier: MIT
"""Orders: place, pay, ship."""

from typing import Any

from minihttp import MutationCtx, QueryCtx, internal_mutation, mutation, query, v

from . import mail


@query(args={"state": v.optional(v.union(v.literal("open"), v.literal("paid"), v.literal("shipped")))})
def latest(ctx: QueryCtx, state: str | None = None) -> Any:
    """The newest orders, of one state if it is given."""
    orders = ctx.db.query("orders")
    if state is not None:
        orders = orders.with_index("by_state", lambda q: q.eq("state", state))
    return orders.order("desc").take(10)


@mutation(
    args={
        "customer": v.id("customers"),
        "product": v.id("products"),
        "count": v.number(),
        "isGift": v.optional(v.boolean()),
        "note": v.optional(v.string()),
    },
    returns=v.id("orders"),
)
def place(
    ctx: MutationCtx, customer: str, product: str, count: float, isGift: bool = False, note: str = ""
) -> str:
    """Place an order of one product, and send the receipt."""
    found = ctx.db.get(product)
    assert found is not None
    line, total = {"product": product, "count": count}, found["priceCents"] * count
    order = {"customer": customer, "state": "open", "lines": [line], "totalCents": total}
    order_id: str = ctx.db.insert("orders", order)
    ctx.scheduler.run_after(0, mail.send_receipt, order=order_id)
    return order_id


@internal_mutation(args={"order": v.id("orders")})
def ship(ctx: MutationCtx, order: str) -> None:
    ctx.db.patch(order, {"state": "shipped"})


@internal_mutation(args={"delivery": v.any()})
def on_payment(ctx: MutationCtx, delivery: Any) -> None:
    """What a payment does that Stripe tells us of."""
    session = delivery["payload"]["data"]["object"]
    order = ctx.db.get(session["client_reference_id"])
    if order is None:
        raise LookupError(f"no order {session['client_reference_id']} for payment {session['id']}")
    ctx.db.patch(order["_id"], {"state": "paid"})
    payment = {"order": order["_id"], "provider": "stripe", "reference": session["id"]}
    ctx.db.insert("payments", payment)
    ctx.scheduler.run_after(86_400, ship, order=order["_id"])
