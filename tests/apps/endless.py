# SPDX-License-Identifier: MIT
"""Functions and handlers that do not end, each in a way of its own; and what tells whether others go on."""

from __future__ import annotations

import re
import threading
import time
from contextlib import suppress
from typing import Any

from minihttp import (
    App,
    Crons,
    HttpRouter,
    Response,
    action,
    internal_action,
    internal_mutation,
    mutation,
    query,
    v,
)

http = HttpRouter()
crons = Crons()
may_end = threading.Lock()  # held: whoever wants it waits in C code
may_end.acquire()


def spin() -> None:
    while True:
        pass


def sleep() -> None:
    while True:
        time.sleep(0.01)


def catch_exceptions() -> None:
    while True:
        with suppress(Exception):
            time.sleep(0.01)


def catch_everything() -> None:
    while True:
        try:
            time.sleep(0.01)
        except BaseException:
            continue


def wait_in_c() -> None:
    may_end.acquire()


def backtrack() -> None:
    re.match(r"(a+)+$", "a" * 60 + "b")


WAYS = {f.__name__: f for f in (spin, sleep, catch_exceptions, catch_everything, wait_in_c, backtrack)}


@query(args={"way": v.string()})
def endless_query(ctx: Any, way: str) -> None:
    WAYS[way]()


@mutation(args={"way": v.string()})
def endless_mutation(ctx: Any, way: str) -> None:
    ctx.db.insert("marks", {"by": way})
    WAYS[way]()


@action(args={"way": v.string()})
def endless_action(ctx: Any, way: str) -> None:
    WAYS[way]()


@query
def loop_over_documents(ctx: Any) -> None:
    while True:
        with suppress(Exception):
            ctx.db.query("marks").collect()


@query
def in_an_index_range(ctx: Any) -> None:
    ctx.db.query("marks").with_index("by_creation_time", lambda q: spin()).collect()


@mutation
def in_a_nested_mutation(ctx: Any) -> None:
    ctx.db.insert("marks", {"by": "outer"})
    with suppress(Exception):
        ctx.run_mutation(endless_mutation, way="spin")


@mutation
def mark(ctx: Any, by: str = "mark") -> str:
    return str(ctx.db.insert("marks", {"by": by}))


@query
def marks(ctx: Any) -> list[str]:
    return [row["by"] for row in ctx.db.query("marks").collect()]


@internal_action
def nothing(ctx: Any) -> None:
    pass


@internal_mutation
def endless_end(ctx: Any, job_id: str, result: Any, context: Any = None) -> None:
    spin()


@mutation
def schedule(ctx: Any, name: str, way: str) -> str:
    return str(ctx.scheduler.run_after(0, name, way=way))


@mutation
def schedule_with_endless_end(ctx: Any) -> str:
    return str(ctx.scheduler.with_options(on_complete=endless_end).run_after(0, nothing))


crons.interval("endless", hours=1, function="endless:endless_mutation", args={"way": "spin"})


@http.route(path="/endless/{way}", method="GET")
def endless_handler(ctx: Any, request: Any) -> dict[str, str]:
    WAYS[request.path_params["way"]]()
    return {}


@http.route(path="/stream", method="GET")
def endless_stream(ctx: Any, request: Any) -> Response:
    def pieces() -> Any:
        yield b"first"
        spin()

    return Response(pieces())


@http.route(path="/ok", method="GET")
def ok(ctx: Any, request: Any) -> dict[str, str]:
    return {"marks": str(len(ctx.run_query(marks)))}


app = App(http, modules={"endless": __name__})
with_cron = App(http, modules={"endless": __name__}, crons=crons)
