"""A route behind a bearer token: 401 without one, 403 with a wrong one, else the user it belongs to."""

from minihttp import App, HttpRouter, Response, Schema, Table, internal_mutation, internal_query, v
from minihttp.http import credentials

schema = Schema(
    users=Table({"name": v.string(), "email": v.string()}),
    tokens=Table({"digest": v.string(), "userId": v.id("users")}).index("by_digest", ["digest"]),
)
http = HttpRouter()


@http.route(path="/api/user", method="GET")
def user(ctx, request):
    digest = credentials.digest(credentials.bearer_token(request))  # 401 when there is none
    found = ctx.run_query(validate_token, digest=digest)
    if found is None:
        return Response.json({"error": "Invalid token"}, status=403)
    return Response.json(found)


@internal_mutation(args={"name": v.string(), "email": v.string()}, returns=v.string())
def sign_up(ctx, name, email):
    token, digest = credentials.new_token()
    user_id = ctx.db.insert("users", {"name": name, "email": email})
    ctx.db.insert("tokens", {"digest": digest, "userId": user_id})
    return token


@internal_query(args={"digest": v.string()})
def validate_token(ctx, digest):
    token = ctx.db.query("tokens").with_index("by_digest", lambda q: q.eq("digest", digest)).unique()
    return token and ctx.db.get(token["userId"])


app = App(http, schema=schema, modules=[__name__])
