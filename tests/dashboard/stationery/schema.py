# SPDX-License-Identifier: MIT
"""The tables of the shop that the pictures of the dashboard show."""

from minihttp import Schema, Table, v

schema = Schema(
    products=Table(
        {
            "name": v.string(),
            "priceCents": v.number(),
            "stock": v.number(),
            "category": v.union(v.literal("paper"), v.literal("ink"), v.literal("pens")),
            "picture": v.optional(v.id("_storage")),
        }
    )
    .index("by_category", ["category", "name"])
    .index("by_picture", ["picture"]),
    customers=Table({"name": v.string(), "email": v.string()}).index("by_email", ["email"]),
    orders=Table(
        {
            "customer": v.id("customers"),
            "state": v.union(v.literal("open"), v.literal("paid"), v.literal("shipped")),
            "lines": v.array(v.object({"product": v.id("products"), "count": v.number()})),
            "totalCents": v.number(),
        }
    )
    .index("by_customer", ["customer"])
    .index("by_state", ["state"]),
    payments=Table({"order": v.id("orders"), "provider": v.string(), "reference": v.string()}).index(
        "by_order", ["order"]
    ),
)
