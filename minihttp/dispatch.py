# SPDX-License-Identifier: MIT
"""Which route answers a request: the user's or one of the framework's own; or why none does.

404, 405 with Allow, and the answers to CORS preflights are made here. Knows no handlers.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from .error_response import error_response
from .http.cors import Cors
from .http.response import Response
from .http.router import Route
from .http.target import raw_path
from .system_routes import SystemRoutes

if TYPE_CHECKING:
    from .http.request import Request
    from .system_routes import Host


class Routes:
    """All routes of one app.

    Raises:
        RouteError: when the user has registered a path of the framework's.
    """

    __slots__ = ("_own", "_users")

    def __init__(self, app: Host) -> None:
        self._users = app.http
        self._own = SystemRoutes(app)

    def match(self, environ: dict[str, Any]) -> tuple[str, Route | None]:
        """The raw path of a request, and the route for it.

        Raises:
            HTTPError: 400, as `raw_path`.
        """
        get, method = environ.get, environ["REQUEST_METHOD"]
        path: str = get("REQUEST_URI") or get("RAW_URI") or get("PATH_INFO", "")
        if "%" not in path and not get("SCRIPT_NAME"):  # mostly: a path that is registered is a good one
            route = self._users.find_exact(path, method)
            if route is not None:
                return path, route
        path = raw_path(environ)
        route = self.find(path, method)
        return path, self._preflight(path, environ) if route is None and method == "OPTIONS" else route

    def find(self, path: str, method: str) -> Route | None:
        """The route for a raw path, or None."""
        route = self._users.find(path, method)
        return route if route is not None and route.exact else self._own.find(path, method, route)

    def refusal(self, path: str, environ: dict[str, Any]) -> Response:
        """What a request gets for which there is no route: 404, or 405 with Allow."""
        allowed = self._allowed(path)
        if not allowed:
            return error_response(404, "Not found", environ)
        message = f"{environ['REQUEST_METHOD']} is not allowed here; allowed: {', '.join(allowed)}"
        return error_response(405, message, environ, [("Allow", ", ".join(allowed))])

    def _allowed(self, path: str) -> list[str]:
        return sorted({*self._users.allowed_methods(path), *self._own.allowed_methods(path)})

    def _preflight(self, path: str, environ: dict[str, Any]) -> Route | None:
        """A route that answers OPTIONS by the rule of the method asked for, else by the first there is.

        It allows the methods of that very rule: a browser keeps the answer for all that are named in it.
        """
        routes = {name: route for name in self._allowed(path) if (route := self.find(path, name))}
        rules = {name: route.cors or self._users.cors for name, route in routes.items()}
        for name in (environ.get("HTTP_ACCESS_CONTROL_REQUEST_METHOD", ""), *rules):
            cors = rules.get(name)
            if cors is not None:
                methods = [other for other, rule in rules.items() if rule is cors]
                route = Route("OPTIONS", routes[name].pattern, partial(_answer, cors, methods), "")
                route.cors = cors
                return route
        return None


def _answer(cors: Cors, methods: list[str], ctx: Any, request: Request) -> Response:
    return cors.preflight(request.environ, methods)
