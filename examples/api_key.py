"""A route behind an API key: 401 without one, 403 with a wrong or revoked one. Only digests are stored.

python -c 'from examples.api_key import app; print(app.run_mutation("examples/api_key:issue", name="laptop"))'
"""

from minihttp import App, HttpRouter, Response, Schema, Table, internal_mutation, internal_query, v
from minihttp.http import credentials

schema = Schema(
    apiKeys=Table(
        {
            "key": v.string(),  # the SHA-256 digest: the key itself is shown once and never stored
            "name": v.string(),
            "createdAt": v.number(),
            "lastUsedAt": v.optional(v.number()),
            "revokedAt": v.optional(v.number()),
        }
    ).index("by_key", ["key"])
)
http = HttpRouter()


@http.route(path="/api/protected", method="GET")
def protected(ctx, request):
    digest = credentials.digest(credentials.api_key(request))  # 401 when there is none
    if not ctx.run_mutation(use, digest=digest):
        return Response.json({"error": "Invalid API key"}, status=403)
    return Response.json(ctx.run_query(protected_data))


@internal_mutation(args={"name": v.string()}, returns=v.string())
def issue(ctx, name):
    key, digest = credentials.new_token("mk_")
    ctx.db.insert("apiKeys", {"key": digest, "name": name, "createdAt": ctx.now() * 1000})
    return key


@internal_mutation(args={"name": v.string()}, returns=v.null())
def revoke(ctx, name):
    for row in ctx.db.query("apiKeys").filter(lambda q: q.eq(q.field("name"), name)):
        ctx.db.patch(row["_id"], {"revokedAt": ctx.now() * 1000})


@internal_mutation(args={"digest": v.string()}, returns=v.boolean())
def use(ctx, digest):
    row = ctx.db.query("apiKeys").with_index("by_key", lambda q: q.eq("key", digest)).unique()
    if row is None or "revokedAt" in row:
        return False
    ctx.db.patch(row["_id"], {"lastUsedAt": ctx.now() * 1000})
    return True


@internal_query(args={})
def protected_data(ctx):
    return {"secret": "the cake is real"}


app = App(http, schema=schema, modules=[__name__])
