# SPDX-License-Identifier: MIT
"""Looking up a path among the routes of one method."""

from __future__ import annotations

from typing import Any

import pytest

from minihttp.http.method_table import MethodTable, normal
from minihttp.http.route import Route
from minihttp.http.router import HttpRouter


def handler(ctx: Any, request: Any) -> None: ...


def table(*paths: str) -> MethodTable:
    http = HttpRouter()
    for path in paths:
        if path.endswith("*"):
            http.get(path_prefix=path[:-1], handler=handler)
        else:
            http.get(path, handler)
    return http.tables["GET"]


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/a/b", "/a/b"),
        ("/a/%C3%A9", "/a/é"),
        ("/a/%c3%a9", "/a/é"),
        ("/a/x", "/a/{b}"),
        ("/a/", "/*"),
        ("/a/x/c", "/a/{b}/c"),
        ("/a//c", "/*"),
        ("/a/x/d", "/a/x/*"),
        ("/z", "/*"),
        ("z", None),
        ("", None),
    ],
)
def test_a_path_beats_a_pattern_beats_the_longest_prefix(path: str, found: str | None) -> None:
    routes = table("/*", "/a/x/*", "/a/{b}/c", "/a/{b}", "/a/b", "/a/é")
    route = routes.find(path)
    assert (route and route.pattern) == found


def test_an_earlier_literal_is_tried_earlier() -> None:
    for order in (("/{a}/y/{b}", "/x/{a}/{b}"), ("/x/{a}/{b}", "/{a}/y/{b}")):
        route = table(*order).find("/x/y/z")
        assert isinstance(route, Route) and route.pattern == "/x/{a}/{b}"


def test_hex_digits_have_one_spelling() -> None:
    assert normal("/%c3%A9%zz%2") == "/%C3%A9%zz%2"
