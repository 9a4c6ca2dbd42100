# SPDX-License-Identifier: MIT
"""`GET /` of an app in development that has no such route: its routes, and how to go on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .html import Safe, tag
from .pieces import table

if TYPE_CHECKING:
    from ..app.wsgi import App


def welcome(app: App, origin: str) -> Safe:
    """The body of the page; `origin` is where the browser found it."""
    rows = []
    for route in app.http:
        rows.append((route.method, tag("code", route.pattern), _name(route), tag("code", route.location)))
    empty = 'No routes yet. Add one: @http.get("/hello") above a function that takes (ctx, request).'
    first = next((route for route in app.http if route.method == "GET" and "{" not in route.pattern), None)
    return tag(
        "main",
        tag("h1", "It runs"),
        tag("p", "This app has no route GET /, so minihttp shows this page, in development only."),
        tag("h2", "Routes"),
        table(("Method", "Path", "Handler", "Where"), rows, empty),
        tag("h2", "How to go on"),
        tag(
            "ul",
            tag(
                "li",
                "Send a request: ",
                tag("code", f"curl {origin}{first.pattern if first else '/'}"),
            ),
            tag(
                "li",
                "See what is stored, what ran and what failed: the dashboard, by the link in the terminal.",
            ),
            tag("li", "Call a function: ", tag("code", "python -m minihttp run module:function '{}'")),
        ),
        id="content",
    )


def _name(route: Any) -> str:
    """What answers a route; of a webhook its provider, and the function that gets the deliveries."""
    provider = getattr(route.handler, "provider", None)
    if provider is None:
        return str(getattr(route.handler, "__qualname__", type(route.handler).__name__))
    function = route.handler.handler
    then = "" if function is None else f", then {function if isinstance(function, str) else function.name}"
    return f"{provider.name} webhook{then}"
