# SPDX-License-Identifier: MIT
"""The app that Convex's own clients are let loose on."""

import logging

import judged_dir

from minihttp import (
    App,
    ApplicationError,
    HttpRouter,
    Response,
    Schema,
    Table,
    action,
    errors,
    internal_query,
    mutation,
    query,
    v,
)

http = HttpRouter()
schema = Schema(
    messages=Table({"body": v.any(), "author": v.optional(v.string())}).index("by_author", ["author"]),
    counters=Table({"name": v.string(), "value": v.number()}).index("by_name", ["name"]),
)


@query(args={"author": v.optional(v.string())})
def list_messages(ctx, author=None):
    messages = ctx.db.query("messages")
    if author is not None:
        messages = messages.with_index("by_author", lambda q: q.eq("author", author))
    return messages.collect()


@query(
    args={"pagination_opts": v.pagination_opts()},
    returns=v.pagination_result(v.any()),
    name="page",
    aliases={"paginationOpts": "pagination_opts"},
)
def page_of_messages(ctx, pagination_opts):
    return ctx.db.query("messages").paginate(pagination_opts)


@mutation(args={"body": v.any(), "author": v.optional(v.string())}, returns=v.id("messages"))
def send(ctx, body, author=None):
    return ctx.db.insert("messages", {"body": body, "author": author})


@query(args={"id": v.id("messages")})
def get(ctx, id):
    return ctx.db.get(id)


@query(args={"value": v.any()})
def echo(ctx, value):
    return value


@query
def echo_all(ctx, **args):
    return args


@action(args={"value": v.any()})
def act(ctx, value):
    return ctx.run_query(echo, value=value)


@mutation(args={"name": v.string()}, returns=v.number())
def count(ctx, name):
    row = ctx.db.query("counters").with_index("by_name", lambda q: q.eq("name", name)).unique()
    if row is None:
        ctx.db.insert("counters", {"name": name, "value": 1})
        return 1
    ctx.db.patch(row["_id"], {"value": row["value"] + 1})
    return row["value"] + 1


@query(args={"name": v.string()})
def counted(ctx, name):
    row = ctx.db.query("counters").with_index("by_name", lambda q: q.eq("name", name)).unique()
    return row and row["value"]


@mutation(args={"data": v.any()})
def refuse(ctx, data):
    ctx.db.insert("messages", {"body": "never kept"})
    raise ApplicationError(data)


@query(args={})
def crash(ctx):
    raise RuntimeError("the password is hunter2")


@query(args={})
def stray(ctx):
    return ctx.run_query("messages:nowhere")


@query(args={})
def talk(ctx):
    logging.getLogger("app").warning("hello %s", "there")
    return


@query(args={}, returns=v.string())
def lie(ctx):
    return 1


@internal_query(args={})
def secret(ctx):
    return "only for the admin"


@http.post("/http/messages")
def send_by_http(ctx, request):
    sent = request.json()
    return Response.json({"id": ctx.run_mutation(send, **sent)}, status=201)


@http.get("/http/messages/{id}")
def get_by_http(ctx, request):
    message = ctx.run_query(get, id=request.path_params["id"])
    return Response.json(message) if message else Response("gone", status=404)


@http.route(path_prefix="/http/raw/", method="PUT")
def raw(ctx, request):
    kind = request.headers.get("Content-Type", "none")
    return Response(request.body, headers={"Content-Type": kind, "X-Query": request.query.get("q", "")})


@http.get("/http/caller")
def caller(ctx, request):
    try:
        identity = ctx.auth.get_user_identity()
    except errors.AuthError as error:
        return {"raw": request.headers["Authorization"], "error": error.code}
    return {"identity": identity and dict(identity)}


@http.get("/http/crash")
def crash_by_http(ctx, request):
    return ctx.run_query(crash)


app = App(http, schema=schema, modules={"messages": __name__, "dir/messages": judged_dir})
