"""The app for a WSGI server, made ready where the server loads it, so that jobs and crons run from the
start and not only from the first request:

    waitress-serve --listen=127.0.0.1:8080 --threads=16 wsgi:app
    uwsgi --master --die-on-term --enable-threads --threads 16 --http-socket 127.0.0.1:8080 --module wsgi:app
    granian --interface wsgi --workers 1 --blocking-threads 16 wsgi:app
    gunicorn -c gunicorn.conf.py wsgi:app
"""

from app import app

try:
    from uwsgidecorators import postfork  # there inside uWSGI only, which loads the app before it forks
except ImportError:
    app.prepare()
else:
    postfork(app.prepare)
