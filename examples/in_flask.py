"""Inside a Flask app: `/` is Flask's, everything below /backend is minihttp's; see docs/howto/mounting.md.

gunicorn --threads 8 examples.in_flask:flask_app       (one worker process: it owns the data directory)
"""

from flask import Flask
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from minihttp import App, HandlerCtx, HttpRouter, MutationCtx, Request, Schema, Table, internal_mutation, v

schema = Schema(notes=Table({"text": v.string()}))
http = HttpRouter()


@internal_mutation(args={"text": v.string()}, returns=v.id("notes"))
def add(ctx: MutationCtx, text: str) -> str:
    return ctx.db.insert("notes", {"text": text})


@http.post("/notes")  # POST /backend/notes; request.url and links begin with /backend
def post_note(ctx: HandlerCtx, request: Request) -> dict[str, str]:
    return {"id": ctx.run_mutation(add, text=request.json(dict)["text"]), "url": request.url}


backend = App(http, schema=schema, modules=[__name__])
flask_app = Flask(__name__)


@flask_app.get("/")
def index() -> str:
    return f"note {backend.run_mutation(add, text='from Flask')}"  # any function, public or internal


mounted = DispatcherMiddleware(flask_app.wsgi_app, {"/backend": backend})
flask_app.wsgi_app = mounted  # type: ignore[method-assign]
