"""The tables of the shop."""

from minihttp import Schema, Table, v

schema = Schema(
    webhookEvents=Table(
        {"source": v.string(), "eventType": v.string(), "payload": v.any(), "processedAt": v.number()}
    ).index("by_source", ["source"]),
    users=Table({"clerkId": v.string(), "email": v.string(), "name": v.string()}).index(
        "by_clerk_id", ["clerkId"]
    ),
    items=Table({"name": v.string(), "description": v.optional(v.string())}).index("by_name", ["name"]),
    payments=Table(
        {
            "sessionId": v.string(),
            "customerId": v.nullable(v.string()),
            "receipt": v.optional(v.id("_storage")),
        }
    ).index("by_session", ["sessionId"]),
    subscriptions=Table({"subscriptionId": v.string(), "status": v.string()}).index(
        "by_subscription", ["subscriptionId"]
    ),
)
