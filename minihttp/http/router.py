# SPDX-License-Identifier: MIT
"""The router: which handler answers a path and method (`docs/convex.md` §1).

Exact paths beat patterns beat the longest prefix, each per method (`method_table.py`). Works on raw,
percent-encoded paths; knows nothing of requests and responses.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from ..errors import RouteError, check_variable_name
from .cors import Cors
from .handlers import check_handler
from .hooks import After, Before, Guard, put_hooks_around, require_identity
from .method_table import MethodTable, normal
from .route import Handler as Handler
from .route import Route as Route
from .target import find_odd, percent_encode

if TYPE_CHECKING:
    from typing import Literal, Protocol, TypeAlias, TypedDict

    from typing_extensions import Unpack

    from .mutation_route import MutationFunction
    from .parameters import Parameter
    from .webhook_route import Webhook

    class RouteOptions(TypedDict, total=False):
        """What every way to register a route takes; `HttpRouter.route` says what each means."""

        path_prefix: str | None
        cors: Cors | None
        max_body: int | None
        query: Iterable[Parameter[Any]]
        path_params: Iterable[Parameter[Any]]
        form: Iterable[Parameter[Any]]
        body: Any
        returns: Any
        status: int
        auth: Auth

    class Shorthand(Protocol):
        """`http.get`, `http.post` and the like: `route` with the method said."""

        @overload
        def __call__(
            self, path: str | None = ..., **options: Unpack[RouteOptions]
        ) -> Callable[[AnyHandler], AnyHandler]: ...
        @overload
        def __call__(
            self, path: str | None = ..., handler: AnyHandler = ..., **options: Unpack[RouteOptions]
        ) -> AnyHandler: ...


Auth: TypeAlias = 'Literal["required"] | Guard | None'
AnyHandler = TypeVar("AnyHandler", bound=Handler)
BeforeHook = TypeVar("BeforeHook", bound=Before)
AfterHook = TypeVar("AfterHook", bound=After)

_METHODS = ("DELETE", "GET", "OPTIONS", "PATCH", "POST", "PUT")
_RESERVED = ("/.files/", "/api/storage/", "/_/")  # Convex's own, and ours
OURS = ("/api/", "/_/")  # what every route of the framework's own but the fallback begins with
_PACKAGE = __name__.rpartition(".http.")[0]


def _shorthand(method: str) -> Shorthand:
    """`route` for one method: `http.get("/path")` above a handler, or `http.get("/path", handler)`."""

    def register(router: HttpRouter, path: Any = None, handler: Any = ..., **options: Any) -> Any:
        return router.route(path, method, handler, **options)

    register.__name__ = method.lower()
    return cast("Shorthand", register)


class HttpRouter:
    """Routes of an app: `route` to register, `find` to look up.

    Args:
        cors: the rule of all routes that have none of their own.
        secrets: environment variables that handlers look up with `ctx.secret`: what is missing is said at
            start.
        before, after: hooks of all its routes, see the methods of these names.
        system: whether it is the framework's own: reserved paths may be registered, no handler is watched.

    Attributes:
        tables: what is looked up in, by method.
    """

    __slots__ = (
        "_mounts", "_routes", "_system", "after_hooks", "before_hooks", "cors", "secrets", "tables",
    )  # fmt: skip

    def __init__(
        self,
        cors: Cors | None = None,
        *,
        secrets: Iterable[str] = (),
        before: Iterable[Before] = (),
        after: Iterable[After] = (),
        system: bool = False,
    ) -> None:
        _check_cors(cors)
        self.cors = cors
        self.before_hooks = list(before)
        self.after_hooks = list(after)
        self._mounts: list[tuple[HttpRouter, str]] = []  # where this router is mounted
        self.secrets = tuple(check_variable_name(name, "HttpRouter(secrets=[…])") for name in secrets)
        self._system = system
        self._routes: list[Route] = []
        self.tables: dict[str, MethodTable] = {}  # HEAD has GET's

    @overload
    def route(
        self, path: str | None = ..., method: str | None = ..., **options: Unpack[RouteOptions]
    ) -> Callable[[AnyHandler], AnyHandler]: ...
    @overload
    def route(
        self,
        path: str | None = ...,
        method: str | None = ...,
        handler: AnyHandler = ...,
        **options: Unpack[RouteOptions],
    ) -> AnyHandler: ...
    def route(
        self,
        path: str | None = None,
        method: str | None = None,
        handler: Any = ...,
        *,
        path_prefix: str | None = None,
        cors: Cors | None = None,
        max_body: int | None = None,
        query: Iterable[Parameter[Any]] = (),
        path_params: Iterable[Parameter[Any]] = (),
        form: Iterable[Parameter[Any]] = (),
        body: Any = None,
        returns: Any = None,
        status: int = 200,
        auth: Auth = None,
    ) -> Any:
        """Register a route; without `handler` this is a decorator. Either way the handler is returned.

        `http.get("/path")` and its siblings are the same for one method.

        Args:
            path: an exact path, or a pattern such as `"/users/{id}"`; `{name}` stands for one segment that is
                not empty.
            path_prefix: `"/files/"` matches every path that starts with it.
            method: GET (answers HEAD too), POST, PUT, DELETE, OPTIONS or PATCH.
            handler: called as `handler(ctx, request)`.
            cors: a rule for this route; by default the router's.
            max_body: the limit of its request bodies in bytes; by default the app's.
            query, path_params, form: the parameters that it takes, such as `Parameter("limit", int)`.
            body: the validator of its JSON bodies, such as `v.object({"name": v.string()})`.
            returns: the validator of its JSON responses; what the handler returns need be no Response then.
            status: of its successes; 204 has no content.
            auth: "required" answers 401 unless the caller has an identity; or a `Guard`.

        What a route declares of its requests is checked before its handler runs, after hooks and `auth`, and
        the app's OpenAPI document shows it; a success that is not as declared is a 500.

        Raises:
            RouteError: `docs/convex.md` §1, in its order; the router is left as it was.
        """
        if callable(path):
            raise RouteError("write @http.route(path=…, method=…), or @http.get(path), above the handler")
        if handler is ...:
            options: Any = {"path": path, "path_prefix": path_prefix, "method": method, "cors": cors}
            options |= {"max_body": max_body, "query": query, "path_params": path_params, "form": form}
            options |= {"body": body, "returns": returns, "status": status, "auth": auth}
            return lambda handler: self.route(**options, handler=handler)
        is_webhook = hasattr(handler, "wants_body")
        if not is_webhook:
            if not callable(handler):
                raise RouteError("route requires handler")
            check_handler(handler, f"{method} {path or path_prefix}")
        if not method:
            raise RouteError("route requires method")
        if method not in _METHODS:
            raise RouteError(f"{method!r} is not an allowed HTTP method (like GET, POST, PUT etc.)")
        if path is not None and path_prefix is not None:
            raise RouteError("Invalid route: cannot contain both 'path' and 'path_prefix'")
        if path is None and path_prefix is None:
            raise RouteError("Invalid route entry: must contain either field 'path' or 'path_prefix'")
        if max_body is not None and (not isinstance(max_body, int) or max_body < 1):
            raise RouteError(f"max_body {max_body!r} is not a positive number of bytes")
        if auth not in (None, "required") and not isinstance(auth, Guard):
            raise RouteError(f'auth is "required" or None, or a Guard, not {auth!r:.100}')
        declared = None
        if query or path_params or form or body is not None or returns is not None or status != 200:
            from .declared import Declared  # for few routes

            said: Any = {"query": query, "path_params": path_params, "form": form, "body": body}
            declared = Declared(method, path or "", **said, returns=returns, status=status)
        route = Route(method, f"{path_prefix}*" if path is None else path, handler, _location())
        (self._add_prefix if path is None else self._add_path)(route)
        _check_cors(cors)
        route.cors = cors or self.cors
        route.max_body_bytes = max_body
        route.guard = require_identity if auth == "required" else auth
        route.takes_key = method == "POST" and not self._system and not is_webhook
        route.watched = not self._system
        route.declared = declared
        self._register(route)
        return handler

    def before(self, hook: BeforeHook) -> BeforeHook:
        """Run `hook(ctx, request)` before every handler of this router, also of routes registered earlier.

        It may raise, or return a response in the handler's place. What it finds out for the handler goes into
        `request.state`. This is a decorator, too.
        """
        check_handler(hook, "before")
        self.before_hooks.append(hook)
        self._compose()
        return hook

    def after(self, hook: AfterHook) -> AfterHook:
        """Run `hook(ctx, request, response)` after every handler of this router; it may return another
        response.

        Errors come as the responses that they become. This is a decorator, too.
        """
        check_handler(hook, "after", ("ctx", "request", "response"))
        self.after_hooks.append(hook)
        self._compose()
        return hook

    def mount(self, prefix: str, router: HttpRouter) -> None:
        """Have the routes of another router below a prefix, also those that it gets later.

        Its hooks and its CORS rule stay its own; the hooks of this router are around them.

        Args:
            prefix: such as "/v1", without a slash at its end; may have `{name}` segments.

        Raises:
            RouteError: for a prefix that cannot be, a router below itself, and a path that is taken.
        """
        if not isinstance(router, HttpRouter):
            raise RouteError(f"mount takes an HttpRouter, not {router!r:.100}")
        if not prefix.startswith("/") or prefix.endswith("/"):
            raise RouteError(f"mount prefix {prefix!r} must start with a / and not end with one")
        if self._is_below(router):
            raise RouteError(f"mount {prefix!r} would put a router below itself")
        router._mounts.append((self, prefix))
        self.secrets += router.secrets
        for route in router._routes:
            self._adopt(route, prefix)

    def _is_below(self, router: HttpRouter) -> bool:
        return self is router or any(parent._is_below(router) for parent, _ in self._mounts)

    def _adopt(self, route: Route, prefix: str) -> None:
        """A mounted router's route as one of this router."""
        handler = route.handler
        if hasattr(handler, "wants_body"):
            handler = handler._replace(path=prefix + handler.path)
        adopted = Route(route.method, prefix + route.pattern, handler, route.location)
        (self._add_prefix if route.prefix_chars else self._add_path)(adopted)
        for name in ("declared", "guard", "max_body_bytes", "routers", "takes_key"):
            setattr(adopted, name, getattr(route, name))
        adopted.cors = route.cors or self.cors
        self._register(adopted)

    def _register(self, route: Route) -> None:
        route.routers = (self, *route.routers)
        put_hooks_around(route)
        self._routes.append(route)
        for parent, prefix in self._mounts:
            parent._adopt(route, prefix)

    def _compose(self) -> None:
        for route in self._routes:
            put_hooks_around(route)
        for parent, _ in self._mounts:
            parent._compose()

    delete = _shorthand("DELETE")
    get = _shorthand("GET")
    options = _shorthand("OPTIONS")
    patch = _shorthand("PATCH")
    post = _shorthand("POST")
    put = _shorthand("PUT")

    def webhook(self, path: str, provider: Any, handler: Any, **options: Any) -> None:
        """Register POST `path` as a webhook endpoint whose deliveries go to the app's inbox; and GET, where
        the provider tests the URL by it.

        Args:
            provider: such as `stripe.provider(secret="STRIPE_WEBHOOK_SECRET")`.
            handler: what the inbox runs for each delivery.
            options: handed on to the inbox; `max_body_bytes` counts for the route too.

        Raises:
            RouteError: as `route`, and for a provider or a handler that is none.
        """
        from .webhook_route import webhook_of  # for apps: the router alone goes without

        webhook: Any = webhook_of(path, provider, handler, options, _location())
        self.route(path, "POST", webhook, max_body=options.get("max_body_bytes"))
        if getattr(provider, "answers_get", False):
            self.route(path, "GET", webhook)

    @property
    def webhooks(self) -> list[Webhook]:
        """All that are registered with `webhook`, also those of routers below."""
        handlers = (route.handler for route in self._routes if route.method == "POST")
        return [handler for handler in handlers if hasattr(handler, "wants_body")]

    def mutation(
        self,
        path: str,
        function: MutationFunction | str,
        *,
        method: str = "POST",
        status: int = 200,
        cors: Cors | None = None,
        max_body: int | None = None,
        auth: Auth = None,
    ) -> None:
        """Register a route that is a mutation: `http.mutation("/items", create, status=201)`.

        The fields of the JSON body and the `{name}` segments of the path are its arguments, checked by its
        `args`; a request without a body has none of the former. What it returns is the JSON of the response,
        which is sent once the transaction is durable; no thread waits for that. Errors are answered like
        those of a handler that calls it.

        Args:
            path: as for `route`.
            function: a mutation, public or internal, or its name such as "items:create".
            method: POST, PUT, PATCH or DELETE.
            status: 200, 201 or 202.
            cors, max_body, auth: as for `route`.

        Raises:
            RouteError: as `route`, and for what is no mutation.
        """
        from .mutation_route import MutationRoute  # for apps, as above

        handler = MutationRoute(function, method, path, status)
        self.route(path, method, handler, cors=cors, max_body=max_body, auth=auth)

    @property
    def mutations(self) -> list[Route]:
        """All routes that are registered with `mutation`, also those of routers below."""
        return [route for route in self._routes if hasattr(route.handler, "is_mutation")]

    def find(self, path: str, method: str) -> Route | None:
        """The route of a raw path, or None; HEAD is looked up as GET."""
        table = self.tables.get(method)
        return None if table is None else table.find(path)

    def allowed_methods(self, path: str) -> list[str]:
        """The methods that `path` answers, sorted: HEAD with GET, OPTIONS if routed or answered by CORS."""
        found, cors = [], False
        for method, table in self.tables.items():
            route = table.find(path)
            if route is not None:
                found.append(method)
                cors = cors or route.cors is not None
        if cors and "OPTIONS" not in found:
            found.append("OPTIONS")
        return sorted(found)

    def lookup(self, path: str, method: str) -> tuple[Handler, str, str] | None:
        """(handler, method, matched pattern) of a path, or None (`docs/convex.md` §1)."""
        route = self.find(percent_encode(path), method)
        return None if route is None else (route.handler, route.method, route.pattern)

    def __iter__(self) -> Iterator[Route]:
        """All routes: paths and patterns by path and method, then prefixes by method and prefix."""
        return iter(sorted(self._routes, key=_place))

    def routes(self) -> list[tuple[str, str, Handler]]:
        """(path, method, handler) of all, in the same order (`docs/convex.md` §1)."""
        return [(route.pattern, route.method, route.handler) for route in self]

    def _add_path(self, route: Route) -> None:
        path = route.pattern
        if not path.startswith("/"):
            raise RouteError(f"path {path!r} does not start with a /")
        if "/<" in path and ">" in path:
            raise RouteError(f"path {path!r}: a segment that varies is written {{name}}, not <name>")
        self._refuse_reserved("path", path)
        table = self._table(route.method)
        complaint = f"Path {path!r} for method {route.method} already in use"
        if "{" not in path and "}" not in path:
            key = _as_requested(path)
            self._claim(table.exact, key, route, complaint)
            route.exact = route.is_apart = True
            route.is_plain = "%" not in key
            return
        route.parameters = _parameters(path)
        route.is_apart = _is_apart(path[: path.index("{")])
        segments = [part if part[:1] == "{" else _as_requested(part) for part in path.split("/")]
        numbers = [number for _, number in route.parameters]
        if numbers == [len(segments) - 1]:
            head = "/".join(segments[:-1])
            self._claim(table.last_segment, head, route, complaint)
            route.head_chars = len(head) + 1
            return
        shape = table.shape(tuple(number in numbers for number in range(len(segments))))
        self._claim(shape.routes, shape.literals(segments), route, complaint)

    def _add_prefix(self, route: Route) -> None:
        prefix = route.pattern[:-1]
        if not prefix.startswith("/"):
            raise RouteError(f"path_prefix {prefix!r} does not start with a /")
        if not prefix.endswith("/"):
            raise RouteError(f"path_prefix {prefix} must end with a /")
        self._refuse_reserved("path_prefix", prefix)
        if "{" in prefix or "}" in prefix:
            raise RouteError(f"path_prefix {prefix!r} holds a brace; {{name}} parameters are for 'path'")
        table = self._table(route.method)
        key = _as_requested(prefix[:-1])
        self._claim(table.prefixes, key, route, f"{route.method} path_prefix {prefix} is already defined")
        table.longest_prefix_chars = max(table.longest_prefix_chars, len(key))
        route.prefix_chars = len(key) + 1
        route.is_apart = _is_apart(prefix)

    def _table(self, method: str) -> MethodTable:
        if method not in self.tables:
            self.tables[method] = MethodTable()
            if method == "GET":
                self.tables["HEAD"] = self.tables["GET"]
        return self.tables[method]

    def _refuse_reserved(self, field: str, path: str) -> None:
        if not self._system and f"{path}/".startswith(_RESERVED):
            raise RouteError(f"{field} {path!r} is reserved")

    @staticmethod
    def _claim(routes: dict[Any, Route], key: Any, route: Route, complaint: str) -> None:
        first = routes.setdefault(key, route)
        if first is not route:
            as_other = f" as {first.pattern!r}" if first.pattern != route.pattern else ""
            raise RouteError(f"{complaint}{as_other}: first at {first.location}, again at {route.location}")


def _as_requested(path: str) -> str:
    """A path as it stands in the target of requests."""
    return path if find_odd(path) is None else normal(percent_encode(path))


def _place(route: Route) -> tuple[bool, bytes, bytes]:
    """Where a route stands in a list: texts are in JavaScript's order."""
    pattern, method = route.pattern.encode("utf-16-be"), route.method.encode()
    return (True, method, pattern) if route.prefix_chars else (False, pattern, method)


def _is_apart(start: str) -> bool:
    """Whether no path that starts so is one of the framework's own."""
    return not any(start.startswith(ours) or ours.startswith(start) for ours in OURS)


def _check_cors(cors: object) -> None:
    if cors is not None and not isinstance(cors, Cors):
        raise RouteError(f'cors takes a rule such as Cors(["https://shop.example"]), not {cors!r:.60}')


def _parameters(path: str) -> tuple[tuple[str, int], ...]:
    """(name, segment number) of each `{name}` in a pattern; RouteError for what is not one."""
    found: dict[str, int] = {}
    for number, segment in enumerate(path.split("/")):
        if "{" not in segment and "}" not in segment:
            continue
        name = segment[1:-1]
        if segment != f"{{{name}}}" or not name.isidentifier():
            raise RouteError(f"path {path!r}: {segment!r} is not a whole segment like {{name}}")
        if name in found:
            raise RouteError(f"path {path!r}: parameter {name!r} occurs twice")
        found[name] = number
    return tuple(found.items())


def _location() -> str:
    """`file:line` of the nearest caller outside this package; of the package's own where it is imported."""
    frame = first = sys._getframe(2)
    while frame.f_back is not None and f"{frame.f_globals.get('__name__')}.".startswith(f"{_PACKAGE}."):
        frame = frame.f_back
    if frame.f_code.co_filename.startswith("<frozen "):
        frame = first
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
