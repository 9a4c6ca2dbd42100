"""What a changed subscription does."""

from minihttp import internal_mutation, v


@internal_mutation(args={"subscription": v.any()})
def handle_update(ctx, subscription):
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
