"""Every way a request can be wrong, and what the caller sees: 415, 400, 400, and a 500 that leaks nothing."""

from typing import Any

from minihttp import (App, HandlerCtx, HTTPError, HttpRouter, MutationCtx, Request, Schema, Table,
                      internal_mutation, v)

schema = Schema(results=Table({"data": v.any()}))
http = HttpRouter()


@http.post("/api/process")
def process(ctx: HandlerCtx, request: Request) -> dict[str, Any]:
    if request.media_type != "application/json":  # request.json() says so too
        raise HTTPError(415, "Content-Type must be application/json")
    body = request.json(dict)  # 400 with line and column when it is not JSON
    if body.get("data") is None:
        raise HTTPError(400, "Missing required field: data")
    try:
        result = ctx.run_mutation(handle, data=body["data"])
    except ZeroDivisionError:  # what a function raises arrives here as it was
        raise HTTPError(500, "Internal server error") from None
    return {"success": True, "result": result}


@internal_mutation(args={"data": v.any()})
def handle(ctx: MutationCtx, data: Any) -> Any:
    ctx.db.insert("results", {"data": data})
    if data == "divide by zero":
        return 1 / 0  # the insert above is undone
    if data == "crash":
        raise RuntimeError("the password is hunter2")  # goes to the log, never to the caller
    return data


app = App(http, schema=schema, modules=[__name__])
