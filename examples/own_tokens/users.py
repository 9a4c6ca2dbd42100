"""Functions on users and on their sessions."""

from typing import Any

from minihttp import MutationCtx, QueryCtx, RateLimit, internal_mutation, internal_query, query, v

REFRESH_SECONDS = 30 * 86_400
sign_ins = RateLimit(rate=10, period_seconds=60)


@query(args={})
def current_user(ctx: QueryCtx) -> dict[str, Any] | None:
    identity = ctx.auth.get_user_identity()
    if identity is None:
        return None
    user = ctx.db.get(identity.subject)
    return user and {"id": user["_id"], "email": user["email"], "name": user["name"]}


@internal_mutation(args={"email": v.string(), "name": v.string(), "salt": v.bytes(), "password": v.bytes()})
def create_user(ctx: MutationCtx, email: str, name: str, salt: bytes, password: bytes) -> str | None:
    if ctx.db.query("users").with_index("by_email", lambda q: q.eq("email", email)).first():
        return None
    return ctx.db.insert("users", {"email": email, "name": name, "salt": salt, "password": password})


@internal_query(args={"email": v.string()})
def find_user(ctx: QueryCtx, email: str) -> Any:
    return ctx.db.query("users").with_index("by_email", lambda q: q.eq("email", email)).unique()


@internal_mutation(args={"email": v.string()})
def count_sign_in(ctx: MutationCtx, email: str) -> None:
    sign_ins.require(ctx, f"sign-in:{email}")


@internal_mutation(args={"userId": v.id("users"), "digest": v.string()})
def begin_session(ctx: MutationCtx, userId: str, digest: str) -> None:
    expires = ctx.now() + REFRESH_SECONDS
    ctx.db.insert("sessions", {"userId": userId, "digest": digest, "expiresAt": expires})


@internal_mutation(args={"digest": v.string()})
def end_session(ctx: MutationCtx, digest: str) -> Any:
    """The user of a refresh token, which does not work again; None for one that is over."""
    session = ctx.db.query("sessions").with_index("by_digest", lambda q: q.eq("digest", digest)).unique()
    if session is None:
        return None
    ctx.db.delete(session["_id"])
    return session["userId"] if session["expiresAt"] > ctx.now() else None
