# SPDX-License-Identifier: MIT
"""The framework's own routes: `/api/…` for functions and files, `/_/…` for operators.

They are in routers of their own beside the user's: an exact path of the user's on a taken place is refused at
start, the user's patterns and prefixes give way, and what Convex answers at `/` gives way to any route of the
user's. Knows what there is to serve, not how: the function API is loaded by its first request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from ..errors import HTTPError, RouteError
from ..http.cors import Cors
from ..http.headers import is_token
from ..http.response import Response
from ..http.router import OURS, HttpRouter, Route
from ..loggers import get_logger
from . import health

if TYPE_CHECKING:
    from ..http.deferred import Deferred
    from ..http.request import Request
    from .function_api import FunctionApi
    from .request import AppRequest
    from .runtime import Runtime

log = get_logger("minihttp")

_ENVELOPE_BYTES = 2_000  # around the arguments of a call, as in Convex
_OPERATIONS = {  # the methods of FunctionApi
    ("POST", "/api/query"): "query",
    ("GET", "/api/query"): "get_query",
    ("POST", "/api/mutation"): "mutation",
    ("POST", "/api/action"): "action",
    ("POST", "/api/query_batch"): "query_batch",
    ("POST", "/api/query_ts"): "query_ts",
    ("POST", "/api/query_at_ts"): "query_at_ts",
    ("POST", "/api/function"): "function",
    ("POST", "/api/run/"): "run_path",
}
_CONSISTENT = ("query_ts", "query_at_ts")  # a client may hold a snapshot by them
_MAX_ASKED_CHARACTERS = 2_000  # of the names of header fields in a preflight
_ABOUT = {"/version": "minihttp", "/instance_name": "minihttp"}


class _MirrorCors(Cors):
    """The rule for `/api/*`: any header may be asked for, as in Convex (`docs/convex.md` §7).

    From any origin, unless `App(api_origins=…)` says which; never with credentials: the API knows no cookies,
    only an Authorization header that a page must hold already.
    """

    __slots__ = ()

    def preflight(self, environ: dict[str, Any], methods: Iterable[str]) -> Response:
        response = super().preflight(environ, methods)
        asked = environ.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS", "")[:_MAX_ASKED_CHARACTERS]
        names = [name for part in asked.split(",") if is_token(name := part.strip(" \t"))]
        if names:
            response.headers.set("Access-Control-Allow-Headers", ", ".join(names))
        return response


class SystemRoutes:
    """The own routes of one app.

    Raises:
        RouteError: when the user has registered one of their paths.
    """

    __slots__ = ("_fallback", "_routes")

    def __init__(self, runtime: Runtime) -> None:
        self._routes = HttpRouter(system=True)
        self._fallback = HttpRouter(system=True)
        health.add_routes(runtime, self._routes, runtime.metrics)

        cors = _MirrorCors(runtime.options.api_origins)
        files: Any = {"handler": partial(_storage, runtime), "cors": cors}
        for method in ("GET", "POST"):
            self._routes.route(path_prefix="/api/storage/", method=method, **files)
        limit_bytes = runtime.options.limits.max_upload_bytes
        self._routes.route(path="/api/storage/upload", method="POST", max_body=limit_bytes, **files)
        self._decide_bodies("/api/storage/upload", partial(_may_upload, runtime))
        if runtime.options.openapi:
            self._routes.route(
                path="/_/openapi.json", method="GET", handler=partial(_openapi, runtime), cors=cors
            )
        if runtime.options.function_api:
            self._add_function_api(runtime, cors)
        for path, handler in runtime.system_handlers.items():
            if path == "/":
                self._fallback.route(path=path, method="GET", handler=handler)
            else:
                for method in ("GET", "POST"):
                    self._routes.route(path_prefix=path, method=method, handler=handler)
        for method, table in self._routes.tables.items():
            for path in table.exact:
                users = runtime.http.find(path, method)
                if users is not None and users.exact:
                    raise RouteError(
                        f"{method} {path} is taken by the function API, but registered at {users.location};"
                        " App(function_api=False) frees it"
                    )

    def _add_function_api(self, runtime: Runtime, cors: Cors) -> None:
        limits = runtime.options.limits
        for (method, path), operation in _OPERATIONS.items():
            if operation in _CONSISTENT and not runtime.options.consistent_queries:
                continue
            where: Any = {"path_prefix" if path.endswith("/") else "path": path}
            self._routes.route(
                **where,
                method=method,
                handler=partial(_call_function, runtime, operation),
                cors=cors,
                max_body=min(limits.max_args_bytes, limits.max_json_bytes) + _ENVELOPE_BYTES,
            )
            if method == "POST":
                self._decide_bodies(path, partial(_may_call, runtime, operation))
        for path in ("/api/sync", "/api/{version}/sync"):  # the second is what Convex's clients ask for
            self._routes.route(path=path, method="GET", handler=_refuse_websocket)
        for path, text in _ABOUT.items():
            self._fallback.route(path=path, method="GET", handler=partial(_about, text))

    def _decide_bodies(self, path: str, wants_body: Callable[[Mapping[str, str]], bool]) -> None:
        """Let a head say whether the body of a POST counts."""
        route = self._routes.find(f"{path}x" if path.endswith("/") else path, "POST")
        assert route is not None
        route.wants_body = wants_body

    def find(self, path: str, method: str, users: Route | None) -> Route | None:
        """The route for a path that the user's router has no exact route for.

        Args:
            users: what the user's router found, if anything.
        """
        if path.startswith(OURS):
            return self._routes.find(path, method) or users
        return users or self._fallback.find(path, method)

    def allowed_methods(self, path: str) -> list[str]:
        """As `HttpRouter.allowed_methods`, of the own routes."""
        return self._routes.allowed_methods(path) if path.startswith(OURS) else []


def _may_call(runtime: Runtime, operation: str, environ: Mapping[str, str]) -> bool:
    """Whether what a caller proves lets the body count."""
    from ..auth.header import proves_nothing

    header = environ.get("HTTP_AUTHORIZATION")
    if header is None:
        return operation != "function"  # which needs the admin key
    return not proves_nothing(header, runtime.admin_key)


def _may_upload(runtime: Runtime, environ: Mapping[str, str]) -> bool:
    return runtime.files.max_upload_bytes(environ) > 0


def _storage(runtime: Runtime, ctx: Any, request: Request) -> Response | Deferred:
    from ..files.endpoint import handle

    return handle(runtime.files, request)


def _openapi(runtime: Runtime, ctx: Any, request: Request) -> Response:
    return Response.json(runtime.openapi(server=runtime.options.origin or request.origin))


def _call_function(runtime: Runtime, operation: str, ctx: Any, request: AppRequest) -> Response | Deferred:
    return _function_api()(runtime).answer(operation, request)


@cache
def _function_api() -> type[FunctionApi]:
    from .function_api import FunctionApi  # 10 ms, which an app that only routes need not spend

    return FunctionApi


def _about(text: str, ctx: Any, request: Request) -> Response:
    return Response(text)


def _refuse_websocket(ctx: Any, request: Request) -> Response:
    """The answer to Convex's reactive clients, which would reconnect for ever after a 404."""
    if "websocket" not in request.headers.get("Upgrade", "").lower():
        raise HTTPError(404, "Not found")
    _warn_of_websockets()
    raise HTTPError(426, "There is no websocket here: use ConvexHttpClient, or /api/query and its siblings")


@cache
def _warn_of_websockets() -> None:
    """Once in the life of a process."""
    log.warning("a client asks for Convex's websocket, which is not served here: use ConvexHttpClient")
