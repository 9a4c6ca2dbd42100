"""A form, urlencoded or multipart: `curl -F name=Ada -F email=ada@example.com
http://127.0.0.1:8080/api/form`.
"""

from typing import Any

from minihttp import App, HandlerCtx, HttpRouter, Request, Response

http = HttpRouter()


@http.route(path="/api/form", method="POST")
def form(ctx: HandlerCtx, request: Request) -> Any:
    fields = request.form()
    return Response.json({"name": fields.get("name"), "email": fields.get("email")})


app = App(http)
