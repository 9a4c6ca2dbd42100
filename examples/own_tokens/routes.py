"""An app that issues its own tokens: sign up, sign in, refresh, sign out; no other service.

A sign-in gives an access token for 15 minutes (a JWT, checked without the database) and a refresh token for
30 days (random, its digest stored), which works once: the next refresh token replaces it.

export APP_SECRET=$(python -c 'import secrets; print(secrets.token_urlsafe(32))')
python -m minihttp serve examples/own_tokens
"""

import hashlib
import hmac
import secrets
from typing import Any

from minihttp import HandlerCtx, HTTPError, HttpRouter, Request, Response
from minihttp.auth import sign
from minihttp.http import credentials

from . import users
from .auth import ISSUER

ACCESS_SECONDS = 15 * 60
SCRYPT = {"n": 2**14, "r": 8, "p": 5, "maxmem": 64 * 1024 * 1024}  # OWASP's parameters for 16 MiB

http = HttpRouter()


@http.route(path="/sign-up", method="POST")
def sign_up(ctx: HandlerCtx, request: Request) -> Response:
    email, name, password = (_text(request, field) for field in ("email", "name", "password"))
    if len(password) < 12:
        raise HTTPError(400, "password must have 12 characters or more")
    salt = secrets.token_bytes(16)
    hashed = _hash(password, salt)
    user_id = ctx.run_mutation(users.create_user, email=email.lower(), name=name, salt=salt, password=hashed)
    if user_id is None:
        raise HTTPError(409, "There is an account of this address already")
    return Response.json(_tokens(ctx, user_id), status=201)


@http.route(path="/sign-in", method="POST")
def sign_in(ctx: HandlerCtx, request: Request) -> Response:
    email, password = _text(request, "email").lower(), _text(request, "password")
    ctx.run_mutation(users.count_sign_in, email=email)  # 429 for somebody who guesses
    user = ctx.run_query(users.find_user, email=email)
    salt, expected = (user["salt"], user["password"]) if user else (bytes(16), bytes(64))
    if not hmac.compare_digest(_hash(password, salt), expected):  # as slow for an address that is unknown
        raise HTTPError(401, "Wrong address or password")
    return Response.json(_tokens(ctx, user["_id"]))


@http.route(path="/refresh", method="POST")
def refresh(ctx: HandlerCtx, request: Request) -> Response:
    user_id = ctx.run_mutation(users.end_session, digest=credentials.digest(_text(request, "refreshToken")))
    if user_id is None:
        raise HTTPError(401, "This refresh token is not valid any more")
    return Response.json(_tokens(ctx, user_id))


@http.route(path="/sign-out", method="POST")
def sign_out(ctx: HandlerCtx, request: Request) -> Response:
    ctx.run_mutation(users.end_session, digest=credentials.digest(_text(request, "refreshToken")))
    return Response(status=204)


@http.route(path="/me", method="GET", auth="required")
def me(ctx: HandlerCtx, request: Request) -> Any:
    return ctx.run_query(users.current_user)


def _tokens(ctx: HandlerCtx, user_id: str) -> dict[str, Any]:
    now = int(ctx.now())
    claims = {"iss": ISSUER, "sub": user_id, "iat": now, "exp": now + ACCESS_SECONDS}
    refresh_token, digest = credentials.new_token("rt_")
    ctx.run_mutation(users.begin_session, userId=user_id, digest=digest)
    access_token = sign(claims, ctx.secret("APP_SECRET"))
    return {"accessToken": access_token, "expiresIn": ACCESS_SECONDS, "refreshToken": refresh_token}


def _hash(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, **SCRYPT)


def _text(request: Request, field: str) -> str:
    value = request.json(dict)[field]
    if not isinstance(value, str) or not 0 < len(value) <= 1_000:
        raise HTTPError(400, f"{field} must be a text of 1 to 1,000 characters")
    return value
