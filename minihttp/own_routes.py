# SPDX-License-Identifier: MIT
"""The framework's own routes: `/api/…` for functions and files, `/_/…` for operators.

They are in routers of their own beside the user's: an exact path of the user's on a taken place is refused at
start, the user's patterns and prefixes give way, and what Convex answers at `/` gives way to any route of the
user's. Knows what there is to serve, not how.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from . import function_api, observe
from .errors import RouteError
from .http.router import HttpRouter, Route

if TYPE_CHECKING:
    from .files.storage import FileStore

_OURS = ("/api/", "/_/")  # what every own route but the fallback begins with


class Host(function_api.Host, observe.Observed, Protocol):
    """What the own routes need of the app."""

    http: HttpRouter
    function_api: bool
    metrics: observe.Metrics | None

    @property
    def files(self) -> FileStore: ...


class OwnRoutes:
    """The own routes of one app.

    Raises:
        RouteError: when the user has registered one of their paths.
    """

    __slots__ = ("_fallback", "_routes")

    def __init__(self, app: Host) -> None:
        self._routes = HttpRouter(system=True)
        self._fallback = HttpRouter()
        observe.add_routes(app, self._routes, app.metrics)

        def storage(ctx: Any, request: Any) -> Any:
            return app.files.handle(request)

        where: Any = {"path_prefix": "/api/storage/", "handler": storage, "cors": function_api.MIRROR}
        self._routes.route(**where, method="GET")
        self._routes.route(**where, method="POST", max_body=app.limits.max_upload_bytes)
        if app.function_api:
            function_api.FunctionApi(app).add_routes(self._routes, self._fallback)
        for path, method, _ in self._routes.routes():
            users = app.http.find(path, method)
            if users is not None and users.exact:
                raise RouteError(
                    f"{method} {path} is taken by the function API, but registered at {users.location};"
                    " App(function_api=False) frees it"
                )

    def find(self, path: str, method: str, users: Route | None) -> Route | None:
        """The route for a path that the user's router has no exact route for.

        Args:
            users: what the user's router found, if anything.
        """
        if path.startswith(_OURS):
            return self._routes.find(path, method) or users
        return users or self._fallback.find(path, method)

    def allowed_methods(self, path: str) -> list[str]:
        """As `HttpRouter.allowed_methods`, of the own routes."""
        return self._routes.allowed_methods(path) if path.startswith(_OURS) else []
