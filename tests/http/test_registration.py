# SPDX-License-Identifier: MIT
"""Registration: what one expects works, and a mistake says what to write, before the first request."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import webtest

from minihttp import App, HttpRouter, query
from minihttp.errors import FunctionError, RouteError


def handler(ctx: Any, request: Any) -> Any:
    return {"method": request.method}


@pytest.mark.parametrize("verb", ["get", "post", "put", "patch", "delete", "options"])
def test_the_handler_of_a_shorthand_may_be_its_second_argument(verb: str) -> None:
    http = HttpRouter()
    assert getattr(http, verb)("/x", handler) is handler
    [route] = http._routes
    assert (route.method, route.location.split(":")[0]) == (verb.upper(), __file__)
    assert webtest.TestApp(App(http)).request("/x", method=verb.upper()).json == {"method": verb.upper()}


def test_a_decorator_without_its_path_says_what_to_write() -> None:
    http: Any = HttpRouter()
    for register in (http.route, http.get):
        with pytest.raises(RouteError, match=r"write @http\.route\(path=…, method=…\)"):
            register(handler)


def test_an_async_def_inside_of_partials_is_refused() -> None:
    async def later(first: int, ctx: Any, request: Any) -> None: ...

    with pytest.raises(RouteError, match=r"GET /x: .*later.* is an async def"):
        HttpRouter().get("/x", functools.partial(functools.partial(later), 1))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"args": ["id"]}, r"args=\['id'\]"),
        ({"args": str}, "args=<class 'str'>"),
        ({"returns": int}, "returns=<class 'int'>"),
    ],
)
def test_options_of_a_function_that_are_no_validators(options: Any, said: str) -> None:
    with pytest.raises(FunctionError, match=f"{said}, which is no validator"):
        query(**options)(lambda ctx, id: 1)


def test_a_function_without_a_context() -> None:
    with pytest.raises(FunctionError, match="must take the context as its first parameter"):
        query(lambda: 1)  # type: ignore[call-overload]
    assert query(lambda *args: 1)
