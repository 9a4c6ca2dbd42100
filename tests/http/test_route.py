# SPDX-License-Identifier: MIT
"""What a route says of itself."""

from __future__ import annotations

from typing import Any

from minihttp.http.router import HttpRouter


def handler(ctx: Any, request: Any) -> None: ...


def test_a_route_says_what_it_is() -> None:
    http = HttpRouter()
    for path in ("/a", "/a/{b}"):
        http.get(path, handler)
    http.get(path_prefix="/é/", handler=handler)
    http.route(path="/max", method="POST", handler=handler, max_body=5)
    found = [http.find(path, "GET") for path in ("/a", "/a/1", "/%C3%A9/x")]
    assert [(route.exact, route.prefix_chars, route.parameters) for route in found if route] == [
        (True, 0, ()),
        (False, 0, (("b", 2),)),
        (False, 8, ()),
    ]
    limited = http.find("/max", "POST")
    assert (
        limited is not None and limited.max_body_bytes == 5 and found[0] and found[0].max_body_bytes is None
    )
    assert repr(found[0]).startswith("<Route GET /a at ")
