# SPDX-License-Identifier: MIT
"""What the server and an app cost a request: processor time of one thread that parses, answers and sends.

    python benchmarks/request_cost.py [--rounds 15]

A connection of the server is driven by hand over a pair of sockets, without loop and threads, so that a busy
machine hardly moves the figures: the best of several rounds, in microseconds. "general" hands over the first
byte of each request by itself, which takes the way of everything that is not plain.
"""

from __future__ import annotations

import argparse
import logging
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from minihttp import App, HttpRouter, Response, logs
from minihttp.app import log_ring
from minihttp.server import bind
from minihttp.server.channel import Channel
from minihttp.server.listener import Listener

OK = b'{"status": "ok"}'
BROWSER = (
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140\r\n"
    b"Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\n"
    b"Accept-Encoding: gzip, deflate, br\r\nConnection: keep-alive\r\nReferer: http://127.0.0.1:8080/x\r\n"
    b"Cookie: a=b; c=d\r\nUpgrade-Insecure-Requests: 1\r\nSec-Fetch-Dest: document\r\n"
    b"Sec-Fetch-Mode: navigate\r\n"
)
JSON = b'{"name": "Ada Lovelace", "tags": ["a", "b", "c"], "n": 12, "nested": {"price": 9.5, "ok": true}}'
HOST = b"Host: 127.0.0.1:8080\r\n"
REQUESTS = {
    "GET": b"GET /status HTTP/1.1\r\n" + HOST + b"\r\n",
    "GET of a browser": b"GET /status HTTP/1.1\r\n" + HOST + BROWSER + b"\r\n",
    "POST of JSON": b"POST /echo HTTP/1.1\r\n" + HOST
    + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(JSON), JSON),
}  # fmt: skip
REQUESTS_A_ROUND = 500

http = HttpRouter()
http.get("/status", lambda ctx, request: Response(OK, headers={"Content-Type": "application/json"}))
http.post("/echo", lambda ctx, request: Response.json(request.json()))


def bare(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(OK)))])
    return [OK]


def cost_us(
    app: Any, pieces: list[bytes], report: Callable[[logs.Served], None] | None, rounds: int
) -> float:
    """The best round."""
    listener = Listener(
        app, bind("127.0.0.1", 0), threads=1, connections=10, connections_per_peer=10, max_body_bytes=10**6,
        min_body_bytes_per_second=100, max_spooled_bytes=10**6, trusted_proxy=None, report=report,
    )  # fmt: skip
    listener.poll(
        0
    )  # from now on this thread is the loop's: what it adds to the queue is not taken by another
    ours, client = socket.socketpair()
    channel = Channel(listener, ours, ("127.0.0.1", 50_000), listener.adj, map=listener.sockets)
    channel.peer = "127.0.0.1"
    listener.admission.add(channel)
    queue, best = listener.task_dispatcher.queue, float("inf")
    for _ in range(rounds):
        began = time.thread_time()
        for _ in range(REQUESTS_A_ROUND):
            for piece in pieces:
                channel.received(piece)
            queue.popleft().service()
            client.recv(65_536)
        best = min(best, (time.thread_time() - began) / REQUESTS_A_ROUND * 1e6)
    listener.close_all(1.0)
    client.close()
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    logs.configure("json", stream=open("/dev/null", "w"))  # noqa: SIM115
    log_ring.install()
    logging.getLogger("minihttp").setLevel(logging.INFO)
    app = App(http, function_api=False)
    print("| µs of processor a request | general | lean | lean, with a log line |\n|---|---:|---:|---:|")
    for name, served, request in (
        ("GET, bare callable", bare, REQUESTS["GET"]),
        *((name, app, request) for name, request in REQUESTS.items()),
    ):
        figures = (
            cost_us(served, [request[:1], request[1:]], None, rounds),
            cost_us(served, [request], None, rounds),
            cost_us(served, [request], logs.access_line, rounds),
        )
        print(f"| {name} |", " | ".join(f"{figure:.1f}" for figure in figures), "|", flush=True)


if __name__ == "__main__":
    main()
