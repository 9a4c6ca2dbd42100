"""Users, and the refresh tokens that are in use."""

from minihttp import Schema, Table, v

schema = Schema(
    users=Table({"email": v.string(), "name": v.string(), "salt": v.bytes(), "password": v.bytes()}).index(
        "by_email", ["email"]
    ),
    sessions=Table({"userId": v.id("users"), "digest": v.string(), "expiresAt": v.number()}).index(
        "by_digest", ["digest"]
    ),
)
