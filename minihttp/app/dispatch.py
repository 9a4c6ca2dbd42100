# SPDX-License-Identifier: MIT
"""Which route answers a request: the user's or one of the framework's own; or why none does.

404, 405 with Allow, and the answers to CORS preflights are made here. Knows no handlers.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from ..errors import HTTPError, did_you_mean
from ..http.body import WITHOUT_BODY
from ..http.cors import Cors
from ..http.error_response import error_response, not_found
from ..http.headers import parse_media_type
from ..http.request import Request
from ..http.response import Response
from ..http.router import Route
from ..http.target import raw_path
from .system_routes import SystemRoutes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..http.route import Handler
    from ..limits import Limits
    from .runtime import Runtime


class Routes:
    """All routes of one app.

    Attributes:
        tables: the user's, by method.
        endpoints: what answers the webhook routes.

    Raises:
        RouteError: when the user has registered a path of the framework's.
    """

    __slots__ = ("_own", "_users", "endpoints", "tables")

    def __init__(self, runtime: Runtime) -> None:
        self._users = runtime.http
        self.tables = runtime.http.tables
        self._own = SystemRoutes(runtime)
        self.endpoints: dict[Route, Route] = {}

    def mount(self, endpoints: Mapping[str, Handler]) -> None:
        """Let these, by path, answer the webhook routes; their router, which other apps may share, stays."""
        from ..http.webhook_route import with_endpoints  # for apps that keep something

        self.endpoints = with_endpoints(self._users, endpoints)

    def match(self, environ: dict[str, Any]) -> tuple[Route | None, str]:
        """The route that answers a request, or None, and its path.

        Raises:
            HTTPError: 400, as `raw_path`.
        """
        method, path = environ["REQUEST_METHOD"], raw_path(environ)
        found = self.find(path, method)
        if found is None and method == "OPTIONS":
            found = self._preflight(path, environ)
        return found, path

    def find(self, path: str, method: str) -> Route | None:
        """The route for a raw path, or None."""
        route = self._users.find(path, method)
        if route is None or not route.exact:
            return self._own.find(path, method, route)
        return self.endpoints.get(route, route)

    def plan_body(self, environ: dict[str, str], limits: Limits) -> int | None:
        """The largest body that a request may have, from its head; None where the response needs no body.

        Args:
            environ: REQUEST_METHOD, REQUEST_URI and the header fields.
        """
        method = environ["REQUEST_METHOD"]
        try:
            route = self.find(raw_path(environ), method)
        except HTTPError:
            return None
        if route is None or method in WITHOUT_BODY or not route.wants_body(environ):
            return None
        if route.max_body_bytes:
            return route.max_body_bytes
        media_type = parse_media_type(environ.get("CONTENT_TYPE", ""))[0]
        if media_type == "application/json" or media_type.endswith("+json"):
            return min(limits.max_body_bytes, limits.max_json_bytes)
        if media_type == "application/x-www-form-urlencoded":
            return min(limits.max_body_bytes, limits.max_form_bytes)
        return limits.max_body_bytes

    def refusal(self, environ: dict[str, Any]) -> tuple[Response, Cors | None]:
        """What a request gets for which there is no route: 404, or 405 with Allow; and the rule for it.

        A 405 stands under the rule of a route of its path that the origin may use, so that a page sees the
        405 and not a network error.
        """
        path = raw_path(environ)
        allowed = self._allowed(path)
        if not allowed:
            near = self._near(path) if environ["minihttp.failures"].are_shown else ""
            response = error_response(404, f"Not found{near}", environ) if near else not_found(environ)
            return response, self._users.cors
        message = f"{environ['REQUEST_METHOD']} is not allowed here; allowed: {', '.join(allowed)}"
        response = error_response(405, message, environ, [("Allow", ", ".join(allowed))])
        rules = [rule for _, rule in self._rules(path).values() if rule is not None]
        origin = environ.get("HTTP_ORIGIN")
        return response, next((rule for rule in rules if rule.allows(origin)), rules[0] if rules else None)

    def _near(self, path: str) -> str:
        """`; did you mean …?` for the app's author: with or without the last slash, or a like route."""
        other = path[:-1] if path.endswith("/") else f"{path}/"
        if self._allowed(other):
            return f"; did you mean {other!r}?"
        return did_you_mean(path, {route.pattern for route in self._users})

    def _rules(self, path: str) -> dict[str, tuple[Route, Cors | None]]:
        """The routes of a path with their rules, by method."""
        routes = {name: route for name in self._allowed(path) if (route := self.find(path, name))}
        return {name: (route, route.cors or self._users.cors) for name, route in routes.items()}

    def _allowed(self, path: str) -> list[str]:
        users, own = self._users.allowed_methods(path), self._own.allowed_methods(path)
        return sorted({*users, *own}) if own else users

    def _preflight(self, path: str, environ: dict[str, Any]) -> Route | None:
        """A route that answers OPTIONS by the rule of the method asked for, else by the first there is.

        It lists all methods of the path that the origin may use: a browser keeps the answer for all of them.
        """
        rules, origin = self._rules(path), environ.get("HTTP_ORIGIN")
        for name in (environ.get("HTTP_ACCESS_CONTROL_REQUEST_METHOD", ""), *rules):
            found, cors = rules.get(name, (None, None))
            if found is not None and cors is not None:
                methods = [
                    other
                    for other, (_, rule) in rules.items()
                    if rule is cors or (rule is not None and rule.permits(other, origin))
                ]
                route = Route("OPTIONS", found.pattern, partial(_answer, cors, methods), "")
                route.cors = cors
                return route
        return None


def _answer(cors: Cors, methods: list[str], ctx: Any, request: Request) -> Response:
    return cors.preflight(request.environ, methods)
