# SPDX-License-Identifier: MIT
"""What type checkers must refuse: every line that ends in `# error`, and no other."""

from __future__ import annotations

from typing import Any

from minihttp import (
    App,
    HandlerCtx,
    HttpRouter,
    MutationCtx,
    Parameter,
    QueryCtx,
    Request,
    Response,
    mutation,
    query,
    v,
)
from minihttp.errors import HTTPError
from minihttp.server import Server, serve

from .right import FakeCtx

http = HttpRouter()


@query(args={"id": v.id("items")})
def get(ctx: QueryCtx, id: str) -> dict[str, Any] | None:
    ctx.db.insert("items", {})  # error
    ctx.run_mutation(put, name="x")  # error
    return ctx.db.get(id)


@mutation(args={"name": v.string()})
def put(ctx: MutationCtx, name: str) -> str:
    ctx.run_query(get)  # error
    ctx.run_query(get, name="x")  # error
    ctx.run_query(get, id=7)  # error
    ctx.run_query(get, id="x", more=1)  # error
    ctx.run_query(put, name="x")  # error
    ctx.run_mutation(get, id="x")  # error
    number: int = ctx.run_query(get, id="x")  # error
    return number  # error


@http.route(path="/a", method="GET")
def handle(ctx: HandlerCtx, request: Request) -> Response:
    ctx.db  # error  # noqa: B018
    limit: str = request.query.get("limit", default=10, type=int)  # error
    body: list[int] = request.json(dict)  # error
    q: int = request.query["q"]  # error
    request.jason()  # error
    ctx.auth.get_user_identity().email  # error  # noqa: B018
    return Response(limit, status=str(body) + str(q))  # error


def use(app: App) -> None:
    text: int = app.run_mutation(put, name="x")  # error
    handle(text)  # error
    raise HTTPError("not found")  # error


http.route(path="/b", method="GET", handler=7)  # error
http.route(path="/b", method="GET", handler=handle, auth="optional")  # error
LIMIT = Parameter("limit", int, default=10)
Parameter("limit", "int")  # error
Parameter("tag", str, repeated=True, default="")  # error
http.get("/c", handle, query=["limit"])  # error


@http.get("/d", query=[LIMIT])
def declared(ctx: HandlerCtx, request: Request) -> list[str]:
    text: str = request.query[LIMIT]  # error
    return [text, request.path_params[LIMIT]]  # error


class NoDocuments:
    """It has no `db`."""

    origin = ""
    deadline = 1.0

    def time_left(self) -> float:
        return 1.0


class NoNumber(FakeCtx):
    def now(self) -> str:  # error
        return "now"


def owner_of(ctx: QueryCtx, id: str) -> str:
    ctx.db.patch(id, {})  # error
    ctx.scheduler  # error  # noqa: B018
    return ctx.secret("KEY")  # error


def by_fakes(handler: HandlerCtx, mutation: MutationCtx) -> None:
    owner_of(NoDocuments(), "1")  # error
    owner_of(NoNumber(), "1")  # error
    owner_of(handler, "1")  # error
    owner_of(mutation, "1")
    owner_of(FakeCtx(), "1")
    mutation.db.inserts("items", {})  # error
    mutation.run_action  # error  # noqa: B018
    handler.db  # error  # noqa: B018


def serves(app: App) -> None:
    Server(app, threads="4")  # error
    Server(app, treads=4)  # error
    serve(app, port="80")  # error
    serve(app, trusted_proxies="*")  # error
