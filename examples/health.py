"""A health check: `curl http://127.0.0.1:8080/health`."""

from typing import Any

from minihttp import App, HandlerCtx, HttpRouter, Request, Response

http = HttpRouter()


@http.route(path="/health", method="GET")
def health(ctx: HandlerCtx, request: Request) -> Any:
    return Response.json({"status": "ok"})


app = App(http)
