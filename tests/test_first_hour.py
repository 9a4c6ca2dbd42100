# SPDX-License-Identifier: MIT
"""What somebody new does wrong in the first hour, and that the message says what to write instead."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from minihttp import (
    App,
    Cors,
    Crons,
    HTTPError,
    HttpRouter,
    Limits,
    Request,
    Schema,
    Table,
    internal_action,
    internal_mutation,
    internal_query,
    mutation,
    testing,
    v,
    webhooks,
)
from minihttp.http.hooks import as_response
from minihttp.http.strict_json import JSONObject

SCHEMA = Schema(
    items=Table({"name": v.string(), "price": v.optional(v.number())}).index("by_name", ["name", "price"])
)


@internal_mutation(args={"name": v.string()})
def create(ctx: Any, name: str) -> Any:
    return ctx.db.insert("items", {"name": name})


@internal_action(args={})
def act(ctx: Any) -> None: ...


def plain(ctx: Any) -> None: ...


async def later(ctx: Any, request: Any) -> Any: ...


def handler(ctx: Any, request: Any) -> Any: ...


def request() -> Request:
    environ = {"REQUEST_METHOD": "GET", "HTTP_HOST": "a", "wsgi.url_scheme": "http", "QUERY_STRING": ""}
    return Request(environ, "/x")


def inside(kind: Any, body: Callable[[Any], Any]) -> Any:
    """Run a body as a function of an app in memory."""
    module = sys.modules[__name__]
    function = kind(lambda ctx: body(ctx))
    vars(module)["current"] = function
    with testing.in_memory(App(HttpRouter(), schema=SCHEMA, modules=[module])) as app:
        return app.run_query(function) if kind is internal_query else app.run_mutation(function)


def in_handler(body: Callable[[Any, Any], Any]) -> Any:
    """Run a body as a handler; what it raises comes out."""
    module, found = sys.modules[__name__], []

    def handler(ctx: Any, request: Any) -> Any:
        try:
            body(ctx, request)
        except Exception as error:
            found.append(error)
        return {}

    http = HttpRouter()
    http.get("/x/{id}", handler)
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/x/7", "HTTP_HOST": "a", "wsgi.url_scheme": "http"}
    with testing.in_memory(App(http, schema=SCHEMA, modules=[module])) as app:
        app(environ, lambda *given: None)
    raise found[0]


WAITING = later(None, None)
WAITING.close()
Q, M = internal_query, internal_mutation
route = HttpRouter().get


def items(read: Callable[[Any], Any]) -> Any:
    return inside(Q, lambda ctx: read(ctx.db.query("items")))


MISTAKES: list[tuple[Callable[[], Any], str]] = [
    # routes and handlers
    (lambda: route("x", lambda ctx, request: {}), "does not start with a /"),
    (lambda: route("/x", later), "is an async def; handlers run in threads: write def"),
    (lambda: route("/x", lambda request: {}), "it must take (ctx, request)"),
    (lambda: route("/x", lambda request, ctx: {}), "it must take (ctx, request)"),
    (lambda: route("/x/{id}", lambda ctx, request, id: {}), "it must take (ctx, request)"),
    (lambda: route(lambda ctx, request: {}), "write @http.route(path=…, method=…), or @http.get(path)"),
    (lambda: route("/x/{id}", lambda ctx, id: {}), "the segment is request.path_params['id']"),
    (lambda: route("/x", create), "call it there, as in ctx.run_mutation(create, …)"),
    (lambda: route("/x/<id>", lambda ctx, request: {}), "is written {name}, not <name>"),
    (lambda: route("/x/{id:int}", lambda ctx, request: {}), "is not a whole segment like {name}"),
    (lambda: HttpRouter().route(path="/x", method="get", handler=handler), "not an allowed HTTP method"),
    (lambda: HttpRouter(cors=True), 'cors takes a rule such as Cors(["https://shop.example"])'),
    (lambda: Cors(["https://a.example/"]), "without a path"),
    (lambda: HTTPError("no", 404), 'write HTTPError(404, "no such item")'),
    # what a request and a context have
    (lambda: request().args, "request.query"),
    (lambda: request().get_json, "it is request.json()"),
    (lambda: request().params, "request.path_params"),
    (lambda: request().data, "request.bytes()"),
    (lambda: in_handler(lambda ctx, request: request.path_params["nr"]), "no {nr}; it has {id}"),
    (lambda: in_handler(lambda ctx, request: ctx.db), "ctx.run_query(f, …)"),
    (lambda: in_handler(lambda ctx, request: ctx.env), "ctx.secret(name)"),
    (lambda: in_handler(lambda ctx, request: ctx.run_query(create, name="x")), "defined as Mutation"),
    (lambda: in_handler(lambda ctx, request: ctx.run_mutation(plain)), "expected a function or its name"),
    (lambda: in_handler(lambda ctx, request: ctx.run_mutation(create)), "missing the required field `name`"),
    (lambda: in_handler(lambda ctx, request: ctx.secret("sk_live-1")), "name of an environment variable"),
    (lambda: in_handler(lambda ctx, request: request.body.decode()), "request.text()"),
    (lambda: JSONObject(name=1).nam, 'it is a dict: write body["nam"]'),
    (lambda: as_response(None, "GET /x"), "is a return missing?"),
    (lambda: as_response(({}, 201), "GET /x"), "write Response.json(value, status=201)"),
    (lambda: as_response("text", "GET /x"), "Response(text) sends text"),
    (lambda: as_response(3, "GET /x"), "write Response.json(value)"),
    (lambda: as_response(HTTPError(404, "no"), "GET /x"), "write raise"),
    (lambda: as_response(WAITING, "GET /x"), "call no async def"),
    # functions and documents
    (lambda: inside(M, lambda ctx: ctx.db.update("id", {})), "write patch(id, {…})"),
    (lambda: inside(M, lambda ctx: ctx.db.items), 'it is a table: write query("items")'),
    (lambda: inside(M, lambda ctx: ctx.log.info("x")), "write logging.getLogger(__name__).info(…)"),
    (
        lambda: items(lambda q: q.filter(lambda d: d["name"] == "x").first()),
        'write q.eq(q.field("name"), value)',
    ),
    (
        lambda: in_handler(lambda ctx, request: ctx.run_query(plain)),
        "write @query, @mutation or @action above",
    ),
    (lambda: mutation(args={"a": str})(lambda ctx, a: 1), "write v.string()"),
    (lambda: mutation(args={"a": v.string})(lambda ctx, a: 1), "write v.string()"),
    (lambda: mutation(args={}, returns=int)(lambda ctx: 1), "which is no validator such as v.string()"),
    (lambda: mutation(args={})(lambda: 1), "must take the context as its first parameter"),
    (lambda: mutation(args={"b": v.any()})(lambda ctx, a: 1), "'b' in args but no such parameter"),
    (lambda: mutation(later), "not async"),
    (lambda: v.str(), "write v.string()"),
    (lambda: v.boolen(), "did you mean 'boolean'?"),
    (lambda: Schema(items={"a": v.string()}), "must be a Table"),
    (lambda: inside(M, lambda ctx: ctx.db.insert("itms", {})), 'did you mean "items"?'),
    (lambda: inside(M, lambda ctx: ctx.db.insert("items", {"name": 5})), "Path: .name"),
    (lambda: inside(M, lambda ctx: ctx.run_action(act)), "ctx.scheduler.run_after(0, action, …)"),
    (lambda: inside(Q, lambda ctx: ctx.db.insert("items", {})), "a query only reads documents"),
    (lambda: items(lambda q: q.all()), "write .collect()"),
    (lambda: items(lambda q: q.where(name="x")), "write .with_index"),
    (lambda: items(lambda q: q), "end it with .collect()"),
    (lambda: items(lambda q: q.with_index("by_nme").first()), "did you mean 'by_name'?"),
    (lambda: items(lambda q: q.with_index("by_name", lambda q: q.name == "x").first()), 'write q.eq("name"'),
    (
        lambda: items(lambda q: q.filter(lambda q: q.name == "x").first()),
        'write q.eq(q.field("name"), value)',
    ),
    # jobs, files, webhooks, the app
    (lambda: in_handler(lambda ctx, request: ctx.scheduler.run_afer(5, act)), "did you mean 'run_after'?"),
    (lambda: in_handler(lambda ctx, request: ctx.scheduler.enqueue(act)), "write run_after(0, f, …)"),
    (lambda: in_handler(lambda ctx, request: ctx.storage.save(b"")), "write store("),
    (lambda: inside(Q, lambda ctx: ctx.storage.store(b"")), "a query only reads"),
    (lambda: inside(M, lambda ctx: ctx.storage.get("x")), "bytes are read in an action or a handler"),
    (lambda: inside(M, lambda ctx: ctx.scheduler.run_after(act, 0)), "must be a number of seconds"),
    (lambda: inside(M, lambda ctx: ctx.scheduler.run_at(datetime(2030, 1, 1), act)), "an aware datetime"),
    (lambda: Crons().interval("x", hours=0.5, function=act), "must be an integer greater than 0"),
    (lambda: Crons().cron("x", "* * *", function=act), "must have five fields"),
    (lambda: webhooks.stripe.provider(secret="whsec_abcDEF"), "not what looks like the secret itself"),
    (lambda: HttpRouter().webhook("/w", webhooks.stripe, handler=create), "write stripe.provider(secret="),
    (
        lambda: HttpRouter().webhook("/w", webhooks.stripe.provider(secret="X"), handler=plain),
        "decorate it with @internal_mutation",
    ),
    (lambda: App([1]), "takes an HttpRouter"),
    (lambda: App(SCHEMA), "not <Schema of items>; write App(http, schema=…)"),
    (lambda: App(HttpRouter(), modules="items").check(), "takes a list such as [__name__]"),
    (lambda: App(HttpRouter()).run(), "`python -m minihttp serve` serves it"),
    (lambda: App(HttpRouter()).get("/x"), "routes are registered on its router"),
    (lambda: Limits(max_body=1), "did you mean 'max_body_bytes'?"),
]


@pytest.mark.parametrize("number", range(len(MISTAKES)))
def test_the_message_says_what_to_write_instead(number: int) -> None:
    mistake, said = MISTAKES[number]
    with pytest.raises(Exception) as raised:
        mistake()
    assert said in str(raised.value), str(raised.value)


def test_what_is_printed_says_what_it_has_and_no_secret() -> None:
    assert "<QueryCtx with " in inside(Q, repr) and " storage" in inside(Q, repr)
    given = request()
    given.environ |= {"QUERY_STRING": "token=abc", "HTTP_AUTHORIZATION": "Bearer abc"}
    assert repr(given) == "<Request GET /x>"


def test_these_are_more_than_forty() -> None:
    assert len(MISTAKES) >= 40
