# SPDX-License-Identifier: MIT
"""Requests per second over HTTP, GET of a short JSON text: waitress and our server, frameworks and minihttp.

    python benchmarks/over_http.py [--seconds 2] [--rounds 3] [--threads 4] [--only bare]

Needs `wrk`. Each server is a process of its own; rounds are interleaved over the servers. Prints medians as
a table in Markdown, each with its ratio to the bare callable on stock waitress: ratios count, absolute
figures move with the machine. (Not named http.py: beside it, no other benchmark could import the `http` of
the standard library.)
"""

from __future__ import annotations

import argparse
import importlib
import os
import re
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

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


def on_stock(app: Any, threads: int) -> None:
    import waitress

    server = waitress.create_server(app, listen="127.0.0.1:0", threads=threads, connection_limit=1000)
    print(server.effective_port, flush=True)
    server.run()


def on_ours(app: Any, threads: int, **settings: Any) -> None:
    from minihttp.server import Server

    server = Server(app, port=0, threads=threads, **settings)
    print(server.port, flush=True)
    server.run()


def on_ours_logged(app: Any, threads: int) -> None:
    from minihttp import logs

    logs.configure("json", stream=open("/dev/null", "w"))  # noqa: SIM115
    on_ours(app, threads, report=logs.access_line)


SERVERS: dict[str, tuple[Callable[[], Any], Callable[[Any, int], None]]] = {
    "bare, stock waitress": (lambda: bare, on_stock),
    "falcon, stock waitress": (falcon_app, on_stock),
    "bottle, stock waitress": (bottle_app, on_stock),
    "flask, stock waitress": (flask_app, on_stock),
    "bare, our server": (lambda: bare, on_ours),
    "falcon, our server": (falcon_app, on_ours),
    "minihttp": (minihttp_app, on_ours),
    "minihttp with access log": (minihttp_app, on_ours_logged),
}


class Sample(NamedTuple):
    rate: float  # requests per second
    cpu_us: float  # processor time of the server, a request


def measure(name: str, threads: int, seconds: int) -> dict[int, Sample]:
    """One run at each number of connections, against a fresh process."""
    command = [sys.executable, __file__, "--child", name, "--threads", str(threads)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert server.stdout is not None
        url = f"http://127.0.0.1:{int(server.stdout.readline())}/status"
        return {connections: sample(url, connections, seconds, server.pid) for connections in CONNECTIONS}
    finally:
        server.kill()
        server.communicate()


def sample(url: str, connections: int, seconds: int, pid: int) -> Sample:
    """What `wrk` and the kernel count."""
    options = ["-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s"]
    before = cpu_seconds(pid)
    done = subprocess.run(["wrk", *options, url], capture_output=True, text=True, check=True, timeout=60)
    used = cpu_seconds(pid) - before
    assert "Non-2xx" not in done.stdout, done.stdout
    requests = int(re.findall(r"([0-9]+) requests in", done.stdout)[0])
    return Sample(float(re.findall(r"Requests/sec: +([0-9.]+)", done.stdout)[0]), used / requests * 1e6)


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used, its threads and the kernel on its behalf (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--only", default="", help="parts of names, separated by commas")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        make_app, run = SERVERS[args.child]
        run(make_app(), args.threads)
        return
    names = [n for n in SERVERS if any(part in n for part in args.only.split(","))]
    samples: dict[str, dict[int, list[Sample]]] = {name: defaultdict(list) for name in names}
    for _ in range(args.rounds):
        for name in names:
            for connections, found in measure(name, args.threads, args.seconds).items():
                samples[name][connections].append(found)
    table(samples, "requests/s", lambda found: found.rate)
    table(samples, "processor time a request, µs", lambda found: found.cpu_us)


def table(samples: dict[str, dict[int, list[Sample]]], title: str, value: Callable[[Sample], float]) -> None:
    """Prints medians, each with its ratio to the first row."""
    print(f"| {title} |", " | ".join(f"{n} conn." for n in CONNECTIONS), "|")
    print("|---|" + "---:|" * len(CONNECTIONS))
    base: dict[int, float] = {}
    for name, row in samples.items():
        medians = {n: statistics.median(map(value, row[n])) for n in CONNECTIONS}
        base = base or medians
        print(f"| {name} |", " | ".join(f"{m:,.0f} ({m / base[n]:.2f}×)" for n, m in medians.items()), "|")
    print()


if __name__ == "__main__":
    main()
