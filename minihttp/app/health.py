# SPDX-License-Identifier: MIT
"""What an operator asks a running app: is it alive, is it ready, how is it doing.

`/_/health` answers 200 while the process serves at all. `/_/ready` answers 200 when requests of every kind
can be answered now, else 503: the database takes writes, the file store is there, no call is stuck, a thread
is free. `/_/metrics`, off unless asked for, is Prometheus text (exposition format 0.0.4), written by hand.
None of them says anything of documents or people. Knows no server.
"""

from __future__ import annotations

import os
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from math import inf
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import MinihttpError
from ..http.response import Response
from ..watchdog import watchdog

if TYPE_CHECKING:
    from ..data.database import Database, Transaction
    from ..files.storage import FileStore
    from ..http.request import Request
    from ..http.router import HttpRouter
    from ..jobs.jobs import Jobs
    from ..logs import Served

# Prometheus's own choice of buckets
_BUCKETS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
# Any other method is a stranger's word, and each would be a new series.
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_STALLED_SECONDS = 5.0  # as long as a writer waits for another
_MAX_COUNTED = 1000  # counting reads the rows
_CACHE_SECONDS = 1.0
_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_NO_STORE = {"Cache-Control": "no-store"}


class Observed(Protocol):
    """What is asked of an app."""

    options: Any

    @property
    def is_open(self) -> bool: ...
    @property
    def has_admin_key(self) -> bool: ...
    def is_admin_key(self, given: str) -> bool: ...
    @property
    def database(self) -> Database: ...
    @property
    def files(self) -> FileStore: ...
    @property
    def jobs(self) -> Jobs: ...
    def problems(self) -> list[str]: ...


Sample = tuple[str, dict[str, str], float]  # suffix of the name, labels, value
Gauge = tuple[str, str, list[Sample]]  # name, help, samples


class Metrics:
    """Counts requests by method, route and status, and how long they took by route; for any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: dict[tuple[str, str, int], int] = {}
        self._seconds: dict[
            str, tuple[list[int], list[float]]
        ] = {}  # per route: counts of each bucket; [sum]
        self._started = time.time()

    def record(self, served: Served) -> None:
        """Counts one answered request."""
        route = served.route or ""
        key = (served.method if served.method in _METHODS else "other", route, served.status)
        with self._lock:
            self._requests[key] = self._requests.get(key, 0) + 1
            if route not in self._seconds:
                self._seconds[route] = ([0] * (len(_BUCKETS_SECONDS) + 1), [0.0])
            counts, total = self._seconds[route]
            counts[bisect_left(_BUCKETS_SECONDS, served.seconds)] += 1
            total[0] += served.seconds

    def text(self, gauges: Iterable[Gauge] = ()) -> str:
        """Everything counted, and `gauges`, in Prometheus text."""
        with self._lock:
            requests = dict(self._requests)
            seconds = {route: (list(counts), total[0]) for route, (counts, total) in self._seconds.items()}
        lines = _family(
            "minihttp_requests_total",
            "counter",
            "Requests answered.",
            [
                ("", {"method": m, "route": r, "status": str(s)}, n)
                for (m, r, s), n in sorted(requests.items())
            ],
        )
        histograms = [sample for route in sorted(seconds) for sample in _histogram(route, *seconds[route])]
        lines += _family("minihttp_request_seconds", "histogram", "Time to answer a request.", histograms)
        started: Gauge = (
            "process_start_time_seconds",
            "Start of the process in Unix seconds.",
            [("", {}, self._started)],
        )
        for name, about, samples in (started, *gauges):
            lines += _family(name, "gauge", about, samples)
        return "\n".join(lines) + "\n"


def _histogram(route: str, counts: list[int], total: float) -> Iterator[Sample]:
    so_far = 0
    for bound, count in zip((*map(str, _BUCKETS_SECONDS), "+Inf"), counts, strict=True):
        so_far += count
        yield "_bucket", {"route": route, "le": bound}, so_far
    yield "_sum", {"route": route}, total
    yield "_count", {"route": route}, so_far


def _family(name: str, kind: str, about: str, samples: Iterable[Sample]) -> list[str]:
    lines = [f"# HELP {name} {about}", f"# TYPE {name} {kind}"]
    for suffix, labels, value in samples:
        inside = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
        lines.append(f"{name}{suffix}{{{inside}}} {value:.12g}" if inside else f"{name}{suffix} {value:.12g}")
    return lines


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def add_routes(app: Observed, router: HttpRouter, metrics: Metrics | None = None) -> None:
    """Registers `/_/health` and `/_/ready` on `router`, and `/_/metrics` where there are `metrics`."""

    def health(ctx: Any, request: Request) -> Response:
        return Response.json({"status": "ok"}, headers=_NO_STORE)

    def ready(ctx: Any, request: Request) -> Response:
        problem = _problem(app, _server_state(request))
        body: dict[str, Any] = {"status": problem or "ok"}
        if problems := app.problems():
            body["problems"] = problems
        return Response.json(body, status=503 if problem else 200, headers=_NO_STORE)

    cached: tuple[float, str] = (-inf, "")

    def numbers(ctx: Any, request: Request) -> Response:
        nonlocal cached
        assert metrics is not None
        if not _may_see_metrics(app, request):
            headers = {"WWW-Authenticate": "Bearer", **_NO_STORE}
            return Response.json({"error": "This needs the admin key"}, status=401, headers=headers)
        if time.monotonic() >= cached[0] + _CACHE_SECONDS:  # counting reads rows
            found = [*_live_gauges(app, _server_state(request)), *gauges(app)]
            cached = time.monotonic(), metrics.text(found)
        return Response(cached[1], headers={"Content-Type": _TEXT, **_NO_STORE})

    router.route(path="/_/health", method="GET", handler=health)
    router.route(path="/_/ready", method="GET", handler=ready)
    if metrics is not None:
        router.route(path="/_/metrics", method="GET", handler=numbers)


def _may_see_metrics(app: Observed, request: Request) -> bool:
    """Whether a request has the admin key, as `Bearer` (what Prometheus sends) or `Convex`; where the app has
    none, whether it comes from this machine.
    """
    if not app.has_admin_key:
        return request.remote_addr in ("", "127.0.0.1", "::1")
    return app.is_admin_key((request.headers.get("Authorization") or "").partition(" ")[2].strip())


def _server_state(request: Request) -> dict[str, float]:
    """The numbers of our own server; another has none."""
    state: Callable[[], dict[str, float]] = request.environ.get("minihttp.server_state", dict)
    return state()


def _problem(app: Observed, server: dict[str, float]) -> str:
    """What keeps some requests from being answered now, or ""."""
    if server.get("stalled_seconds", 0) > _STALLED_SECONDS:
        return "all threads are busy"
    if watchdog.stuck():
        return "a call does not end"
    if not app.is_open:
        return ""
    try:
        if app.database.statistics().get("writing_seconds", 0) > _STALLED_SECONDS:
            return "a transaction does not end"
        app.database.read(lambda transaction: transaction.engine.get(""))  # one that is lazy too
        app.database.write(lambda transaction: None, any_thread=True)
    except (MinihttpError, OSError):
        return "the database does not answer"
    try:
        app.files.check_reachable()
    except (MinihttpError, OSError):
        return "the file store does not answer"
    return ""


def _live_gauges(app: Observed, server: dict[str, float]) -> Iterator[Gauge]:
    """What goes on now; none of it asks the database."""
    for name, value in server.items():
        about = f"Of the server: {name.replace('_', ' ')}."
        yield f"minihttp_server_{name}", about, [("", {}, value)]
    seconds = watchdog.oldest_seconds()
    yield "minihttp_oldest_call_seconds", "How long the oldest call has been running.", [("", {}, seconds)]
    stuck = len(watchdog.stuck())
    yield "minihttp_stuck_calls", "Calls past their time limit that cannot be ended.", [("", {}, stuck)]
    if app.is_open:
        numbers = app.database.statistics()
        waiting, writing = numbers.get("waiting", 0), numbers.get("writing_seconds", 0.0)
        yield "minihttp_writers_waiting", "Mutations that wait for others.", [("", {}, waiting)]
        yield "minihttp_writing_seconds", "For how long the open transaction writes.", [("", {}, writing)]


def gauges(app: Observed) -> Iterator[Gauge]:
    """What an open app holds: jobs, webhook deliveries, bytes of the database."""
    if not app.is_open:
        return
    jobs, lag_seconds, dead = app.database.read(lambda transaction: _work(app.jobs, transaction))
    up_to = f"; at most {_MAX_COUNTED} are counted."
    yield "minihttp_jobs", "Scheduled functions by state" + up_to, [("", {"state": s}, n) for s, n in jobs]
    yield "minihttp_job_lag_seconds", "How long the first pending job has been due.", [("", {}, lag_seconds)]
    yield "minihttp_dead_deliveries", "Webhook deliveries given up" + up_to, [("", {}, dead)]
    sizes = []
    for file in ("app.db", "app.db-wal"):
        try:
            sizes.append(("", {"file": file}, float(os.stat(os.path.join(app.options.data, file)).st_size)))
        except OSError:  # not in a directory
            continue
    yield "minihttp_database_bytes", "Size of the database.", sizes


def _work(jobs: Jobs, transaction: Transaction) -> tuple[list[tuple[str, int]], float, int]:
    """Jobs by state, seconds since the first pending one was due, dead deliveries."""
    from ..inbox.deliveries import Deliveries

    store = jobs.store
    found = {s: store.by_state(transaction, s, _MAX_COUNTED) for s in ("pending", "inProgress", "failed")}
    first_due_ms = min((row["dueTime"] for row in found["pending"]), default=store.now_ms())
    lag_seconds = max(0.0, store.now_ms() - first_due_ms) / 1000
    return (
        [(s, len(rows)) for s, rows in found.items()],
        lag_seconds,
        len(Deliveries(store).dead(transaction)),
    )
