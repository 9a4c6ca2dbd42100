"""An app that issues its own tokens: sign up, sign in, refresh, sign out, revoke; no other service.

A sign-in gives an access token for 15 minutes (a JWT, checked without the database) and a refresh token for
30 days (random, its digest stored), which works once: the next refresh token replaces it.

export APP_SECRET=$(python -c 'import secrets; print(secrets.token_urlsafe(32))')
python -m minihttp serve examples/own_tokens.py
"""

import hashlib
import hmac
import secrets
from typing import Any

from minihttp import (App, HandlerCtx, HTTPError, HttpRouter, MutationCtx, QueryCtx, RateLimit, Request,
                      Response, Schema, Table, auth, internal_mutation, internal_query, query, v)
from minihttp.http import credentials

ISSUER = "https://own-tokens.example.com"
ACCESS_SECONDS, REFRESH_SECONDS = 15 * 60, 30 * 86_400
SCRYPT = {"n": 2**14, "r": 8, "p": 5, "maxmem": 64 * 1024 * 1024}  # OWASP's parameters for 16 MiB

USER = {"email": v.string(), "name": v.string(), "salt": v.bytes(), "password": v.bytes()}
SESSION = {"userId": v.id("users"), "digest": v.string()}
schema = Schema(
    users=Table(USER).index("by_email", ["email"]),
    sessions=Table({**SESSION, "expiresAt": v.number()})
    .index("by_digest", ["digest"])
    .index("by_user", ["userId"]),
)
sign_ins = RateLimit(rate=10, period_seconds=60)
http = HttpRouter()


@http.post("/sign-up")
def sign_up(ctx: HandlerCtx, request: Request) -> Response:
    email, name, password = (_text(request, field) for field in ("email", "name", "password"))
    if len(password) < 12:
        raise HTTPError(400, "password must have 12 characters or more")
    salt = secrets.token_bytes(16)
    hashed = _hash(password, salt)
    user_id = ctx.run_mutation(create_user, email=email.lower(), name=name, salt=salt, password=hashed)
    if user_id is None:
        raise HTTPError(409, "There is an account of this address already")
    return Response.json(_tokens(ctx, user_id), status=201)


@http.post("/sign-in")
def sign_in(ctx: HandlerCtx, request: Request) -> dict[str, Any]:
    email, password = _text(request, "email").lower(), _text(request, "password")
    ctx.run_mutation(count_sign_in, email=email)  # 429 for somebody who guesses
    user = ctx.run_query(find_user, email=email)
    salt, expected = (user["salt"], user["password"]) if user else (bytes(16), bytes(64))
    if not hmac.compare_digest(_hash(password, salt), expected):  # as slow for an address that is unknown
        raise HTTPError(401, "Wrong address or password")
    return _tokens(ctx, user["_id"])


@http.post("/refresh")
def refresh(ctx: HandlerCtx, request: Request) -> dict[str, Any]:
    user_id = ctx.run_mutation(end_session, digest=credentials.digest(_text(request, "refreshToken")))
    if user_id is None:
        raise HTTPError(401, "This refresh token is not valid any more")
    return _tokens(ctx, user_id)


@http.post("/sign-out")
def sign_out(ctx: HandlerCtx, request: Request) -> Response:
    ctx.run_mutation(end_session, digest=credentials.digest(_text(request, "refreshToken")))
    return Response(status=204)


@http.post("/revoke", auth="required")
def revoke(ctx: HandlerCtx, request: Request) -> dict[str, Any]:
    """Sign out everywhere; access tokens that are out work until they expire."""
    return {"ended": ctx.run_mutation(end_sessions, userId=ctx.auth.require_user_identity().subject)}


@http.get("/me", auth="required")
def me(ctx: HandlerCtx, request: Request) -> Any:
    return ctx.run_query(current_user)


def _tokens(ctx: HandlerCtx, user_id: str) -> dict[str, Any]:
    now = int(ctx.now())
    claims = {"iss": ISSUER, "sub": user_id, "iat": now, "exp": now + ACCESS_SECONDS}
    refresh_token, digest = credentials.new_token("rt_")
    ctx.run_mutation(begin_session, userId=user_id, digest=digest)
    access_token = auth.sign(claims, ctx.secret("APP_SECRET"))
    return {"accessToken": access_token, "expiresIn": ACCESS_SECONDS, "refreshToken": refresh_token}


def _hash(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, **SCRYPT)


def _text(request: Request, field: str) -> str:
    value = request.json(dict)[field]
    if not isinstance(value, str) or not 0 < len(value) <= 1_000:
        raise HTTPError(400, f"{field} must be a text of 1 to 1,000 characters")
    return value


@query(args={})
def current_user(ctx: QueryCtx) -> dict[str, Any] | None:
    identity = ctx.auth.get_user_identity()
    user = ctx.db.get(identity.subject) if identity else None
    return user and {"id": user["_id"], "email": user["email"], "name": user["name"]}


@internal_mutation(args=USER)
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


@internal_mutation(args=SESSION)
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


@internal_mutation(args={"userId": v.id("users")})
def end_sessions(ctx: MutationCtx, userId: str) -> int:
    sessions = ctx.db.query("sessions").with_index("by_user", lambda q: q.eq("userId", userId)).take(1_000)
    for session in sessions:
        ctx.db.delete(session["_id"])
    return len(sessions)


app = App(http, schema=schema, modules=[__name__], auth=[auth.shared_secret("APP_SECRET", issuer=ISSUER)])
