# gunicorn -c gunicorn.conf.py app:app
# One worker process: it owns the data directory. A second one stops gunicorn with the reason.
bind = "127.0.0.1:8080"
workers = 1
worker_class = "gthread"
threads = 16
graceful_timeout = 30


def post_worker_init(worker):
    worker.wsgi.prepare()  # storage, jobs and crons, before the first request


def worker_exit(server, worker):
    worker.wsgi.close()  # the jobs that run may end
