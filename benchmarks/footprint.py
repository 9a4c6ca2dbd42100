# SPDX-License-Identifier: MIT
"""What it costs to be there: import time, memory, code and dependencies, beside bottle, flask, falcon,
microdot.

    python benchmarks/footprint.py [--rounds 9]

Import times are medians over fresh interpreters, above a bare one, rounds interleaved, and hold one request
through a router with one route. "served" is the memory of a process that has answered one request over
HTTP, on waitress or, for minihttp, on its own server. Frameworks that are not installed are left out.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

ROUTERS = {
    "a bare interpreter": "",
    "waitress alone": "import waitress",
    "bottle": """
import bottle
app = bottle.Bottle()
app.route("/x", "GET", lambda: "ok")
""",
    "falcon": """
import falcon
class X:
    def on_get(self, request, response): response.text = "ok"
app = falcon.App()
app.add_route("/x", X())
""",
    "flask": """
import flask
app = flask.Flask("app")
app.add_url_rule("/x", view_func=lambda: "ok")
""",
    "microdot": """
from microdot.wsgi import Microdot
app = Microdot()
app.get("/x")(lambda request: "ok")
""",
    "minihttp": """
from minihttp import App, HttpRouter, Response
http = HttpRouter()
http.route(path="/x", method="GET", handler=lambda ctx, request: Response("ok"))
app = App(http)
""",
}
REQUEST = """
import io
environ = {
    "REQUEST_METHOD": "GET", "PATH_INFO": "/x", "SCRIPT_NAME": "", "QUERY_STRING": "", "SERVER_NAME": "a",
    "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "HTTP_HOST": "a", "REMOTE_ADDR": "::1",
    "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(), "wsgi.errors": None, "wsgi.version": (1, 0),
    "wsgi.multithread": True, "wsgi.multiprocess": False, "wsgi.run_once": False,
}
if "app" in globals():
    assert b"".join(app(environ, lambda status, headers, exc_info=None: None)) == b"ok"
"""
SERVE_STOCK = """
import waitress
server = waitress.create_server(app, listen="127.0.0.1:0")
print(server.effective_port, flush=True)
server.run()
"""
SERVE_OURS = """
from minihttp.server import serve
serve(app, port=0, ready=lambda server: print(server.port, flush=True))
"""
FULL_APP = """
import os
from minihttp import App, HttpRouter, Response, Schema, Table, mutation, v
http = HttpRouter()
@mutation(args={})
def create(ctx):
    return ctx.db.insert("items", {"n": 1})
http.route(path="/x", method="GET", handler=lambda ctx, request: ctx.run_mutation(create) and Response("ok"))
app = App(http, schema=Schema(items=Table({"n": v.number()})), modules=[__name__], data=os.environ["DATA"])
"""


def seconds(program: str) -> float:
    """Wall time of a fresh interpreter that runs `program`."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)
    return time.perf_counter() - began


def served_mib(program: str) -> float:
    """Resident memory of a server process after one request, in MiB (Linux)."""
    command = [sys.executable, "-c", program]
    with (
        tempfile.TemporaryDirectory() as data,
        subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, "DATA": data}, stdout=subprocess.PIPE, text=True
        ) as server,
    ):
        assert server.stdout is not None
        url = f"http://127.0.0.1:{int(server.stdout.readline())}/x"
        urllib.request.urlopen(url).read()
        pages = int(Path(f"/proc/{server.pid}/statm").read_text().split()[1])
        server.kill()
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def installed(name: str) -> bool:
    return name in ("a bare interpreter", "waitress alone", "minihttp") or bool(_distribution(name))


def _distribution(name: str) -> importlib.metadata.Distribution | None:
    try:
        return importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def dependencies(name: str) -> set[str]:
    """What is installed with a distribution: the names of all its dependencies, without extras."""
    found: set[str] = set()
    distribution = _distribution(name)
    for requirement in (distribution.requires or []) if distribution else []:
        other = requirement.partition(";")[0].strip()
        if "extra ==" not in requirement:
            word = "".join(c if c.isalnum() or c in "-_." else " " for c in other).split()[0]
            found |= {word.lower()} | dependencies(word)
    return found


def kib(name: str) -> float:
    """Size of a distribution's Python files in KiB; of this one, of its two folders."""
    if name == "minihttp":
        paths = [*(ROOT / "minihttp").rglob("*.py"), *(ROOT / "storage_backends").glob("*.py")]
    else:
        distribution = _distribution(name)
        files = (distribution.files or []) if distribution else []
        paths = [Path(str(f.locate())) for f in files if f.suffix in (".py", ".so")]
    return sum(path.stat().st_size for path in paths if path.exists()) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    args = parser.parse_args()
    names = [name for name in ROUTERS if installed(name)]
    times: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(args.rounds):
        for name in names:
            times[name].append(seconds(ROUTERS[name] + REQUEST))
    base = statistics.median(times["a bare interpreter"])
    print("| | import and one request, ms | served, MiB RSS | code, KiB | dependencies |")
    print("|---|---:|---:|---:|---:|")
    for name in names:
        cost_ms = (statistics.median(times[name]) - base) * 1000
        if "app" not in ROUTERS[name]:
            print(f"| {name} | {cost_ms:.0f} | | | |")
            continue
        memory = served_mib(ROUTERS[name] + (SERVE_OURS if name == "minihttp" else SERVE_STOCK))
        others = 1 if name == "minihttp" else len(dependencies(name)) + 1  # waitress, for all
        print(f"| {name} | {cost_ms:.0f} | {memory:.1f} | {kib(name):,.0f} | {others} |")
    print(f"| minihttp with documents, files and a worker | | {served_mib(FULL_APP + SERVE_OURS):.1f} | | |")


if __name__ == "__main__":
    main()
