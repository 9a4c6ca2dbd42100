# SPDX-License-Identifier: MIT
"""What a signature check costs, and a durable webhook over HTTP, each beside its peers in one run.

    python benchmarks/webhooks.py checks
    python benchmarks/webhooks.py ingest [--seconds 2] [--rounds 3] [--threads 16] [--sync-ms 4] [--only mini]

checks: "raw" is `hmac.digest` over the ready message and `compare_digest`: no headers are read, no time is
checked. "minihttp" is `verify` as a handler calls it, with `request.headers` over the environ of a server;
below it the same with a dictionary of headers, and a wrong signature of the right form that is refused. Each
figure is the best of several interleaved rounds.

ingest (needs `wrk`): signed Stripe events of 10 KiB, each with an id of its own, are verified, stored
with synchronous=FULL and answered with a 200, each run against a fresh process and database; rounds are
interleaved. "minihttp serve" is `python -m minihttp serve` with its defaults, 16 threads and access log;
the same app under granian has them too; the others have `--threads` threads. "handled, until done" counts
from the first delivery until the handler, a mutation that writes two documents, has run for the last.
Prints medians with the ratio to the first row, the least and the greatest run, the 99th percentile, and
processor time of the server a delivery. `--sync-ms` makes every fsync take so much longer (needs a C
compiler).

Peers that are not installed are left out. Ratios within a run are what counts.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import importlib.util
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from processes import Sample, cell, python, sample, started

from minihttp.errors import WebhookError
from minihttp.http.headers import RequestHeaders
from minihttp.webhooks import github, standard_webhooks, stripe, svix

SECRET = os.environ.get("BENCHMARK_KEY") or "whsec_" + base64.b64encode(os.urandom(24)).decode()
RAW_KEY = base64.b64decode(SECRET.removeprefix("whsec_"))
NOW = int(time.time())
SIZES_BYTES = (1024, 10 * 1024, 100 * 1024)
ROUNDS = 200  # short ones: on a busy machine some are left alone
SECONDS_PER_ROUND = 0.001


def best_microseconds(calls: dict[str, Callable[[], object]]) -> dict[str, float]:
    """The fastest round of each call; the calls take turns, so that a slow moment hits all alike."""
    best: dict[str, float] = {}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            count, start = 0, time.perf_counter()
            while not count or time.perf_counter() - start < SECONDS_PER_ROUND:
                for _ in range(20):
                    call()
                count += 20
            spent = (time.perf_counter() - start) / count * 1e6
            best[name] = min(spent, best.get(name, spent))
    return best


def raw(key: bytes, message: bytes) -> Callable[[], object]:
    expected = hmac.digest(key, message, "sha256")
    return lambda: hmac.compare_digest(hmac.digest(key, message, "sha256"), expected)


def request_headers(headers: dict[str, str]) -> RequestHeaders:
    """As of a request that a proxy has passed on: a dozen headers beside the provider's."""
    environ = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
    others = (
        "HOST ACCEPT ACCEPT_ENCODING USER_AGENT CONNECTION X_FORWARDED_FOR X_FORWARDED_PROTO X_REQUEST_ID"
    )
    environ |= {f"HTTP_{name}": "x" for name in others.split()}
    plain = "REQUEST_METHOD PATH_INFO QUERY_STRING SERVER_NAME SERVER_PORT REMOTE_ADDR CONTENT_TYPE"
    return RequestHeaders(environ | dict.fromkeys(plain.split(), "x"))


def refused(verify: Callable[..., object], body: bytes, headers: Any) -> bool:
    try:
        verify(body, headers, SECRET)
    except WebhookError:
        return True
    raise AssertionError("a wrong signature was accepted")


def minihttp_calls(module: Any, body: bytes, headers: dict[str, str]) -> dict[str, Callable[[], object]]:
    verify, request = module.verify, request_headers(headers)
    wrong = request_headers(module.sign(body + b"x", SECRET, id="msg_1", timestamp=NOW))
    return {
        "minihttp": lambda: verify(body, request, SECRET),
        "minihttp, a dictionary of headers": lambda: verify(body, headers, SECRET),
        "minihttp, refused": lambda: refused(verify, body, wrong),
    }


def official_stripe(body: bytes, headers: dict[str, str]) -> dict[str, Callable[[], object]]:
    try:
        import stripe as library
    except ImportError:
        return {}
    header, text = headers["Stripe-Signature"], body.decode()
    return {
        "stripe verify_header": lambda: library.WebhookSignature.verify_header(text, header, SECRET, 300),
        "stripe construct_event": lambda: library.Webhook.construct_event(body, header, SECRET),
    }


def official_webhooks(name: str, body: bytes, headers: dict[str, str]) -> dict[str, Callable[[], object]]:
    try:
        library = __import__(f"{name}.webhooks").webhooks.Webhook(SECRET)
    except ImportError:
        return {}
    lower = {key.lower(): value for key, value in headers.items()}
    return {f"{name} verify": lambda: library.verify(body.decode(), lower)}


def checks_of(size_bytes: int) -> dict[str, dict[str, Callable[[], object]]]:
    """For each provider, the calls to compare: raw HMAC first."""
    body = b'{"id": "evt_1", "object": "event", "filling": "%s"}' % (b"x" * (size_bytes - 50))
    calls: dict[str, dict[str, Callable[[], object]]] = {}
    for module, key, before in (
        (github, SECRET.encode(), b""),
        (stripe, SECRET.encode(), b"%d." % NOW),
        (svix, RAW_KEY, b"msg_1.%d." % NOW),
        (standard_webhooks, RAW_KEY, b"msg_1.%d." % NOW),
    ):
        name = module.SCHEME.name
        headers = module.sign(body, SECRET, id="msg_1", timestamp=NOW)
        calls[name] = {"raw": raw(key, before + body)} | minihttp_calls(module, body, headers)
        if module is stripe:
            calls[name] |= official_stripe(body, headers)
        elif module is not github:
            calls[name] |= official_webhooks(name.replace("-", ""), body, headers)
    return calls


def checks() -> None:
    print("| body | provider | call | µs | × raw |\n|---:|---|---|---:|---:|")
    for size_bytes in SIZES_BYTES:
        for provider, calls in checks_of(size_bytes).items():
            spent = best_microseconds(calls)
            for name, microseconds in spent.items():
                ratio = microseconds / spent["raw"]
                print(
                    f"| {size_bytes // 1024} KiB | {provider} | {name} | {microseconds:.2f} | {ratio:.2f} |"
                )


# ---------------------------------------------------------------- over HTTP

CONNECTIONS = (1, 8, 64)
EVENTS = 60_000  # more than any server takes in a measurement, so that no id comes twice
BODY_BYTES = 10 * 1024
Wsgi = Callable[[dict[str, Any], Any], Any]
OK = b'{"ok":true}'


def answer(start_response: Any, status: str) -> list[bytes]:
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(OK)))])
    return [OK]


def limit(data: str) -> Wsgi:
    """Read the body, answer 200."""

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        environ["wsgi.input"].read()
        return answer(start_response, "200 OK")

    return app


def connections_to(data: str) -> threading.local:
    """A connection for each thread, as `.to`."""

    class Local(threading.local):
        def __init__(self) -> None:
            self.to = sqlite3.connect(f"{data}/events.db", timeout=60, isolation_level=None)
            self.to.execute("PRAGMA synchronous=FULL")

    first = Local().to
    first.execute("PRAGMA journal_mode=WAL")
    first.execute("CREATE TABLE events (id TEXT PRIMARY KEY, body BLOB)")
    return Local()


def flask_stripe(data: str) -> Wsgi:
    """What people write: Flask, stripe.Webhook.construct_event, one insert a request."""
    import flask
    import stripe as library

    app = flask.Flask("app")
    local = connections_to(data)

    @app.post("/stripe")
    def receive() -> Any:
        body = flask.request.get_data()
        event = library.Webhook.construct_event(body, flask.request.headers["Stripe-Signature"], SECRET)
        local.to.execute("INSERT OR IGNORE INTO events VALUES (?, ?)", (event.id, body))
        return {"ok": True}

    return app


def one_insert(data: str) -> Wsgi:
    """By hand: our check and one insert a request, on a bare callable."""
    local = connections_to(data)

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        body = environ["wsgi.input"].read()
        event = stripe.verify(body, {"Stripe-Signature": environ["HTTP_STRIPE_SIGNATURE"]}, SECRET)
        local.to.execute("INSERT OR IGNORE INTO events VALUES (?, ?)", (event.id, body))
        return answer(start_response, "200 OK")

    return app


def on_stock(app: Wsgi, port: int, threads: int) -> None:
    import waitress

    waitress.serve(app, listen=f"127.0.0.1:{port}", threads=threads, connection_limit=1000, _quiet=True)


def on_ours(app: Wsgi, port: int, threads: int) -> None:
    from minihttp.server import Server

    Server(app, port=port, threads=threads).run()


_GRANIAN = "granian --interface wsgi --blocking-threads 16 --backpressure 512 --access-log"
SERVED: dict[str, tuple[Callable[[str], Wsgi], Callable[[Wsgi, int, int], None]] | str] = {
    "flask + stripe + sqlite3, stock waitress": (flask_stripe, on_stock),
    "our check + one insert, our server": (one_insert, on_ours),
    "limit: read the body, our server": (limit, on_ours),
    "minihttp serve": "minihttp serve inbox_app:app --port {port} --data ",
    "minihttp, granian": f"{_GRANIAN} --port {{port}} inbox_app:app",
    "minihttp serve, handled, until done": "minihttp serve inbox_app:app --port {port} --data ",
}

_LUA = """
local events, count = {}, 0
for line in io.lines("%(events)s") do count = count + 1; events[count] = line end
local file, next_event = io.open("%(rest)s", "rb"), 0
local rest = file:read("*a")
function request()
  next_event = next_event %% count + 1
  local id, signature = events[next_event]:match("(%%S+) (%%S+)")
  local headers = {["Stripe-Signature"] = signature, ["Content-Type"] = "application/json"}
  return wrk.format("POST", wrk.path, headers, '{"id": "' .. id .. rest)
end
"""
_SLOW_SYNC = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <unistd.h>
typedef int call(int);
#define REAL(name) ((call *) dlsym(RTLD_NEXT, #name))
#define SLOW(name) int name(int fd) { usleep(%(microseconds)d); return REAL(name)(fd); }
SLOW(fsync)
SLOW(fdatasync)
"""


def event_without_id() -> str:
    """What follows the id of an event of about 10 KiB, as nested as Stripe's are."""
    price = {
        "id": "price_1",
        "object": "price",
        "currency": "eur",
        "recurring": {"interval": "month"},
        "tiers": None,
    }
    item = {
        "id": "il_1",
        "object": "line_item",
        "amount": 1250,
        "period": {"end": 1, "start": 0},
        "price": price,
    }
    lines = {"object": "list", "data": [item] * (BODY_BYTES // 400), "has_more": False}
    invoice = {"id": "in_1", "object": "invoice", "lines": lines, "metadata": {}}
    event = {
        "object": "event",
        "type": "invoice.paid",
        "created": 1,
        "livemode": False,
        "data": {"object": invoice},
    }
    return '", ' + json.dumps(event, indent=2)[1:]


def write_events(folder: Path) -> Path:
    """The events, signed for now, and the script with which `wrk` sends them."""
    rest = event_without_id()
    state = hmac.new(SECRET.encode(), digestmod=hashlib.sha256)
    with open(folder / "events", "w") as file:
        for number in range(EVENTS):
            mac, stamp = state.copy(), int(time.time())
            mac.update(f'{stamp}.{{"id": "evt_{number}{rest}'.encode())
            file.write(f"evt_{number} t={stamp},v1={mac.hexdigest()}\n")
    (folder / "rest").write_text(rest)
    (folder / "send.lua").write_text(_LUA % {"events": folder / "events", "rest": folder / "rest"})
    return folder / "send.lua"


def slow_sync(folder: Path, milliseconds: int) -> dict[str, str]:
    """The environment in which every fsync takes so much longer."""
    if not milliseconds:
        return {}
    source, library = folder / "slow.c", folder / "slow.so"
    source.write_text(_SLOW_SYNC % {"microseconds": milliseconds * 1000})
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return {"LD_PRELOAD": str(library)}


def ingested(name: str, clients: int, script: Path, env: dict[str, str], args: Any) -> Sample:
    """One run against a fresh server with a fresh database."""
    with tempfile.TemporaryDirectory() as data:
        served = SERVED[name]
        if isinstance(served, str):
            command = python(served + data if served.endswith("--data ") else served)
        else:
            own = ["serve", name, data, "{port}", "--threads", str(args.threads)]
            command = [sys.executable, __file__, *own]
        environment = {**env, "BENCHMARK_KEY": SECRET, "BENCHMARK_DATA": data}
        with started(command, environment) as server:
            if not name.endswith("until done"):
                return sample(server, "/stripe", clients, args.seconds, str(script))
            began, used = time.perf_counter(), server.cpu_seconds()
            sent = sample(server, "/handled", clients, args.seconds, str(script))
            handled, at = until_done(f"{server.url}/count")
            cpu_us = (server.cpu_seconds() - used) / handled * 1e6
            return Sample(handled / (at - began), cpu_us, sent.p99_ms)


def until_done(url: str) -> tuple[int, float]:
    """How many deliveries were handled, and when the last was, once that stays the same for two seconds."""
    handled, at = -1, time.perf_counter()
    while time.perf_counter() < at + 2:
        with urllib.request.urlopen(url, timeout=60) as response:
            now = int(response.read())
        if now != handled:
            handled, at = now, time.perf_counter()
        time.sleep(0.05)
    return handled, at


def ingest(args: argparse.Namespace) -> None:
    names = [name for name in SERVED if not args.only or any(part in name for part in args.only.split(","))]
    names = [name for name in names if "granian" not in name or importlib.util.find_spec("granian")]
    results: dict[tuple[str, int], list[Sample]] = defaultdict(list)
    for _ in range(args.rounds):
        with tempfile.TemporaryDirectory() as folder:  # signed anew: a signature is good for five minutes
            script, env = write_events(Path(folder)), slow_sync(Path(folder), args.sync_ms)
            for name in names:
                for connections in CONNECTIONS:
                    results[name, connections].append(ingested(name, connections, script, env, args))
    columns: dict[str, Callable[[Sample], float]] = {
        "requests/s": lambda found: found.rate,
        "p99, ms": lambda found: found.p99_ms,
        "processor time a request, µs": lambda found: found.cpu_us,
    }
    for title, value in columns.items():
        print(f"| {title} |", " | ".join(f"{n} conn." for n in CONNECTIONS), "|")
        print("|---|" + "---:|" * len(CONNECTIONS))
        for name in names:
            cells = []
            for connections in CONNECTIONS:
                base = statistics.median(map(value, results[names[0], connections]))
                cells.append(cell(list(map(value, results[name, connections])), base))
            print(f"| {name} |", " | ".join(cells), "|")
        print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=("checks", "ingest", "serve"), nargs="?", default="checks")
    parser.add_argument("child", nargs="*", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=16)
    parser.add_argument("--sync-ms", type=int, default=0)
    parser.add_argument("--only", default="", help="parts of names, separated by commas")
    args = parser.parse_args()
    if args.what == "serve":
        served = SERVED[args.child[0]]
        assert not isinstance(served, str)
        served[1](served[0](args.child[1]), int(args.child[2]), args.threads)
    elif args.what == "ingest":
        ingest(args)
    else:
        checks()


if __name__ == "__main__":
    main()
