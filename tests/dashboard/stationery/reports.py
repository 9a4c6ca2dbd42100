# SPDX-License-Identifier: MIT
"""Reports for the owner."""

from typing import Any

from minihttp import internal_mutation, internal_query


@internal_query(args={})
def revenue(ctx: Any) -> Any:
    """What was paid, in cents."""
    paid = ctx.db.query("orders").with_index("by_state", lambda q: q.eq("state", "paid"))
    return sum(order["totalCents"] for order in paid)


@internal_mutation(args={})
def sweep(ctx: Any) -> None:
    """Empty baskets that nobody has touched."""


@internal_mutation(args={})
def weekly(ctx: Any) -> None:
    """Write the report of the week."""
