"""What a changed subscription does."""

from typing import Any

from minihttp import MutationCtx, internal_mutation, v


@internal_mutation(args={"subscription": v.any()})
def handle_update(ctx: MutationCtx, subscription: Any) -> None:
    row = (
        ctx.db.query("subscriptions")
        .with_index("by_subscription", lambda q: q.eq("subscriptionId", subscription["id"]))
        .unique()
    )
    if row is None:
        ctx.db.insert(
            "subscriptions", {"subscriptionId": subscription["id"], "status": subscription["status"]}
        )
    else:
        ctx.db.patch(row["_id"], {"status": subscription["status"]})
