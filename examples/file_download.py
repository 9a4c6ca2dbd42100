"""A download by id: redirects (302) to the file's own URL, 404 when there is no such file."""

from typing import Any

from minihttp import App, HandlerCtx, HTTPError, HttpRouter, Request, Response

http = HttpRouter()


@http.route(path_prefix="/files/", method="GET")
def download(ctx: HandlerCtx, request: Request) -> Any:
    url = ctx.storage.get_url(request.tail)
    if url is None:
        raise HTTPError(404, "File not found")
    return Response.redirect(url, 302)


@http.route(path="/files", method="POST")
def upload(ctx: HandlerCtx, request: Request) -> Any:
    storage_id = ctx.storage.store(request.body, content_type=request.headers.get("Content-Type"))
    return Response.json({"storageId": storage_id}, status=201)


app = App(http)
