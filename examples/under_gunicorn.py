"""Under gunicorn, configured by this file itself; see docs/howto/mounting.md.

gunicorn -c examples/under_gunicorn.py examples.under_gunicorn:app
"""

from typing import Any

from minihttp import App, Crons, HandlerCtx, HttpRouter, MutationCtx, Request, internal_mutation

http = HttpRouter()
crons = Crons()


@internal_mutation(args={})
def beat(ctx: MutationCtx) -> None:
    """Crons and jobs run in the worker process, since `prepare` has started them."""


@http.get("/health")
def health(ctx: HandlerCtx, request: Request) -> dict[str, str]:
    return {"status": "ok"}


crons.interval("beat", minutes=1, function=beat)
app = App(http, modules=[__name__], crons=crons)

# What follows is gunicorn's configuration.
workers, threads, worker_class = 1, 16, "gthread"  # one process: it owns the data directory
bind, graceful_timeout = "127.0.0.1:8080", 30


def post_worker_init(worker: Any) -> None:
    worker.wsgi.prepare()  # storage, jobs and crons, before the first request


def worker_exit(server: Any, worker: Any) -> None:
    worker.wsgi.close()  # the jobs that run may end
