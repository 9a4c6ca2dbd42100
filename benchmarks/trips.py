# SPDX-License-Identifier: MIT
"""How far a request travels inside minihttp: calls, files, rooms, and changes of room.

    python benchmarks/trips.py

Counts, by `sys.setprofile` in the thread of the request, calls of functions written in minihttp/ and
storage_backends/, their files and rooms, and how often a call is in another room than the one before. Four
trips: a webhook POST up to its COMMIT, its job, a query that ends in `take(30)`, and an upload. The second
run of each is counted, so that what is loaded and composed once is not. What the committer's thread does for
a webhook is not: a `Deferred` is waited for. The sender's signature and the clock are not ours.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
from collections.abc import Callable
from types import FrameType
from typing import Any

import minihttp
from minihttp import App, HttpRouter, internal_mutation, query
from minihttp.webhooks import stripe

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(minihttp.__file__)))
HOUSES = tuple(os.path.join(ROOT, name) + os.sep for name in ("minihttp", "storage_backends"))
SECRET = "whsec_trips"
NOW = 1_700_000_000


@internal_mutation
def on_event(ctx: Any, delivery: Any) -> None:
    ctx.db.insert("events", {"id": delivery["id"]})


@query
def newest(ctx: Any) -> Any:
    return ctx.db.query("events").order("desc").take(30)


class Trip:
    """Counts what happens while it is open."""

    def __init__(self) -> None:
        self.calls = self.changes = 0
        self.files: set[str] = set()
        self.rooms: set[str] = set()
        self._room = ""

    def __enter__(self) -> Trip:
        sys.setprofile(self._on)
        return self

    def __exit__(self, *error: object) -> None:
        sys.setprofile(None)

    def _on(self, frame: FrameType, event: str, argument: object) -> None:
        file = frame.f_code.co_filename
        if event != "call" or not file.startswith(HOUSES):
            return
        room = os.path.relpath(file, ROOT).split(os.sep)[1 if file.startswith(HOUSES[0]) else 0]
        self.calls += 1
        self.files.add(file)
        self.rooms.add(room)
        self.changes += room != self._room
        self._room = room

    def __str__(self) -> str:
        return f"{self.calls:>5} {len(self.files):>5} {len(self.rooms):>5} {self.changes:>7}"


def post(app: App, path: str, body: bytes, headers: dict[str, str], query: str = "") -> bytes:
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "HTTP_HOST": "localhost",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        "wsgi.url_scheme": "http",
    }
    for name, value in headers.items():
        key = name.upper().replace("-", "_")
        environ[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
    return b"".join(app(environ, lambda status, headers: None))


def measured(name: str, run: Callable[[int], object]) -> None:
    run(0)
    with Trip() as trip:
        run(1)
    print(f"{name:<24}{trip}")


def main() -> None:
    http = HttpRouter()
    http.webhook("/hook", stripe.provider(secret="STRIPE"), handler=on_event)
    with tempfile.TemporaryDirectory() as folder:
        app = App(
            http,
            modules=[__name__],
            data=folder,
            workers=0,
            clock=lambda: float(NOW),
            environment={"STRIPE": SECRET},
        )
        with app:
            events = [b'{"id": "evt_%d", "type": "x"}' % n for n in range(5)]
            signed = [stripe.sign(event, SECRET, timestamp=NOW) for event in events]

            def deliver(n: int) -> bytes:
                return post(app, "/hook", events[n], signed[n])

            print(f"{'trip':<24}{'calls':>5} files rooms changes")
            measured("webhook POST to COMMIT", deliver)
            app.jobs.run_due()
            deliver(2)
            deliver(3)
            store = app.jobs.store
            jobs = [(row["_id"], store.call_of(row)[0]) for row in store.all_due(store.now_ms())]
            measured("its job", lambda n: app.jobs._executor.run(*jobs[n]))
            measured("take(30)", lambda n: app.run_query(newest))
            url = app.files.outside("").generate_upload_url()
            path, _, token = url.partition("?")
            measured(
                "upload", lambda n: post(app, path, b"x" * 1000, {"Content-Type": "text/plain"}, query=token)
            )


if __name__ == "__main__":
    main()
