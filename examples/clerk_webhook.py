"""Clerk (Svix headers): keeps users in step by their `clerkId`; see docs/howto/clerk.md.

CLERK_WEBHOOK_SECRET=whsec_… python -m minihttp serve examples/clerk_webhook.py
"""

from typing import Any

from minihttp import App, HttpRouter, MutationCtx, Schema, Table, internal_mutation, v
from minihttp.webhooks import clerk

fields = {"clerkId": v.string(), "email": v.string(), "name": v.string()}
schema = Schema(users=Table(fields).index("by_clerk_id", ["clerkId"]))
http = HttpRouter()


@internal_mutation
def on_event(ctx: MutationCtx, delivery: dict[str, Any]) -> None:
    user = delivery["payload"]["data"]
    known = ctx.db.query("users").with_index("by_clerk_id", lambda q: q.eq("clerkId", user["id"])).unique()
    if delivery["event_type"] == "user.deleted" and known:
        ctx.db.delete(known["_id"])
    if delivery["event_type"] not in ("user.created", "user.updated"):
        return
    addresses: list[dict[str, Any]] = user.get("email_addresses") or [{}]
    name = " ".join(filter(None, (user.get("first_name"), user.get("last_name"))))
    new = {"clerkId": user["id"], "email": addresses[0].get("email_address", ""), "name": name}
    if known:
        ctx.db.patch(known["_id"], new)
    else:
        ctx.db.insert("users", new)


# One user's deliveries are handled in the order in which they came.
provider = clerk.provider(secret="CLERK_WEBHOOK_SECRET")
http.webhook("/webhooks/clerk", provider, handler=on_event, ordered_by="data.id")
app = App(http, schema=schema, modules=[__name__])
