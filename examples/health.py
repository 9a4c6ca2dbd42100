"""A health check: `curl http://127.0.0.1:8080/health`."""

from minihttp import App, HttpRouter, Response

http = HttpRouter()


@http.route(path="/health", method="GET")
def health(ctx, request):
    return Response.json({"status": "ok"})


app = App(http)
