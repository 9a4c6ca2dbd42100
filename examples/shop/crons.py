"""What happens by the clock."""

from minihttp import Crons, MutationCtx, internal_mutation

crons = Crons()


@internal_mutation(args={})
def forget_old_events(ctx: MutationCtx) -> None:
    """Webhook events older than 90 days go, a few at a time."""
    before = ctx.now() * 1000 - 90 * 86_400_000
    old = ctx.db.query("webhookEvents").with_index(
        "by_creation_time", lambda q: q.lt("_creationTime", before)
    )
    for event in old.take(100):
        ctx.db.delete(event["_id"])


crons.daily("forget old webhook events", hour_utc=3, minute_utc=30, function=forget_old_events)
