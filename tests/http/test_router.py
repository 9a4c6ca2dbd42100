# SPDX-License-Identifier: MIT
"""The router: what is found for a path and a method, and what cannot be registered."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minihttp.errors import RouteError
from minihttp.http.cors import Cors
from minihttp.http.router import HttpRouter


def handler(ctx: Any, request: Any) -> None: ...


def router(*routes: str) -> HttpRouter:
    """A router of routes such as `GET /a`; a path that ends in `*` is a prefix."""
    http = HttpRouter()
    for route in routes:
        method, path = route.split(" ", 1)
        where = {"path_prefix": path[:-1]} if path.endswith("*") else {"path": path}
        http.route(method=method, handler=handler, **where)
    return http


def label(http: HttpRouter, path: str, method: str = "GET") -> str | None:
    route = http.find(path, method)
    return None if route is None else f"{route.method} {route.pattern}"


REFUSED = [
    ({"path": "/a", "method": "GET", "handler": None}, "^route requires handler$"),
    ({"path": "/a", "method": "GET", "handler": "name"}, "^route requires handler$"),
    ({"handler": None}, "^route requires handler$"),
    ({"path": "/a"}, "^route requires method$"),
    ({"path": "/a", "method": ""}, "^route requires method$"),
    *(
        ({"path": "/a", "method": method}, f"^'{method}' is not an allowed HTTP method")
        for method in ("HEAD", "CONNECT", "TRACE", "get", "ALL")
    ),
    ({"path": "/a", "method": "*"}, r"^'\*' is not an allowed"),
    ({"path": "x", "path_prefix": "y", "method": "GET"}, "cannot contain both 'path' and 'path_prefix'"),
    ({"path": "x", "method": "GET"}, "^path 'x' does not start with a /$"),
    ({"path": "", "method": "GET"}, "^path '' does not start with a /$"),
    ({"path": "/.files", "method": "GET"}, "^path '/.files' is reserved$"),
    ({"path": "/.files/x", "method": "GET"}, "^path '/.files/x' is reserved$"),
    ({"path": "/api/storage/x", "method": "GET"}, "is reserved"),
    ({"path": "/_/health", "method": "GET"}, "is reserved"),
    ({"path": "/taken", "method": "GET"}, "^Path '/taken' for method GET already in use"),
    ({"path_prefix": "a/", "method": "GET"}, "^path_prefix 'a/' does not start with a /$"),
    ({"path_prefix": "/a", "method": "GET"}, "^path_prefix /a must end with a /$"),
    ({"path_prefix": "/.files/", "method": "GET"}, "^path_prefix '/.files/' is reserved$"),
    ({"path_prefix": "/.files/x/", "method": "GET"}, "is reserved"),
    ({"path_prefix": "/api/storage/", "method": "GET"}, "is reserved"),
    ({"path_prefix": "/taken/", "method": "GET"}, "^GET path_prefix /taken/ is already defined"),
    ({"method": "GET"}, "must contain either field 'path' or 'path_prefix'"),
    ({"path": "/{a}/{a}", "method": "GET"}, "parameter 'a' occurs twice"),
    *(
        ({"path": path, "method": "GET"}, "is not a whole segment like {name}")
        for path in ("/a{b}", "/{b}c", "/{}", "/{a-b}", "/{1}", "/{a", "/a}", "/{a}{b}", "/{ a}", "/{a/b}")
    ),
    (
        {"path": "/p/{other}", "method": "GET"},
        "^Path '/p/{other}' for method GET already in use as '/p/{name}'",
    ),
    ({"path": "/p/{other}/q", "method": "GET"}, "already in use as '/p/{name}/q'"),
    ({"path_prefix": "/{a}/", "method": "GET"}, "holds a brace"),
    ({"path": "/b", "method": "GET", "max_body": 0}, "max_body 0 is not"),
    ({"path": "/b", "method": "GET", "max_body": "1 MB"}, "max_body '1 MB' is not"),
]


@pytest.mark.parametrize(("route", "message"), REFUSED)
def test_a_route_that_cannot_be_registered(route: dict[str, Any], message: str) -> None:
    http = router("GET /taken", "GET /taken/*", "GET /p/{name}", "GET /p/{name}/q")
    before = http.routes()
    with pytest.raises(RouteError, match=message):
        http.route(**{"handler": handler, **route})
    assert http.routes() == before
    assert all(http.find(path, "GET") is None for path in ("/a", "/b", "/b/c", "/p"))


@pytest.mark.parametrize(
    "path",
    [
        "/.filesx",
        "/x/.files",
        "/.well-known/x",
        "/api/x",
        "/_x",
        "/:id",
        "/*",
        "/api/storagex",
        "/a//b",
        "/a:b,c",
    ],
)
def test_what_is_not_reserved(path: str) -> None:
    http = HttpRouter()
    http.route(path=path, method="GET", handler=handler)
    assert label(http, path) == f"GET {path}"


def test_a_duplicate_names_both_places() -> None:
    http = HttpRouter()
    http.route(path="/a", method="GET", handler=handler)
    with pytest.raises(RouteError) as caught:
        http.route(path="/a", method="GET", handler=handler)
    line = handler_line(caught)
    assert f"first at {__file__}:{line - 2}, again at {__file__}:{line}" in str(caught.value)


def handler_line(caught: pytest.ExceptionInfo[RouteError]) -> int:
    """The line of this file that the error came through."""
    return next(entry.lineno + 1 for entry in caught.traceback if str(entry.path) == __file__)


def test_function_and_decorator_return_the_handler() -> None:
    http = HttpRouter()
    assert http.route(path="/a", method="GET", handler=handler) is handler
    assert http.route(path="/b", method="GET")(handler) is handler
    found = http.find("/b", "GET")
    assert found is not None and found.handler is handler
    assert found.location.startswith(f"{__file__}:")
    with pytest.raises(RouteError, match="requires handler"):
        http.route(path="/c", method="GET")(None)


@pytest.mark.parametrize(
    ("routes", "path", "method", "found"),
    [
        (["GET /a"], "/a", "HEAD", "GET /a"),
        (["GET /a", "GET /*"], "/a", "GET", "GET /a"),
        (["POST /a/b", "GET /a/*"], "/a/b", "GET", "GET /a/*"),
        (["GET /a/*", "POST /a/b/*"], "/a/b/c", "GET", "GET /a/*"),
        (["GET /a/*", "GET /a/b/*"], "/a/b/c", "GET", "GET /a/b/*"),
        (["GET /a/*", "GET /a/b/*"], "/a/bc", "GET", "GET /a/*"),
        (["GET /path1/*"], "/path1/", "GET", "GET /path1/*"),
        (["GET /path1/*"], "/path1", "GET", None),
        (["GET /path1/*"], "/path11/x", "GET", None),
        (["GET /*", "GET /"], "/", "GET", "GET /"),
        (["GET /*"], "/x/y", "GET", "GET /*"),
        (["GET /a"], "/a/", "GET", None),
        (["GET /a"], "/A", "GET", None),
        (["GET /a/b"], "/a//b", "GET", None),
        (["GET /a//b"], "/a//b", "GET", "GET /a//b"),
        (["GET /a b"], "/a%20b", "GET", "GET /a b"),
        (["GET /é"], "/%C3%A9", "GET", "GET /é"),
        (["GET /a/b"], "/a%2Fb", "GET", None),
        (["GET /:id"], "/5", "GET", None),
        (["GET /a"], "/a", "get", None),
        (["GET /a"], "", "GET", None),
        (["GET /*"], "", "GET", None),
        (["GET /a"], "/a", "TRACE", None),
        # patterns: exact > pattern > longest prefix, per method
        (["GET /u/{id}", "GET /u/me", "GET /u/*"], "/u/me", "GET", "GET /u/me"),
        (["GET /u/{id}", "GET /u/me", "GET /u/*"], "/u/5", "GET", "GET /u/{id}"),
        (["GET /u/{id}", "GET /u/me", "GET /u/*"], "/u/5/x", "GET", "GET /u/*"),
        (["GET /u/{id}", "GET /u/*"], "/u/", "GET", "GET /u/*"),
        (["GET /u/{id}"], "/u/", "GET", None),
        (["GET /u/{id}/p/{post}"], "/u/1/p/2", "GET", "GET /u/{id}/p/{post}"),
        (["GET /u/{id}/p/{post}"], "/u//p/2", "GET", None),
        (["GET /u/{id}/p/{post}"], "/u/1/p/", "GET", None),
        (["GET /u/{id}/"], "/u/1/", "GET", "GET /u/{id}/"),
        (["GET /u/{id}/"], "/u//", "GET", None),
        (["GET /{a}//{b}"], "/1//2", "GET", "GET /{a}//{b}"),
        (["GET /{a}//{b}"], "///2", "GET", None),
        (["GET /{a}"], "/x", "GET", "GET /{a}"),
        (["GET /{a}"], "/x/y", "GET", None),
        (["GET /{a}/b", "GET /a/{b}"], "/a/b", "GET", "GET /a/{b}"),
        (["GET /{a}/b/{c}", "GET /{a}/{b}/c"], "/1/b/c", "GET", "GET /{a}/b/{c}"),
        (["GET /{a}/b/{c}", "GET /{a}/{b}/c"], "/1/2/c", "GET", "GET /{a}/{b}/c"),
        (["POST /u/me", "GET /u/{id}"], "/u/me", "GET", "GET /u/{id}"),
        (["GET /u/{id}"], "/u/a%2Fb", "GET", "GET /u/{id}"),
        (["GET /é/{id}"], "/%C3%A9/1", "GET", "GET /é/{id}"),
        (["GET /a/{x}"], "/a/{x}", "GET", "GET /a/{x}"),
    ],
)
def test_find(routes: list[str], path: str, method: str, found: str | None) -> None:
    assert label(router(*routes), path, method) == found
    assert label(router(*reversed(routes)), path, method) == found


def test_lookup_says_what_convex_says() -> None:
    http = router("GET /a", "GET /b/*")
    assert http.lookup("/a", "HEAD") == (handler, "GET", "/a")
    assert http.lookup("/b/c", "GET") == (handler, "GET", "/b/*")
    assert http.lookup("", "GET") is http.lookup("/a", "post") is http.lookup("/c", "GET") is None


def test_routes_are_in_convexs_order() -> None:
    http = router(
        "POST /z/*", "GET /b/*", "GET /a/*", "GET /é", "GET /z", "GET /a/b", "GET /a-b", "POST /a", "GET /a"
    )
    assert [f"{method} {path}" for path, method, _ in http.routes()] == [
        "GET /a", "POST /a", "GET /a-b", "GET /a/b", "GET /z", "GET /é", "GET /a/*", "GET /b/*", "POST /z/*",
    ]  # fmt: skip
    assert [path for path, _, _ in router("GET /B", "GET /a", "GET /\U0001f600", "GET /\uffee").routes()] == [
        "/B", "/a", "/\U0001f600", "/\uffee",
    ]  # fmt: skip
    assert [path for path, _, _ in router("GET /b", "GET /{a}", "GET /a").routes()] == ["/a", "/b", "/{a}"]


def test_allowed_methods() -> None:
    http = router("POST /a", "GET /a", "DELETE /a/*", "PUT /{x}", "OPTIONS /o")
    assert http.allowed_methods("/a") == ["GET", "HEAD", "POST", "PUT"]
    assert http.allowed_methods("/a/b") == ["DELETE"]
    assert http.allowed_methods("/o") == ["OPTIONS", "PUT"]
    assert http.allowed_methods("/x/y") == []


def test_cors_of_a_route_beats_the_routers() -> None:
    rule, other = Cors(["https://a.example"]), Cors(["*"])
    http = HttpRouter(cors=rule)
    http.route(path="/a", method="GET", handler=handler)
    http.route(path="/b", method="GET", handler=handler, cors=other)
    a, b = http.find("/a", "GET"), http.find("/b", "GET")
    assert a is not None and b is not None and a.cors is http.cors is rule and b.cors is other
    assert http.allowed_methods("/a") == ["GET", "HEAD", "OPTIONS"] and http.allowed_methods("/c") == []
    plain = HttpRouter()
    plain.route(path="/b", method="POST", handler=handler, cors=other)
    plain.route(path="/a", method="POST", handler=handler)
    assert plain.allowed_methods("/b") == ["OPTIONS", "POST"] and plain.allowed_methods("/a") == ["POST"]


def test_the_framework_may_use_what_is_reserved() -> None:
    http = HttpRouter(system=True)
    http.route(path_prefix="/api/storage/", method="GET", handler=handler)
    assert label(http, "/api/storage/x") == "GET /api/storage/*"


def test_ten_thousand_routes() -> None:
    http = HttpRouter()
    for number in range(10_000):
        http.route(path=f"/exact/{number}", method="GET", handler=handler)
        http.route(path=f"/pattern/{number}/{{id}}/x", method="GET", handler=handler)
        http.route(path_prefix=f"/prefix/{number}/", method="GET", handler=handler)
    for number in (0, 5_000, 9_999):
        assert label(http, f"/exact/{number}") == f"GET /exact/{number}"
        assert label(http, f"/pattern/{number}/1/x") == f"GET /pattern/{number}/{{id}}/x"
        assert label(http, f"/prefix/{number}/a/b") == f"GET /prefix/{number}/*"
    assert label(http, "/prefix/10000/a") is None


def test_a_path_of_slashes_costs_no_more_than_the_routes_are_deep() -> None:
    http = router("GET /a/*", "GET /a/{b}/c")
    assert label(http, "/" * 1_000_000) is None  # a walk over every slash would take minutes
    assert label(http, "/a" + "/" * 1_000_000) == "GET /a/*"


SEGMENTS = st.sampled_from(["a", "b", "", "{x}", "{y}"])
PATHS = st.lists(SEGMENTS, min_size=1, max_size=4).map(lambda segments: "/" + "/".join(segments))


@given(st.lists(st.tuples(PATHS, st.booleans()), max_size=6), PATHS)
def test_agrees_with_a_plain_scan(registered: list[tuple[str, bool]], path: str) -> None:
    http, paths, prefixes = HttpRouter(), [], []
    for text, is_prefix in registered:
        try:
            if is_prefix:
                http.route(path_prefix=text, method="GET", handler=handler)
                prefixes.append(text)
            else:
                http.route(path=text, method="GET", handler=handler)
                paths.append(text)
        except RouteError:
            pass
    path = path.replace("{", "").replace("}", "")

    def fits(pattern: str) -> bool:
        wanted, given = pattern.split("/"), path.split("/")
        return len(wanted) == len(given) and all(
            bool(b) if a.startswith("{") else a == b for a, b in zip(wanted, given, strict=True)
        )

    matching = sorted((p for p in paths if fits(p)), key=lambda p: [s.startswith("{") for s in p.split("/")])
    longest = sorted((p for p in prefixes if path.startswith(p)), key=len)
    expected = f"GET {matching[0]}" if matching else f"GET {longest[-1]}*" if longest else None
    assert label(http, path) == expected


def test_iteration_gives_the_routes_themselves() -> None:
    """A label such as `/a/*` may be matched by another route's pattern, so a list must not look labels up."""
    router = HttpRouter()
    router.route(path_prefix="/a/", method="GET", handler=len)
    router.route(path="/a/{x}", method="GET", handler=str)
    assert [(route.pattern, route.handler) for route in router] == [("/a/{x}", str), ("/a/*", len)]


@pytest.mark.parametrize("pattern", ["/é", "/%c3%a9", "/é/{id}", "/é/x/{id}/y", "/é/*"])
def test_hex_digits_of_either_case_are_the_same_path(pattern: str) -> None:
    router = HttpRouter()
    if pattern.endswith("*"):
        router.route(path_prefix=pattern[:-1], method="GET", handler=len)
    else:
        router.get(pattern, lambda ctx, request: {})
    tail = {"/é/{id}": "/1", "/é/x/{id}/y": "/x/1/y", "/é/*": "/1/2"}.get(pattern, "")
    for path in ("/%c3%a9", "/%C3%A9", "/%c3%A9"):
        assert router.find(path + tail, "GET") is not None
        assert router.allowed_methods(path + tail) == ["GET", "HEAD"]
