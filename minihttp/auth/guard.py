# SPDX-License-Identifier: MIT
"""`auth.required`: a handler or a function that is run only for a caller who is known."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

Called = TypeVar("Called", bound=Callable[..., Any])


def required(handler: Called) -> Called:
    """The handler, or the body of a function, for callers with an identity only.

    Everybody else gets 401 with `WWW-Authenticate: Bearer` (RFC 6750 §3) before it runs.

    Args:
        handler: what takes a context first: `(ctx, request)` or `(ctx, **arguments)`.
    """

    @wraps(handler)
    def checked(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        ctx.auth.require_user_identity()
        return handler(ctx, *args, **kwargs)

    checked.requires_identity = True  # type: ignore[attr-defined]  # for the OpenAPI document
    return checked  # type: ignore[return-value]
