# SPDX-License-Identifier: MIT
"""What a route declares of its requests and its responses: checked around its handler, so that the app's
OpenAPI document, which shows it, says nothing that does not hold.

Knows validators by their shape, as `Request.json` does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from ..errors import HTTPError, ReturnsValidationError, RouteError
from .body import WITHOUT_BODY
from .convert import is_file
from .parameters import Parameter
from .request import Request
from .response import Response

_SUCCESS = range(200, 300)
_WITH_CONTENT = [status for status in _SUCCESS if status not in (204, 205)]


class Declared:
    """What `HttpRouter.route` was given beyond the path.

    Raises:
        RouteError: for what is no parameter or no validator, and for what cannot be together.
    """

    __slots__ = ("body", "form", "path_params", "query", "returns", "status")

    def __init__(
        self,
        method: str,
        path: str,
        *,
        query: Iterable[Parameter[Any]] = (),
        path_params: Iterable[Parameter[Any]] = (),
        form: Iterable[Parameter[Any]] = (),
        body: Any = None,
        returns: Any = None,
        status: int = 200,
    ) -> None:
        self.query = _parameters("query", query)
        self.path_params = _parameters("path_params", path_params)
        self.form = _parameters("form", form)
        self.body = body
        self.returns = returns
        self.status = status
        for name, validator in (("body", body), ("returns", returns)):
            if validator is not None and not hasattr(validator, "problems"):
                raise RouteError(f"{name} is a validator such as v.object({{…}}), not {validator!r:.100}")
        if (body is not None or self.form) and method in WITHOUT_BODY:
            raise RouteError(f"a {method} has no body: body and form are for POST, PUT, PATCH and DELETE")
        if body is not None and self.form:
            raise RouteError("a route takes a JSON body or a form, not both")
        if status not in ((200, 204) if returns is None else _WITH_CONTENT):
            raise RouteError(
                f"status {status!r} must be a success; it needs returns, but for 204, which has none"
            )
        for parameter in self.path_params:
            if f"/{{{parameter.name}}}" not in path or not parameter.is_required:
                raise RouteError(f"{parameter} is none of the path {path!r}, whose parameters are required")
        if any(is_file(parameter.type) for parameter in self.query + self.path_params):
            raise RouteError("a file can only come in a form")

    def around(self, handler: Callable[[Any, Any], Any], label: str) -> Callable[[Any, Any], Any]:
        """The handler, run for requests that are as declared, whose responses are as declared.

        Args:
            label: of the route, for messages.
        """

        def declared(ctx: Any, request: Request) -> Any:
            self._check(request)
            result = handler(ctx, request)
            return self._response(result, label) if self.returns is not None or self.status == 204 else result

        return declared

    def _check(self, request: Request) -> None:
        """Refuse a request that is not as declared.

        Raises:
            HTTPError: 400, naming every parameter that does not fit; as `Request.json` and `Request.form`.
        """
        problems = _problems(self.path_params, request.path_params) if self.path_params else []
        problems += _problems(self.query, request.query) if self.query else []
        problems += _problems(self.form, request.form()) if self.form else []
        if problems:
            raise HTTPError(400, "; ".join(problems), code="ValidationError")
        if self.body is not None:
            request.keep_json(request.json(self.body))

    def _response(self, result: Any, label: str) -> Response:
        """The response of what a handler returned.

        Raises:
            ReturnsValidationError: where it is a success, and not the one that is declared.
        """
        is_response = isinstance(result, Response)
        if is_response and result.status not in _SUCCESS:
            return result  # type: ignore[no-any-return]
        value = _value(result) if is_response else result
        if self.returns is None:
            problems = [] if value is None else ["there is no content with 204"]
        else:
            problems = self.returns.problems(value)
        if is_response and result.status != self.status:
            problems = [f"its status is {result.status}, and {self.status} is declared"]
        if problems:
            said = f"what the handler of {label} returned is not as its route says: {'; '.join(problems)}"
            raise ReturnsValidationError(said)
        if is_response:
            return result  # type: ignore[no-any-return]
        if self.returns is None:
            return Response(status=204)
        return Response.json(self.returns.check(value), status=self.status)


def _value(response: Response) -> Any:
    """The JSON of a response; what has another content is no JSON value, so no validator takes it."""
    if response.status == 204:
        return None
    is_json = (response.headers.get("Content-Type") or "").startswith("application/json")
    return json.loads(response.body) if is_json and isinstance(response.body, bytes) else response


def _parameters(keyword: str, given: Iterable[Parameter[Any]]) -> tuple[Parameter[Any], ...]:
    listed = tuple(given) if isinstance(given, Iterable) else (None,)
    for parameter in listed:
        if not isinstance(parameter, Parameter):
            raise RouteError(
                f'{keyword} is a list of parameters such as Parameter("limit", int), not {given!r:.60}'
            )
    names = [parameter.name for parameter in listed]
    if len(set(names)) < len(names):
        raise RouteError(f"{keyword} has a name twice: {', '.join(names)}")
    return listed


def _problems(parameters: Iterable[Parameter[Any]], fields: Any) -> list[str]:
    """What is wrong with these, one sentence each."""
    found = []
    for parameter in parameters:
        try:
            parameter.read(fields)
        except HTTPError as error:
            found.append(error.message)
    return found
