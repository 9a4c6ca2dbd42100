# SPDX-License-Identifier: MIT
"""The shop that the pictures of the dashboard show."""

from typing import Any

from minihttp import HandlerCtx, HttpRouter, Request, Response
from minihttp.webhooks import github, stripe

from . import orders, reports

http = HttpRouter()
http.webhook("/webhooks/stripe", stripe.provider(secret="STRIPE_WEBHOOK_SECRET"), handler=orders.on_payment)
http.webhook("/webhooks/github", github.provider(secret="GITHUB_WEBHOOK_SECRET"), handler=None)


@http.route(path="/orders", method="GET")
def list_orders(ctx: HandlerCtx, request: Request) -> Any:
    return Response.json(ctx.run_query(orders.latest, {}))


@http.route(path="/orders", method="POST")
def place_order(ctx: HandlerCtx, request: Request) -> Any:
    return Response.json({"id": ctx.run_mutation(orders.place, request.json(dict))}, status=201)


@http.route(path="/revenue", method="GET")
def revenue(ctx: HandlerCtx, request: Request) -> Any:
    return Response.json({"cents": ctx.run_query(reports.revenue)})


@http.route(path="/pictures/{name}", method="GET")
def picture(ctx: HandlerCtx, request: Request) -> Any:
    return {"width": 1, "name": request.path_params["name"]}["height"]
