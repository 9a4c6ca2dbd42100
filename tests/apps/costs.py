# SPDX-License-Identifier: MIT
"""The app whose costs `tests/server/test_costs.py` measures: one route for each way to take a body."""

from __future__ import annotations

import os
import time
from typing import Any

from minihttp import App, HttpRouter, Response, Schema, Table, internal_mutation, mutation, query, v
from minihttp.webhooks import stripe

http = HttpRouter()


@mutation(args={"value": v.any()})
def keep(ctx: Any, value: Any) -> None:
    ctx.db.insert("kept", {"value": str(value)[:10]})


@mutation(args={"value": v.any()})
def drop(ctx: Any, value: Any) -> None:
    """Nothing: what is measured is how its arguments come to it."""


@internal_mutation(args={"delivery": v.any()})
def delivered(ctx: Any, delivery: Any) -> None:
    """Nothing."""


@query(args={"n": v.optional(v.number())})
def get(ctx: Any, n: float = 0) -> float:
    return n


@http.route(path="/plain", method="POST")
def plain(ctx: Any, request: Any) -> Response:
    while request.body.read(65_536):
        pass
    return Response("ok")


@http.route(path="/whole", method="POST")
def whole(ctx: Any, request: Any) -> Response:
    return Response.json({"bytes": len(request.bytes())})


@http.route(path="/json", method="POST")
def take_json(ctx: Any, request: Any) -> Response:
    request.json()
    return Response("ok")


@http.route(path="/opened", method="POST")
def open_json(ctx: Any, request: Any) -> Response:
    return Response(str(len(request.json()["value"])))


@http.route(path="/any", method="POST", body=v.any())
@http.route(path="/record", method="POST", body=v.record(v.string(), v.any()))
@http.route(path="/numbers", method="POST", body=v.array(v.number()))
@http.route(path="/unions", method="POST", body=v.array(v.union(v.literal("a"), v.null(), v.number())))
def declared(ctx: Any, request: Any) -> Response:
    return Response("ok")


@http.route(path="/named", method="GET")
def named(ctx: Any, request: Any) -> Response:
    return Response(request.query.get("a", "-"))


@http.route(path="/form", method="POST")
def form(ctx: Any, request: Any) -> Response:
    request.form()
    return Response("ok")


@http.route(path="/upload", method="GET")
def upload(ctx: Any, request: Any) -> Response:
    return Response(ctx.storage.generate_upload_url())


@http.route(path="/meter", method="GET")
def meter(ctx: Any, request: Any) -> Response:
    """What this process has used so far."""
    with open("/proc/self/status", encoding="ascii") as status:
        memory = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in status if line.startswith("Vm")}
    return Response.json(
        {
            "seconds": time.process_time(),
            "bytes": memory["VmRSS"],
            "peak": memory["VmHWM"],
            "pid": os.getpid(),
        }
    )


http.webhook("/hook", stripe.provider(secret="COSTS_SECRET"), handler=delivered)
app = App(http, schema=Schema(kept=Table({"value": v.string()})), modules=[__name__])
