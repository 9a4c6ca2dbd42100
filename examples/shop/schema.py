"""The tables of the shop."""

from minihttp import Schema, Table, v

schema = Schema(
    apiKeys=Table(
        {
            "key": v.string(),  # SHA-256 digest; the key itself is shown once and never stored
            "userId": v.id("users"),
            "name": v.string(),
            "createdAt": v.number(),
            "lastUsedAt": v.optional(v.number()),
            "revokedAt": v.optional(v.number()),
        }
    )
    .index("by_key", ["key"])
    .index("by_user", ["userId"]),
    tokens=Table({"digest": v.string(), "userId": v.id("users")}).index("by_digest", ["digest"]),
    webhookEvents=Table(
        {
            "source": v.string(),
            "eventType": v.string(),
            "payload": v.any(),
            "processedAt": v.number(),
            "status": v.union(v.literal("success"), v.literal("failed")),
            "error": v.optional(v.string()),
        }
    )
    .index("by_source", ["source"])
    .index("by_status", ["status"]),
    users=Table({"clerkId": v.string(), "email": v.string(), "name": v.string()}).index(
        "by_clerk_id", ["clerkId"]
    ),
    items=Table({"name": v.string(), "description": v.optional(v.string())}).index("by_name", ["name"]),
    payments=Table({"sessionId": v.string(), "customerId": v.nullable(v.string())}).index(
        "by_session", ["sessionId"]
    ),
    subscriptions=Table({"subscriptionId": v.string(), "status": v.string()}).index(
        "by_subscription", ["subscriptionId"]
    ),
)
