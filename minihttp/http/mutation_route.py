# SPDX-License-Identifier: MIT
"""A route that is a mutation: its arguments are the JSON body and the path, its result is the response.

No thread waits for the disk: the response is made in the transaction and sent once that is durable. Knows the
function by its shape only, and asks the context of the request to run it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from ..errors import HTTPError, RouteError
from .convert import convert, number
from .deferred import Deferred, outcome
from .request import Request
from .response import Response
from .strict_json import JSONObject

_METHODS = ("POST", "PUT", "PATCH", "DELETE")
_STATUSES = (200, 201, 202)
_TYPES: dict[str, Callable[[str], Any]] = {  # of arguments in the path, by the text of their validator
    "v.number()": number,
    "v.int64()": int,
    "v.boolean()": bool,
}


class MutationFunction(Protocol):
    """What a mutation looks like from here."""

    kind: str
    name: str


class MutationRoute:
    """The handler of `http.mutation(path, function)`.

    Args:
        function: a mutation, or its name such as "items:create".
        method: of the route.
        path: of the route, for messages.
        status: of the response.

    Raises:
        RouteError: for another kind of function, a method that changes nothing, and another status.
    """

    __slots__ = ("function", "status")
    is_mutation = True  # which says so to the router

    def __init__(self, function: MutationFunction | str, method: str, path: str, status: int) -> None:
        where = f"mutation {path}"
        if not isinstance(function, str) and getattr(function, "kind", None) != "mutation":
            shown = getattr(function, "__name__", None) or repr(function)
            raise RouteError(
                f"{where}: {shown:.60} is no mutation: write @internal_mutation(args=…) above it"
            )
        if method not in _METHODS:
            raise RouteError(f"{where}: method is one of {', '.join(_METHODS)}, not {method!r}")
        if status not in _STATUSES:
            raise RouteError(f"{where}: status is 200, 201 or 202, not {status!r}")
        self.function = function
        self.status = status

    @property
    def label(self) -> str:
        """What lists of routes show as the handler."""
        return f"mutation: {getattr(self.function, 'name', self.function)}"

    def __call__(self, ctx: Any, request: Request) -> Response | Deferred:
        """Answer one request: the response comes once the transaction is durable.

        Raises:
            HTTPError: for a body that is no JSON object, and for an argument that is in the path too.
        """
        args = self._arguments(request)
        if ctx.attempt is not None:  # an Idempotency-Key: what the mutation returned is kept in its commit
            return Response.json(ctx.run_mutation(self.function, **args), status=self.status)

        def then(ctx: Any, value: Any) -> Response:
            return Response.json(value, status=self.status)

        return Deferred(lambda done: ctx.submit_mutation(self.function, args, done, then=then), outcome)

    def _arguments(self, request: Request) -> JSONObject:
        """The fields of the body, if there is one, and the parameters of the path, as their validators want
        them.
        """
        has_body = request.bytes() != b""
        args = JSONObject(request.json(dict) if has_body else {})
        fields: Mapping[str, Any] = getattr(getattr(self.function, "args", None), "fields", {})
        for name, value in request.path_params.items():
            if name in args:
                raise HTTPError(400, f"{name} is in the path already", code="ArgumentTwice")
            type = _TYPES.get(str(fields.get(name)))
            args[name] = convert("path parameter", name, value, type) if type else value
        return args
