"""Everything below a path: `curl http://127.0.0.1:8080/api/users/123`.

A `{name}` in a path is the other way.
"""

from typing import Any

from minihttp import App, HandlerCtx, HttpRouter, Request, Response

http = HttpRouter()


@http.route(path_prefix="/api/users/", method="GET")
def user(ctx: HandlerCtx, request: Request) -> Any:
    return Response.json({"userId": request.tail})


@http.route(path="/api/users/{user_id}/posts/{post_id}", method="GET")
def post(ctx: HandlerCtx, request: Request) -> Any:
    return Response.json(request.path_params)


app = App(http)
