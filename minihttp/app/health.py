# SPDX-License-Identifier: MIT
"""What an operator asks a running app: is it alive, is it ready, how is it doing.

`/_/health` answers 200 while the process serves at all. `/_/ready` answers 200 when requests of every kind
can be answered now, else 503: the schema is taken in, the database takes writes, the file store is there, no
call is stuck, a thread is free. `/_/metrics`, off unless asked for, is Prometheus text (`metrics.py`). None
of them says anything of documents or people. Knows no server.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from ..errors import MinihttpError
from ..http.response import Response
from ..watchdog import watchdog

if TYPE_CHECKING:
    from ..data.database import Transaction
    from ..http.request import Request
    from ..http.router import HttpRouter
    from ..jobs.jobs import Jobs
    from .metrics import Gauge, Metrics, Sample
    from .runtime import Runtime

_STALLED_SECONDS = 5.0  # as long as a writer waits for another
_ANSWER_SECONDS = 3.0  # a store that takes longer does not answer
_MAX_COUNTED = 1000  # counting reads the rows
_CACHE_SECONDS = 1.0
_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_NO_STORE = {"Cache-Control": "no-store"}


def add_routes(runtime: Runtime, router: HttpRouter, metrics: Metrics | None = None) -> None:
    """Registers `/_/health` and `/_/ready` on `router`, and `/_/metrics` where there are `metrics`."""

    def health(ctx: Any, request: Request) -> Response:
        return Response.json({"status": "ok"}, headers=_NO_STORE)

    database = Check(lambda: _ask_database(runtime), "the database does not answer")
    files = Check(lambda: runtime.files.check_reachable(), "the file store does not answer")

    def ready(ctx: Any, request: Request) -> Response:
        problem = _problem(runtime, _server_state(request), database, files)
        body: dict[str, Any] = {"status": problem or "ok"}
        if problems := runtime.problems():
            body["problems"] = problems
        return Response.json(body, status=503 if problem else 200, headers=_NO_STORE)

    cached: tuple[float, str] = (float("-inf"), "")

    def numbers(ctx: Any, request: Request) -> Response:
        nonlocal cached
        assert metrics is not None
        if not _may_see_metrics(runtime, request):
            headers = {"WWW-Authenticate": "Bearer", **_NO_STORE}
            return Response.json({"error": "This needs the admin key"}, status=401, headers=headers)
        if time.monotonic() >= cached[0] + _CACHE_SECONDS:  # counting reads rows
            found = [*_live_gauges(runtime, _server_state(request)), *gauges(runtime)]
            cached = time.monotonic(), metrics.text(found)
        return Response(cached[1], headers={"Content-Type": _TEXT, **_NO_STORE})

    router.route(path="/_/health", method="GET", handler=health)
    router.route(path="/_/ready", method="GET", handler=ready)
    if metrics is not None:
        router.route(path="/_/metrics", method="GET", handler=numbers)


def _may_see_metrics(runtime: Runtime, request: Request) -> bool:
    """Whether a request has the admin key, as `Bearer` (what Prometheus sends) or `Convex`; where the app has
    none, whether it comes from this machine.
    """
    if not runtime.has_admin_key:
        return request.remote_addr in ("", "127.0.0.1", "::1")
    given = (request.headers.get("Authorization") or "").partition(" ")[2].strip()
    return given != "" and runtime.admin_key.open(given, request.remote_addr) == ""


def _server_state(request: Request) -> dict[str, float]:
    """The numbers of our own server; another has none."""
    state: Callable[[], dict[str, float]] = request.environ.get("minihttp.server_state", dict)
    return state()


class Check:
    """Asks a store in a thread of its own, for one that does not answer must not hold up `/_/health`.

    Args:
        ask: raises when the store fails.
        problem: what is said then, and when it takes too long.
        answer_seconds: how long it may take.
    """

    def __init__(
        self, ask: Callable[[], object], problem: str, answer_seconds: float = _ANSWER_SECONDS
    ) -> None:
        self._ask, self._problem, self._answer_seconds = ask, problem, answer_seconds
        self._starting = threading.Lock()
        self._began = 0.0
        self._answered: threading.Event | None = None  # of the question that is asked now
        self._failed = True

    def problem(self) -> str:
        """What keeps the store from being used now, or ""; those who ask together share a question."""
        with self._starting:
            answered = self._answered
            if answered is None or answered.is_set():
                self._began, answered = time.monotonic(), threading.Event()
                self._answered = answered
                threading.Thread(
                    target=self._run, args=(answered,), name="minihttp-ready", daemon=True
                ).start()
        in_time = answered.wait(max(0.0, self._began + self._answer_seconds - time.monotonic()))
        return "" if in_time and not self._failed else self._problem

    def _run(self, answered: threading.Event) -> None:
        self._failed = True
        try:
            self._ask()
            self._failed = False
        except (MinihttpError, OSError):
            pass  # that is the answer
        finally:
            answered.set()


def _ask_database(runtime: Runtime) -> None:
    runtime.database.read(lambda transaction: transaction.engine.get(""))  # one that is lazy too
    runtime.database.write(lambda transaction: None, any_thread=True)


def _problem(runtime: Runtime, server: dict[str, float], database: Check, files: Check) -> str:
    """What keeps some requests from being answered now, or ""."""
    if server.get("stalled_seconds", 0) > _STALLED_SECONDS:
        return "all threads are busy"
    if watchdog.stuck():
        return "a call does not end"
    if runtime.refusal is not None:
        return "the stored documents do not match the schema"
    if not runtime.is_open:
        return ""
    if under_way := runtime.database.under_way():
        return under_way
    if runtime.database.statistics().get("writing_seconds", 0) > _STALLED_SECONDS:
        return "a transaction does not end"
    return database.problem() or files.problem()


def _live_gauges(runtime: Runtime, server: dict[str, float]) -> Iterator[Gauge]:
    """What goes on now; none of it asks the database."""
    for name, value in server.items():
        about = f"Of the server: {name.replace('_', ' ')}."
        yield f"minihttp_server_{name}", about, [("", {}, value)]
    seconds = watchdog.oldest_seconds()
    yield "minihttp_oldest_call_seconds", "How long the oldest call has been running.", [("", {}, seconds)]
    stuck = len(watchdog.stuck())
    yield "minihttp_stuck_calls", "Calls past their time limit that cannot be ended.", [("", {}, stuck)]
    if runtime.is_open:
        numbers = runtime.database.statistics()
        waiting, writing = numbers.get("waiting", 0), numbers.get("writing_seconds", 0.0)
        yield "minihttp_writers_waiting", "Mutations that wait for others.", [("", {}, waiting)]
        yield "minihttp_writing_seconds", "For how long the open transaction writes.", [("", {}, writing)]


def gauges(runtime: Runtime) -> Iterator[Gauge]:
    """What an open app holds: jobs, webhook deliveries, bytes of the database."""
    if not runtime.is_open:
        return
    jobs, lag_seconds, dead = runtime.database.read(lambda transaction: _work(runtime.jobs, transaction))
    up_to = f"; at most {_MAX_COUNTED} are counted."
    yield "minihttp_jobs", "Scheduled functions by state" + up_to, [("", {"state": s}, n) for s, n in jobs]
    yield "minihttp_job_lag_seconds", "How long the first pending job has been due.", [("", {}, lag_seconds)]
    yield "minihttp_dead_deliveries", "Webhook deliveries given up" + up_to, [("", {}, dead)]
    numbers = runtime.database.statistics()
    files = {"app.db": numbers.get("database_bytes"), "app.db-wal": numbers.get("wal_bytes")}
    sizes: list[Sample] = [("", {"file": file}, size) for file, size in files.items() if size is not None]
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
