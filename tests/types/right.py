# SPDX-License-Identifier: MIT
"""What type checkers take: read by mypy --strict and pyright's strict mode, never run."""

from __future__ import annotations

from datetime import date
from typing import Any, Protocol

from minihttp import (
    ActionCtx,
    App,
    FilePart,
    HandlerCtx,
    HttpRouter,
    MutationCtx,
    Parameter,
    QueryCtx,
    Request,
    Response,
    action,
    auth,
    internal_mutation,
    internal_query,
    key_store,
    mutation,
    query,
    v,
)
from minihttp.server import Server, serve

http = HttpRouter()


@query(args={"id": v.id("items"), "limit": v.optional(v.number())})
def get(ctx: QueryCtx, id: str, limit: float = 10) -> dict[str, Any] | None:
    return ctx.db.get(id)


@internal_query
def count(ctx: QueryCtx) -> int:
    return len(ctx.db.query("items").collect())


@mutation(args={"name": v.string()}, name="createItem", aliases={"itemName": "name"})
def create(ctx: MutationCtx, name: str) -> str:
    found = ctx.run_query(get, id=name)
    if found is None:
        number: int = ctx.run_query(count)
        return ctx.db.insert("items", {"name": name, "number": number})
    return ctx.run_mutation(rename, found["_id"], name=name)


@internal_mutation(args={"id": v.id("items"), "name": v.string()})
def rename(ctx: MutationCtx, id: str, name: str) -> str:
    ctx.db.patch(id, {"name": name})
    ctx.scheduler.run_after(60, count)
    return id


http.mutation("/items/{id}", rename, method="PATCH", status=201, auth="required")
http.mutation("/items", "items:create")


@action(args={})
def act(ctx: ActionCtx) -> list[str]:
    return [ctx.run_mutation(create, name="a"), ctx.run_action(again, text="b")]


@action(args={"text": v.string()})
def again(ctx: ActionCtx, text: str) -> str:
    return text


class Reads(Protocol):
    """A context by what is used of it: a test may pass anything of this shape."""

    def now(self) -> float: ...


@query(args={})
def clock(ctx: Reads) -> float:
    return ctx.now()


@http.route(path="/items/{id}", method="POST", auth="required")
def handle(ctx: HandlerCtx, request: Request) -> Response:
    identity = ctx.auth.require_user_identity()
    email: str | None = identity.email
    limit: int = request.query.get("limit", default=10, type=int, min=0, max=100)
    since: date | None = request.query.get("since", type=date.fromisoformat)
    number: int = request.path_params.get("id", type=int)
    q: str = request.query["q"]
    body: dict[str, Any] = request.json(dict)
    tags: list[Any] = request.json(list)
    item = ctx.run_query(get, id=body["id"], limit=limit)
    return Response.json({"item": item, "more": [email, since, number, q, tags, ctx.origin]})


LIMIT = Parameter("limit", int, default=10, min=0, max=100)
SINCE = Parameter("since", date.fromisoformat, default=None)
TAGS = Parameter("tag", str, repeated=True)
NUMBER = Parameter("number", int, min=1)
PHOTO = Parameter("photo", FilePart)


@http.get("/pages/{number}", query=[LIMIT, SINCE, TAGS], path_params=[NUMBER], returns=v.any())
def declared(ctx: HandlerCtx, request: Request) -> list[Any]:
    limit: int = request.query[LIMIT]
    since: date | None = request.query[SINCE]
    tags: list[str] = request.query[TAGS]
    number: int = request.path_params[NUMBER]
    return [limit, str(since), tags, number]


@http.post("/photos", form=[PHOTO], status=204, auth=key_store.guard())
def upload(ctx: HandlerCtx, request: Request) -> None:
    photo: FilePart = request.form()[PHOTO]
    print(photo.filename, photo.size)


@http.get("/short", auth="required")
def short(ctx: HandlerCtx, request: Request) -> Response:
    return handle(ctx, request)


@http.before
def log(ctx: HandlerCtx, request: Request) -> None:
    print(request.path)


def use(ctx: HandlerCtx, request: Request, app: App) -> None:
    response: Response = handle(ctx, request)
    name: str = app.run_mutation(create, name=response.headers.get("X", ""))
    anything: Any = app.run_query("items:get", id=name)
    print(anything, auth.sign({"sub": name}, "secret"))


class FakeAuth:
    def get_user_identity(self) -> auth.Identity | None:
        return None

    def require_user_identity(self) -> auth.Identity:
        return auth.Identity("https://me", "ada")


class FakeScheduler:
    """Notes what is scheduled."""

    def run_after(self, delay: Any, function: Any, /, *given: Any, **args: Any) -> str:
        return "job"

    run_at = run_after

    def cancel(self, job_id: str) -> None: ...
    def retry(self, job_id: str) -> str:
        return job_id

    def with_options(self, **options: Any) -> FakeScheduler:
        return self


class FakeDocuments:
    """A table in memory."""

    def __init__(self) -> None:
        self.documents: dict[str, dict[str, Any]] = {}

    def get(self, *where: str) -> dict[str, Any] | None:
        return self.documents.get(where[-1])

    def query(self, table: str) -> Any:
        return list(self.documents.values())

    def normalize_id(self, table: str, text: object) -> str | None:
        return str(text)

    @property
    def system(self) -> FakeDocuments:
        return self

    def insert(self, table: str, document: dict[str, Any]) -> str:
        self.documents["1"] = document
        return "1"

    def patch(self, *where_and_fields: Any) -> None: ...
    def replace(self, *where_and_document: Any) -> None: ...
    def delete(self, *where: str) -> None: ...


class FakeFiles:
    def get_url(self, id: str, *, expires_in: float | None = None) -> str | None:
        return None

    def get_metadata(self, id: str) -> dict[str, Any] | None:
        return None

    def store(self, source: Any, *, content_type: str | None = None, sha256: Any = None) -> str:
        return "file"

    def delete(self, id: str) -> None: ...
    def generate_upload_url(self, **options: Any) -> str:
        return ""

    def get(self, id: str) -> None:
        return None


class FakeCtx:
    """What a test may pass wherever a helper asks for a context."""

    origin = "https://api.example.com"
    deadline = 1.0

    def __init__(self) -> None:
        self.db = FakeDocuments()
        self.auth = FakeAuth()
        self.storage = FakeFiles()
        self.scheduler = FakeScheduler()

    def time_left(self) -> float:
        return 1.0

    def now(self) -> float:
        return 0.0

    def secret(self, name: str) -> str:
        return name

    def run_query(self, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        return function(self, *args, **kwargs)

    run_mutation = run_action = run_query


def owner_of(ctx: QueryCtx, id: str) -> str | None:
    item = ctx.db.get(id)
    return item["owner"] if item else None


def rename_later(ctx: MutationCtx, id: str) -> str:
    ctx.db.patch(id, {"name": "x"})
    return ctx.scheduler.run_after(60, rename, id=id, name="y")


def fetch(ctx: ActionCtx) -> str:
    return ctx.secret("KEY") + ctx.run_mutation(create, name="a")


def fakes_are_contexts() -> None:
    fake = FakeCtx()
    owner_of(fake, "1")
    rename_later(fake, "1")
    fetch(fake)
    declared(fake, Request({}, "/"))
    query: QueryCtx = fake
    mutation: MutationCtx = fake
    print(owner_of(mutation, "1"), query.now())


def serves(app: App) -> None:
    Server(app, host="::1", port=0, threads=4, connections=None, grace_seconds=1.5).run()
    serve(app, port=8080, trusted_proxy="*", report=print, ready=lambda server: print(server.url))
