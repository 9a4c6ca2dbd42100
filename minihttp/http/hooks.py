# SPDX-License-Identifier: MIT
"""What runs around handlers: the `before` and `after` hooks of routers.

A hook that runs before may answer in the handler's place; one that runs after sees every response, that of an
error too, so keys, rate limits and logging are written once.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from .error_response import response_for
from .response import Response

if TYPE_CHECKING:
    from .route import Route

Before = Callable[[Any, Any], Any]
After = Callable[[Any, Any, Response], Any]


def with_hooks(
    handler: Callable[[Any, Any], Any], before: Sequence[Before], after: Sequence[After], label: str
) -> Callable[[Any, Any], Any]:
    """A handler with its hooks.

    Args:
        before: called as `hook(ctx, request)`, in order, until one returns a response; then neither the
            others nor the handler run.
        after: called as `hook(ctx, request, response)`, in order; each may return another response.
        label: of the route, for the message about a handler that returns no response.
    """

    def handled(ctx: Any, request: Any) -> Any:
        for hook in before:
            response = hook(ctx, request)
            if response is not None:
                return as_response(response, label)
        result = handler(ctx, request)
        return result if hasattr(result, "respond") else as_response(result, label)  # a Deferred

    def answered(ctx: Any, request: Any, make: Callable[[], Any]) -> Any:
        """The response that is made, or that an error becomes, after the hooks."""
        try:
            response = make()
        except Exception as error:
            response = response_for(error, request.environ, request)
        if not isinstance(response, Response):  # a Deferred: the hooks run once its response is made
            return response.within(partial(answered, ctx, request))
        for hook in after:
            changed = hook(ctx, request, response)
            response = response if changed is None else as_response(changed, label)
        return response

    def run(ctx: Any, request: Any) -> Any:
        return answered(ctx, request, partial(handled, ctx, request))

    return run if after else handled


def put_hooks_around(route: Route) -> None:
    """Make what a route runs: the hooks of an outer router are the outer ones."""
    before: list[Before] = [hook for router in route.routers for hook in router.before_hooks]
    after: list[After] = [hook for router in reversed(route.routers) for hook in router.after_hooks]
    if route.guard is not None:
        before.append(route.guard)
    declared = route.declared
    handler = route.handler if declared is None else declared.around(route.handler, route.label)
    route.run = with_hooks(handler, before, after, route.label) if before or after else handler


class Guard:
    """A hook that lets only callers through who have what it asks for, and shows in the OpenAPI document.

    For `route(auth=…)` and `HttpRouter(before=[…])`; `credentials.guard` and `key_store.guard` make some.

    Args:
        check: called as `check(ctx, request)`; raises for everybody else.
        header: where a caller puts it; "Authorization" stands for a bearer token.

    Attributes:
        scheme: the security scheme, as OpenAPI says it.
    """

    __slots__ = ("check", "scheme")

    def __init__(self, check: Callable[[Any, Any], object], header: str = "Authorization") -> None:
        self.check = check
        self.scheme = {"type": "apiKey", "in": "header", "name": header}
        if header.lower() == "authorization":
            self.scheme = {"type": "http", "scheme": "bearer"}

    def __call__(self, ctx: Any, request: Any) -> None:
        self.check(ctx, request)


require_identity = Guard(lambda ctx, request: ctx.auth.require_user_identity())
"""The hook of `route(auth="required")`: 401 unless the caller is known."""


def as_response(result: Any, label: str) -> Response:
    """What a handler returned, as a Response: a dict or a list is JSON."""
    if isinstance(result, Response):
        return result
    if isinstance(result, (dict, list)):
        try:
            return Response.json(result)
        except (TypeError, ValueError, RecursionError) as error:
            raise TypeError(f"what the handler of {label} returned is no JSON: {error}") from error
    hint = next((hint for kind, hint in _INSTEAD if isinstance(result, kind)), "")
    raise TypeError(
        f"the handler of {label} must return a Response, a dict or a list, not {result!r:.60}{hint}"
    )


_INSTEAD: list[tuple[Any, str]] = [  # what handlers return by mistake -> what to write
    (type(None), "; is a return missing? Response(status=204) is a response without a body"),
    (tuple, "; write Response.json(value, status=201)"),
    (BaseException, "; write raise"),
    ((str, bytes), "; Response(text) sends text, Response.json(value) JSON"),
    ((bool, int, float), "; write Response.json(value)"),
    (Coroutine, "; handlers run in threads: call no async def"),
]
