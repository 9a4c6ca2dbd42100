# SPDX-License-Identifier: MIT
"""Calls per second of a WSGI app in process: a bare callable, falcon, bottle, flask and minihttp side by
side.

    python benchmarks/dispatch.py [--seconds 0.3] [--rounds 5]

Every framework answers the same ten routes with the same bytes. Rounds are interleaved and medians are
printed, as a table in Markdown; ratios count, absolute figures move with the machine. No server, no sockets.
"""

from __future__ import annotations

import argparse
import importlib
import io
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]
NAMES = [f"r{number}" for number in range(7)]
DOCUMENT = {"name": "Ada Lovelace", "tags": ["a", "b", "c"], "n": 12, "nested": {"price": 9.5, "ok": True}}
JSON_BODY = json.dumps({"items": [DOCUMENT] * 12}).encode()
TEXT = ("Content-Type", "text/plain;charset=UTF-8")


def bare() -> Wsgi:
    """The limit: no routing but what the case needs, no checks."""

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "POST":
            value = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
            body, kind = json.dumps(value).encode(), ("Content-Type", "application/json")
        elif environ["PATH_INFO"] == "/nowhere":
            start_response("404 Not Found", [TEXT, ("Content-Length", "9")])
            return [b"Not found"]
        else:
            body, kind = b"ok", TEXT
        start_response("200 OK", [kind, ("Content-Length", str(len(body)))])
        return [body]

    return app


def minihttp(count: int = 0) -> Wsgi:
    from minihttp import App, HttpRouter, Response

    http = HttpRouter()

    def ok(ctx: Any, request: Any) -> Response:
        return Response("ok")

    for name in NAMES:
        http.route(path=f"/static/{name}", method="GET", handler=ok)
    http.route(
        path="/users/{id}", method="GET", handler=lambda ctx, request: Response(request.path_params["id"])
    )
    http.route(path_prefix="/files/", method="GET", handler=lambda ctx, request: Response(request.tail))
    http.route(path="/echo", method="POST", handler=lambda ctx, request: Response.json(request.json()))
    for number in range(count):
        http.route(path=f"/many/{number}/x", method="GET", handler=ok)
    return App(http, function_api=False)


def falcon(count: int = 0) -> Wsgi:
    falcon = importlib.import_module("falcon")
    app = falcon.App()

    class Text:
        def on_get(self, request: Any, response: Any, text: str = "ok") -> None:
            response.content_type = "text/plain;charset=UTF-8"
            response.text = text

    class Echo:
        def on_post(self, request: Any, response: Any) -> None:
            response.media = request.get_media()

    for name in NAMES:
        app.add_route(f"/static/{name}", Text())
    app.add_route("/users/{text}", Text())
    app.add_route("/files/{text:path}", Text())
    app.add_route("/echo", Echo())
    for number in range(count):
        app.add_route(f"/many/{number}/x", Text())
    return app  # type: ignore[no-any-return]


def bottle(count: int = 0) -> Wsgi:
    bottle = importlib.import_module("bottle")
    app = bottle.Bottle()
    for name in NAMES:
        app.route(f"/static/{name}", callback=lambda: "ok")
    app.route("/users/<text>", callback=lambda text: text)
    app.route("/files/<text:path>", callback=lambda text: text)
    app.route("/echo", method="POST", callback=lambda: bottle.request.json)
    for number in range(count):
        app.route(f"/many/{number}/x", callback=lambda: "ok")
    return app  # type: ignore[no-any-return]


def flask(count: int = 0) -> Wsgi:
    flask = importlib.import_module("flask")
    app = flask.Flask("dispatch")
    for name in NAMES:
        app.add_url_rule(f"/static/{name}", name, lambda: "ok")
    app.add_url_rule("/users/<text>", "users", lambda text: text)
    app.add_url_rule("/files/<path:text>", "files", lambda text: text)
    app.add_url_rule("/echo", "echo", lambda: flask.jsonify(flask.request.get_json()), methods=["POST"])
    for number in range(count):
        app.add_url_rule(f"/many/{number}/x", f"many{number}", lambda: "ok")
    return app.wsgi_app  # type: ignore[no-any-return]


def environ_of(method: str, path: str, body: bytes = b"") -> dict[str, Any]:
    """What waitress hands to an app for a small request."""
    environ = {
        "REMOTE_ADDR": "127.0.0.1", "REMOTE_HOST": "127.0.0.1", "REMOTE_PORT": "50000",
        "REQUEST_METHOD": method, "SERVER_PORT": "8080", "SERVER_NAME": "localhost",
        "SERVER_SOFTWARE": "bench", "SERVER_PROTOCOL": "HTTP/1.1", "SCRIPT_NAME": "",
        "PATH_INFO": path, "REQUEST_URI": path, "QUERY_STRING": "",
        "HTTP_HOST": "localhost:8080", "HTTP_USER_AGENT": "bench", "HTTP_ACCEPT": "*/*",
        "wsgi.url_scheme": "http", "wsgi.version": (1, 0), "wsgi.errors": sys.stderr,
        "wsgi.multithread": True, "wsgi.multiprocess": False, "wsgi.run_once": False,
        "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": True,
    }  # fmt: skip
    if body:
        environ |= {"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(body))}
    return environ


def calls_per_second(app: Wsgi, environ: dict[str, Any], seconds: float) -> float:
    """Full calls: start_response, every chunk, close(); in CPU time, which a busy machine moves less."""

    def start_response(status: str, headers: list[tuple[str, str]], error: Any = None) -> None:
        pass

    body, count = environ["wsgi.input"], 0
    has_body = "CONTENT_LENGTH" in environ
    started = time.process_time()
    while (elapsed := time.process_time() - started) < seconds:
        for _ in range(50):
            fresh = environ
            if has_body:  # bottle keeps what it parsed in the environ
                body.seek(0)
                fresh = environ.copy()
            result = app(fresh, start_response)
            for _chunk in result:
                pass
            if hasattr(result, "close"):
                result.close()
        count += 50
    return count / elapsed


def check(app: Wsgi, environ: dict[str, Any], status: str) -> None:
    """The case really does what its column says."""
    seen: list[str] = []
    environ["wsgi.input"].seek(0)
    b"".join(app(environ.copy(), lambda line, headers, error=None: seen.append(line)))
    if not seen[0].startswith(status):
        raise SystemExit(f"{environ['PATH_INFO']} answered {seen[0]}, not {status}")


CASES = {
    "static": (environ_of("GET", "/static/r5"), "200"),
    "parameter": (environ_of("GET", "/users/42"), "200"),
    "prefix": (environ_of("GET", "/files/a/b/c.txt"), "200"),
    "JSON echo": (environ_of("POST", "/echo", JSON_BODY), "200"),
    "404": (environ_of("GET", "/nowhere"), "404"),
}


def measure(
    apps: dict[str, Wsgi], cases: dict[str, Any], rounds: int, seconds: float
) -> dict[str, dict[str, float]]:
    """Medians over interleaved rounds, by app and case."""
    found: dict[str, dict[str, list[float]]] = {name: {case: [] for case in cases} for name in apps}
    for case, (environ, status) in cases.items():
        for app in apps.values():
            check(app, environ, status)
        for _ in range(rounds):
            for name, app in apps.items():
                found[name][case].append(calls_per_second(app, environ, seconds))
    return {
        name: {case: statistics.median(values) for case, values in row.items()} for name, row in found.items()
    }


def growth(rounds: int, seconds: float) -> None:
    """First, middle and last of 10,000 routes as a share of ten, and the time to register them."""
    few, started = minihttp(10), time.process_time()
    many = minihttp(10_000)
    registered_ms = (time.process_time() - started) * 1000
    cases = {"few": few, "first": many, "middle": many, "last": many}
    paths = {"few": "/many/5/x", "first": "/many/0/x", "middle": "/many/5000/x", "last": "/many/9999/x"}
    rates: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, app in cases.items():
            rates[name].append(calls_per_second(app, environ_of("GET", paths[name]), seconds))
    medians = {name: statistics.median(values) for name, values in rates.items()}
    shares = ", ".join(
        f"{name} {medians['few'] / medians[name]:.2f}x" for name in ("first", "middle", "last")
    )
    print(
        f"\n10,000 routes: registered in {registered_ms:.0f} ms; time of a call against 10 routes: {shares}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.3)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    apps = {"bare": bare()} | {make.__name__: make() for make in (falcon, bottle, flask, minihttp)}
    rates = measure(apps, CASES, options.rounds, options.seconds)
    print("| calls/s (share of bare) | " + " | ".join(CASES) + " |\n|---|" + "---:|" * len(CASES))
    for name, row in rates.items():
        cells = (f"{rate:,.0f} ({rate / rates['bare'][case]:.2f})" for case, rate in row.items())
        print(f"| {name} | " + " | ".join(cells) + " |")
    against = (f"{rates['minihttp'][case] / rates['falcon'][case]:.2f}" for case in CASES)
    print("| minihttp / falcon | " + " | ".join(against) + " |")
    growth(options.rounds, options.seconds)


if __name__ == "__main__":
    main()
