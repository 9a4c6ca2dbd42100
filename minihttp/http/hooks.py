# SPDX-License-Identifier: MIT
"""What runs around handlers: the `before` and `after` hooks of routers.

A hook that runs before may answer in the handler's place; one that runs after sees every response, that of an
error too, so keys, rate limits and logging are written once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .error_response import response_for
from .response import Response

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

    def run(ctx: Any, request: Any) -> Response:
        try:
            for hook in before:
                response = hook(ctx, request)
                if response is not None:
                    break
            else:
                response = handler(ctx, request)
            response = as_response(response, label)
        except Exception as error:
            if not after:
                raise
            response = response_for(error, request.environ, request)
        for each in after:
            changed = each(ctx, request, response)
            response = response if changed is None else as_response(changed, label)
        return response

    return run


def require_identity(ctx: Any, request: Any) -> None:
    """The hook of `route(auth="required")`: 401 unless the caller is known."""
    ctx.auth.require_user_identity()


def as_response(result: Any, label: str) -> Response:
    """What a handler returned, as a Response: a dict or a list is JSON."""
    if isinstance(result, Response):
        return result
    if isinstance(result, (dict, list)):
        try:
            return Response.json(result)
        except (TypeError, ValueError, RecursionError) as error:
            raise TypeError(f"what the handler of {label} returned is no JSON: {error}") from error
    raise TypeError(f"the handler of {label} must return a Response, a dict or a list, not {result!r:.60}")
