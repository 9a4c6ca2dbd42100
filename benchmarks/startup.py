# SPDX-License-Identifier: MIT
"""From the start of the process to its first answer: `serve examples/shop`, and a Flask app of the same kind.

python benchmarks/startup.py [--rounds N]

The Flask app has the shop's routes, opens a SQLite database in WAL mode, and is served by waitress. Warm: the
bytecode is there, as after the first start. Cold: none is, of the standard library neither
(`PYTHONPYCACHEPREFIX` names an empty folder). Rounds are interleaved; medians.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FLASK = """
import sqlite3, sys
from flask import Flask, jsonify, redirect, request
from waitress.server import create_server

app = Flask("shop")
database = sqlite3.connect(sys.argv[1] + "/app.db", check_same_thread=False)
database.execute("PRAGMA journal_mode=WAL")
database.execute("PRAGMA synchronous=FULL")
for table in ("webhookEvents", "users", "items", "payments", "subscriptions", "jobs", "keys", "files"):
    database.execute(f"CREATE TABLE IF NOT EXISTS {table} (id TEXT PRIMARY KEY, json TEXT)")
    database.execute(f"CREATE INDEX IF NOT EXISTS by_{table} ON {table} (json)")
database.commit()

@app.get("/health")
def health():
    return jsonify(status="ok")

for number in range(14):
    app.add_url_rule(f"/api/route{number}/<name>", f"route{number}", lambda name: jsonify(name=name))

server = create_server(app, host="127.0.0.1", port=0, threads=16)
print(f"http://127.0.0.1:{server.effective_port}", flush=True)
server.run()
"""
URL = re.compile(r"http://127\.0\.0\.1:[0-9]+")
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def first_answer_ms(command: list[str], environment: dict[str, str]) -> float:
    """Milliseconds from the start to a 200 of /health."""
    started = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    try:
        url = next(found[0] for line in process.stdout if (found := URL.search(line)))
        with DIRECT.open(url + "/health", timeout=60) as response:
            assert response.status == 200
        return (time.perf_counter() - started) * 1000
    finally:
        process.kill()
        process.communicate()


def measure(name: str, kind: str, bytecode: Path) -> float:
    with tempfile.TemporaryDirectory() as folder:
        prefix = os.path.join(folder, "none") if kind == "cold" else str(bytecode)
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        environment["PYTHONPYCACHEPREFIX"] = prefix
        if name == "flask":
            command = [sys.executable, "-c", FLASK, folder]
        else:
            command = [sys.executable, "-m", "minihttp", "serve", "examples/shop", "--port", "0"]
            command += ["--data", os.path.join(folder, "data")]
        return first_answer_ms(command, environment)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as bytecode:
        for name in ("flask", "minihttp"):
            measure(name, "warm", Path(bytecode))  # fills it
        times: dict[tuple[str, str], list[float]] = {}
        for _ in range(rounds):
            for kind in ("warm", "cold"):
                for name in ("flask", "minihttp"):
                    times.setdefault((name, kind), []).append(measure(name, kind, Path(bytecode)))
    print("| first answer, ms | warm | cold |\n|---|---:|---:|")
    median = {key: statistics.median(found) for key, found in times.items()}
    for name in ("flask", "minihttp"):
        print(f"| {name} | {median[name, 'warm']:.0f} | {median[name, 'cold']:.0f} |")
    ratios = [median["minihttp", kind] / median["flask", kind] for kind in ("warm", "cold")]
    print(f"| minihttp / flask | {ratios[0]:.2f} | {ratios[1]:.2f} |")


if __name__ == "__main__":
    main()
