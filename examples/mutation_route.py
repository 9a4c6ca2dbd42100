"""A route that is a mutation: the JSON body and the path are its arguments, its result is the response.

curl -X POST …/api/notes -H 'Content-Type: application/json' -d '{"text": "buy milk"}'
curl -X PATCH …/api/notes/ID -H 'Content-Type: application/json' -d '{"text": "buy bread"}'
"""

from typing import Any

from minihttp import App, HttpRouter, MutationCtx, Schema, Table, internal_mutation, v

schema = Schema(notes=Table({"text": v.string()}))
http = HttpRouter()


@internal_mutation(args={"text": v.string()})
def create(ctx: MutationCtx, text: str) -> Any:
    return ctx.db.get(ctx.db.insert("notes", {"text": text}))


@internal_mutation(args={"id": v.id("notes"), "text": v.string()})
def change(ctx: MutationCtx, id: str, text: str) -> Any:
    ctx.db.patch(id, {"text": text})
    return ctx.db.get(id)


http.mutation("/api/notes", create, status=201)
http.mutation("/api/notes/{id}", change, method="PATCH")

app = App(http, schema=schema, modules=[__name__])
