"""The body becomes a stored file, streamed to the disk.

curl --data-binary @photo.jpg -H 'Content-Type: image/jpeg' http://127.0.0.1:8080/api/upload
"""


from typing import Any

from minihttp import App, HandlerCtx, HttpRouter, Request, Response

http = HttpRouter()


@http.route(path="/api/upload", method="POST")
def upload(ctx: HandlerCtx, request: Request) -> Any:
    content_type = request.headers.get("Content-Type", "application/octet-stream")
    storage_id = ctx.storage.store(request.body, content_type=content_type)
    return Response.json({"storageId": storage_id})


app = App(http)
