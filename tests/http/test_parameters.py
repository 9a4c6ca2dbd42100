# SPDX-License-Identifier: MIT
"""`Parameter` on its own; what a route does with it is in test_declared.py."""

from __future__ import annotations

import uuid
from enum import IntEnum
from typing import Any, Literal, Optional

import pytest
from webtest import TestApp

from minihttp import App, HTTPError, HttpRouter, Parameter, RouteError
from minihttp.http.fields import PathParams, QueryParams

LIMIT = Parameter("limit", int, default=10, min=0, max=100)
Q = Parameter("q", str, min=1)


def client(http: HttpRouter) -> TestApp:
    return TestApp(App(http))


def test_a_parameter_that_no_route_declares_is_read_the_same() -> None:
    http = HttpRouter()
    http.get("/a", handler=lambda ctx, request: [request.query[LIMIT], request.query[Q]])
    app = client(http)
    assert app.get("/a?q=x&limit=7").json == [7, "x"]
    assert app.get("/a?limit=7", status=400).json == {"error": "Missing required query parameter: q"}


@pytest.mark.parametrize(
    "make",
    [
        lambda: Parameter("", int),
        lambda: Parameter(7, int),  # type: ignore[call-overload]
        lambda: Parameter("limit", "int"),  # type: ignore[call-overload]
        lambda: Parameter("tag", str, repeated=True, default=[]),  # type: ignore[call-overload]
        lambda: Parameter("tag", list[str]),
        lambda: Parameter("sort", Literal["asc", "desc"]),  # type: ignore[arg-type]
        lambda: Parameter("limit", Optional[int]),  # type: ignore[arg-type]  # noqa: UP045
        lambda: Parameter("size", IntEnum("Size", "SMALL LARGE")),
    ],
)
def test_what_is_no_parameter(make: Any) -> None:
    with pytest.raises(
        RouteError, match=r"^(write Parameter\(|the parameter '\w+' (is repeated|cannot be a ))"
    ):
        make()


def test_it_reads_every_kind_of_field() -> None:
    key = Parameter("key", uuid.UUID)
    text = "12345678-1234-5678-1234-567812345678"
    assert QueryParams([("key", text)])[key] == PathParams(key=text)[key] == uuid.UUID(text)
    fields = QueryParams()
    assert fields[LIMIT] == 10 and fields.lacked, "a default is not what the caller sent"
    assert fields[Parameter("tag", int, repeated=True)] == []
    with pytest.raises(HTTPError, match="Missing required query parameter: key"):
        fields[key]
    with pytest.raises(TypeError, match=r"a parameter is read by \["):
        fields.get(LIMIT)  # type: ignore[call-overload]
    with pytest.raises(KeyError, match=r"has no \{key\}"):
        PathParams()[key]
    assert repr(LIMIT) == "<Parameter limit: an integer of 0 to 100>"
