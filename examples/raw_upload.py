"""Raw bytes into file storage: `curl --data-binary @photo.jpg -H 'Content-Type: image/jpeg' …/api/upload`."""

from minihttp import App, HttpRouter, Response

http = HttpRouter()


@http.route(path="/api/upload", method="POST")
def upload(ctx, request):
    content_type = request.headers.get("Content-Type", "application/octet-stream")
    storage_id = ctx.storage.store(request.body, content_type=content_type)
    return Response.json({"storageId": storage_id})


app = App(http)
