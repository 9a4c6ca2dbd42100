"""A JSON body, a header and a query parameter.

curl -X POST 'http://127.0.0.1:8080/api/data?filter=new' -H 'Content-Type: application/json' -d '{"a": 1}'
"""

from typing import Any

from minihttp import App, HandlerCtx, HttpRouter, Request, Response

http = HttpRouter()


@http.route(path="/api/data", method="POST")
def data(ctx: HandlerCtx, request: Request) -> Any:
    body = request.json()
    return Response.json(
        {
            "received": body,
            "filter": request.query.get("filter"),
            "authorized": "Authorization" in request.headers,
        }
    )


app = App(http)
