# SPDX-License-Identifier: MIT
"""GET of a short JSON text over HTTP: minihttp as users run it, and its peers as theirs do.

    python benchmarks/over_http.py [--seconds 2] [--rounds 5] [--threads 4] [--only "bare,minihttp serve"]

Needs `wrk`; peers that are not installed are left out. "minihttp serve" is `python -m minihttp serve` with
its defaults: 16 threads, access log on. "fastapi, uvicorn" and "minihttp, granian" are started by their own
commands, access log on. The others run in a process of their own with `--threads` threads and no log. Rounds
are interleaved over the servers, each run against a fresh process. Prints medians with the least and the
greatest run, and the ratio of the medians to the first row: requests a second, and processor time of the
server a request, which a busy machine moves less. (Not named http.py: beside it, no other benchmark could
import the `http` of the standard library.)
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import statistics
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from processes import Sample, cell, python, sample, started

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

BODY = b'{"status": "ok"}'
CONNECTIONS = (1, 16, 64, 256)


def bare(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(BODY)))])
    return [BODY]


def falcon_app() -> Any:
    falcon = importlib.import_module("falcon")

    class Status:
        def on_get(self, request: Any, response: Any) -> None:
            response.content_type, response.data = "application/json", BODY

    app = falcon.App()
    app.add_route("/status", Status())
    return app


def bottle_app() -> Any:
    bottle = importlib.import_module("bottle")
    app = bottle.Bottle()

    @app.get("/status")
    def status() -> bytes:
        bottle.response.content_type = "application/json"
        return BODY

    return app


def flask_app() -> Any:
    flask = importlib.import_module("flask")
    app = flask.Flask("app")

    @app.get("/status")
    def status() -> Any:
        return flask.Response(BODY, mimetype="application/json")

    return app


def minihttp_app() -> Any:
    from minihttp import App, HttpRouter, Response

    http = HttpRouter()

    @http.route(path="/status", method="GET")
    def status(ctx: Any, request: Any) -> Response:
        return Response(BODY, headers={"Content-Type": "application/json"})

    return App(http)


def fastapi_app() -> Any:
    fastapi = importlib.import_module("fastapi")
    app = fastapi.FastAPI()

    @app.get("/status")
    async def status() -> Any:
        return {"status": "ok"}

    return app


def on_stock(app: Any, port: int, threads: int) -> None:
    import waitress

    waitress.serve(app, listen=f"127.0.0.1:{port}", threads=threads, connection_limit=1000, _quiet=True)


def on_ours(app: Any, port: int, threads: int) -> None:
    from minihttp.server import Server

    Server(app, port=port, threads=threads).run()


def __getattr__(name: str) -> Any:
    if name == "fastapi_served":
        return fastapi_app()
    raise AttributeError(name)


minihttp_served = minihttp_app()  # for the servers that import what they serve

SERVERS: dict[str, tuple[Callable[[], Any], Callable[[Any, int, int], None]] | str] = {
    "bare, stock waitress": (lambda: bare, on_stock),
    "bare, our server": (lambda: bare, on_ours),
    "minihttp serve": "minihttp serve over_http:minihttp_served --port {port}",
    "minihttp, our server, no log": (minihttp_app, on_ours),
    "minihttp, granian": "granian --interface wsgi --port {port} --access-log over_http:minihttp_served",
    "fastapi, uvicorn": "uvicorn --port {port} over_http:fastapi_served",
    "falcon, stock waitress": (falcon_app, on_stock),
    "bottle, stock waitress": (bottle_app, on_stock),
    "flask, stock waitress": (flask_app, on_stock),
    "falcon, our server": (falcon_app, on_ours),
}


def measure(name: str, threads: int, seconds: int) -> dict[int, Sample]:
    """One run at each number of connections, against a fresh process."""
    served = SERVERS[name]
    if isinstance(served, str):
        command = python(served)
    else:
        own = ["--child", name, "--port", "{port}", "--threads", str(threads)]
        command = [sys.executable, __file__, *own]
    with started(command) as server:
        return {clients: sample(server, "/status", clients, seconds) for clients in CONNECTIONS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--only", default="", help="parts of names, separated by commas")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        served = SERVERS[args.child]
        assert not isinstance(served, str)
        served[1](served[0](), args.port, args.threads)
        return
    names = [n for n in SERVERS if is_installed(n) and any(part in n for part in args.only.split(","))]
    samples: dict[str, dict[int, list[Sample]]] = {name: defaultdict(list) for name in names}
    for _ in range(args.rounds):
        for name in names:
            for connections, found in measure(name, args.threads, args.seconds).items():
                samples[name][connections].append(found)
    table(samples, "requests/s", lambda found: found.rate)
    table(samples, "processor time a request, µs", lambda found: found.cpu_us)


def is_installed(name: str) -> bool:
    words = name.replace(",", "").split()
    wanted = [
        word for word in words if word in ("granian", "fastapi", "uvicorn", "falcon", "bottle", "flask")
    ]
    return all(importlib.util.find_spec(word) for word in wanted)


def table(samples: dict[str, dict[int, list[Sample]]], title: str, value: Callable[[Sample], float]) -> None:
    """Prints medians, each with its ratio to the first row, the least and the greatest run."""
    print(f"| {title} |", " | ".join(f"{n} conn." for n in CONNECTIONS), "|")
    print("|---|" + "---:|" * len(CONNECTIONS))
    base: dict[int, float] = {}
    for name, row in samples.items():
        medians = {n: statistics.median(map(value, row[n])) for n in CONNECTIONS}
        base = base or medians
        cells = [cell([value(found) for found in row[n]], base[n]) for n in medians]
        print(f"| {name} |", " | ".join(cells), "|")
    print()


if __name__ == "__main__":
    main()
