"""A route that browsers of other origins may call: `cors=` answers the preflight and marks every response,
errors too.
"""

from typing import Any

from minihttp import App, Cors, HandlerCtx, HttpRouter, Request, Response

http = HttpRouter()


@http.route(path="/api/data", method="POST", cors=Cors(["*"], headers=["Content-Type", "Authorization"]))
def data(ctx: HandlerCtx, request: Request) -> Any:
    return Response.json({"success": True, "data": request.json()})


app = App(http)
