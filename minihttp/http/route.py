# SPDX-License-Identifier: MIT
"""`Route`: one registered route, as the router fills it in and a request reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from .body import WITHOUT_BODY

if TYPE_CHECKING:
    from .cors import Cors

Handler = Callable[[Any, Any], Any]


def _always(environ: Mapping[str, str]) -> bool:
    return True


class Route:
    """One registered route.

    Attributes:
        method: `"GET"` (for HEAD too), `"POST"`, …
        pattern: the label for logs: the path, `"/api/users/{id}"`, or a prefix with `*`: `"/a/*"`.
        handler: what was registered.
        run: the handler with the hooks of its routers: what the app calls.
        location: `"file:line"` where it was registered.
        cors: its rule, else the router's, else None.
        declared: a `Declared`, what it says of its requests and responses; or None.
        guard: a `Guard`, the hook of its own that lets only some callers through; or None.
        max_body_bytes: its limit of request bodies, or None for the app's.
        wants_body: called with the head as an environ; False where the response does not depend on the body.
            A handler may say it by a method of this name.
        routers: those that it belongs to, the outermost first; their hooks are in `run`.
        takes_body: whether requests of its method may have a body.
        takes_key: whether an Idempotency-Key counts: for POST, but for the framework's own and for webhooks.
        exact: whether it is one whole path, neither a pattern nor a prefix.
        is_apart: whether no path of it could be one of the framework's own.
        watched: whether the handler is held to a time limit; the framework's own are not.
        is_plain: whether it is one whole path without a percent sign, which needs no check.
        head_chars: the length, as it stands in raw paths, of what comes before the parameter of a pattern
            whose last segment is its only one; 0 for others.
        prefix_chars: the length of a prefix as it stands in raw paths, 0 for others.
        parameters: (name, number of the segment, the empty one before the first slash being 0) of a pattern.
    """

    __slots__ = (
        "cors", "declared", "exact", "guard", "handler", "head_chars", "is_apart", "is_plain", "location",
        "max_body_bytes", "method", "parameters", "pattern", "prefix_chars", "routers", "run", "takes_body",
        "takes_key", "wants_body", "watched",
    )  # fmt: skip

    def __init__(self, method: str, pattern: str, handler: Handler, location: str) -> None:
        self.method = method
        self.pattern = pattern
        self.handler: Any = handler
        self.run = handler
        self.location = location
        self.declared: Any = None
        self.guard: Any = None
        self.routers: tuple[Any, ...] = ()
        self.cors: Cors | None = None
        self.max_body_bytes: int | None = None
        self.wants_body: Callable[[Mapping[str, str]], bool] = getattr(handler, "wants_body", _always)
        self.takes_body = method not in WITHOUT_BODY
        self.takes_key = False
        self.exact = self.is_apart = self.is_plain = False
        self.watched = True
        self.prefix_chars = self.head_chars = 0
        self.parameters: tuple[tuple[str, int], ...] = ()

    def __str__(self) -> str:
        return f"{self.method} {self.pattern}"

    def __repr__(self) -> str:
        return f"<Route {self.method} {self.pattern} at {self.location}>"

    @property
    def label(self) -> str:
        return f"{self.method} {self.pattern} ({self.location})"
