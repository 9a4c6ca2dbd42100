# SPDX-License-Identifier: MIT
"""The app as a WSGI callable: which reply comes of which handler, and how it opens and closes."""

from __future__ import annotations

import io
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from minihttp import (
    App,
    ApplicationError,
    ConfigurationError,
    Cors,
    Crons,
    HTTPError,
    HttpRouter,
    Limits,
    Response,
    Schema,
    Table,
    WebhookError,
    internal_mutation,
    testing,
    v,
)
from minihttp.errors import (
    DataDirectoryError,
    DeadlineError,
    DocumentError,
    FunctionError,
    LimitError,
    StorageFullError,
    StorageUnavailableError,
    ValidationError,
)
from minihttp.webhooks import stripe
from tests.live import Reply

schema = Schema(notes=Table({"text": v.string()}))


@internal_mutation(args={"text": v.string()})
def add(ctx: Any, text: str) -> Any:
    return ctx.db.insert("notes", {"text": text})


def call(app: Any, method: str, path: str, body: bytes = b"", **environ: str) -> Reply:
    """One request through `wsgiref.validate`."""
    base: dict[str, Any] = {}
    setup_testing_defaults(base)
    path, _, query = path.partition("?")
    base |= {"REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query, **environ}
    base |= {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
    seen: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        seen.append((int(status[:3]), {name.lower(): value for name, value in headers}))
        return lambda data: None

    result = validator(app)(base, start_response)
    try:
        content = b"".join(result)
    finally:
        result.close()  # type: ignore[attr-defined]
    [(status, fields)] = seen
    return Reply(status, fields, content)


def answering(handler: Any, **route: Any) -> App:
    http = HttpRouter()
    http.route(**{"path": "/x", "method": "GET", "handler": handler, **route})
    return App(http)


def raising(error: BaseException) -> App:
    def handler(ctx: Any, request: Any) -> None:
        raise error

    return answering(handler)


def test_an_unknown_path_and_a_wrong_method() -> None:
    app = answering(lambda ctx, request: Response("ok"))
    missing = call(app, "GET", "/y")
    assert (missing.status, missing.json()) == (404, {"error": "Not found"})
    assert missing.headers["x-content-type-options"] == "nosniff"
    wrong = call(app, "POST", "/x")
    assert (wrong.status, wrong.headers["allow"]) == (405, "GET, HEAD")
    assert call(app, "OPTIONS", "/x").status == 405, "OPTIONS is answered only by a route or by cors"
    assert call(app, "TRACE", "/x").status == 405


def test_head_is_get_without_a_body() -> None:
    seen = []

    def handler(ctx: Any, request: Any) -> Response:
        seen.append(request.method)
        return Response("hello")

    reply = call(answering(handler), "HEAD", "/x")
    assert (reply.status, reply.body, reply.headers["content-length"]) == (200, b"", "5")
    assert seen == ["HEAD"]


@pytest.mark.parametrize("value", [{"a": 1}, [1, 2]])
def test_a_dict_or_a_list_is_json(value: Any) -> None:
    reply = call(answering(lambda ctx, request: value), "GET", "/x")
    assert (reply.headers["content-type"], reply.json()) == ("application/json", value)


@pytest.mark.parametrize("value", [None, "text", b"bytes", 5, (1, 2)])
def test_anything_else_is_the_authors_mistake(value: Any, caplog: pytest.LogCaptureFixture) -> None:
    reply = call(answering(lambda ctx, request: value), "GET", "/x")
    assert (reply.status, reply.json()) == (500, {"error": "Internal server error"})
    assert re.search(r"the handler of GET /x \(.*test_app\.py:\d+\) must return", caplog.text)


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (HTTPError(418, "I'm a teapot"), 418, "I'm a teapot"),
        (ValidationError("no such shape"), 400, "no such shape"),
        (DocumentError("InvalidCursor", "not a cursor of ours"), 400, "not a cursor of ours"),
        (LimitError("TooMany", "7 of 6"), 400, "7 of 6"),
        (DeadlineError("took too long"), 408, "took too long"),
        (WebhookError("mismatch", "secret detail"), 400, "Webhook verification failed"),
        (StorageFullError("disk detail"), 507, "No space left to store this"),
        (StorageUnavailableError("lock detail"), 503, "Storage is not available now"),
        (RuntimeError("secret detail"), 500, "Internal server error"),
        (KeyError("x"), 500, "Internal server error"),
        (SystemExit(3), 500, "Internal server error"),
        (RecursionError("deep"), 500, "Internal server error"),
        (MemoryError(), 500, "Internal server error"),
        (FunctionError("detail"), 500, "Internal server error"),
        (HTTPError(400, "\ud800"), 400, "?"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_errors_become_replies(
    error: BaseException, status: int, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    reply = call(raising(error), "GET", "/x")
    assert (reply.status, reply.json()) == (status, {"error": message})
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["x-content-type-options"] == "nosniff"
    request_id = reply.headers["x-request-id"]
    assert re.fullmatch("[0-9a-f]{16}", request_id)
    if status >= 500 or isinstance(error, WebhookError):
        assert request_id in caplog.text, "the log has it under the same id"
    assert ("retry-after" in reply.headers) == (status in (503, 507))


def test_headers_of_an_http_error_are_sent() -> None:
    reply = call(raising(HTTPError(401, "who?", headers=[("WWW-Authenticate", "Bearer")])), "GET", "/x")
    assert reply.headers["www-authenticate"] == "Bearer"


def test_the_data_of_an_application_error_reaches_the_client() -> None:
    reply = call(raising(ApplicationError({"code": "SOLD_OUT"})), "GET", "/x")
    assert (reply.status, reply.json()) == (500, {"error": "Application error", "data": {"code": "SOLD_OUT"}})


def test_the_request_id_of_the_server_is_kept() -> None:
    reply = call(raising(RuntimeError()), "GET", "/x", **{"minihttp.request_id": "from-the-proxy"})
    assert reply.headers["x-request-id"] == "from-the-proxy"


@pytest.mark.parametrize("path", ["x", "*", "/a/../b", "/%2e%2e/x", "/%zz", "/a\r\nb", "/\x00"])
def test_bad_paths_are_refused_before_routing(path: str) -> None:
    app = answering(lambda ctx, request: Response("ok"), path=None, path_prefix="/")
    environ: dict[str, Any] = {}
    setup_testing_defaults(environ)
    environ |= {"REQUEST_METHOD": "GET", "REQUEST_URI": path, "PATH_INFO": path}
    status: list[str] = []
    body = b"".join(app(environ, lambda line, headers: status.append(line)))
    assert status == ["400 Bad Request"], body


@pytest.mark.parametrize("host", ["a b", "a@b", "a/b", "a,b", "a:b", "", "[::1", "a" * 300])
def test_a_host_that_is_none_is_refused(host: str) -> None:
    reply = call(answering(lambda ctx, request: Response("ok")), "GET", "/x", HTTP_HOST=host)
    assert (reply.status, "Host" in reply.json()["error"]) == (400, True)


def test_whether_media_types_are_strict_is_a_setting() -> None:
    for strict, status in ((True, 415), (False, 200)):
        http = HttpRouter()
        http.route(path="/x", method="POST", handler=lambda ctx, request: {"got": request.json()})
        for app in (App(http, strict_media_type=strict), App(http).configure(strict_media_type=strict)):
            assert call(app, "POST", "/x", b"[1]", CONTENT_TYPE="text/plain").status == status
            assert call(app, "POST", "/x", b"[1]", CONTENT_TYPE="application/json").status == 200
            assert call(app, "POST", "/x", b"[1]", CONTENT_TYPE="text/html").status == 415
            with testing.in_memory(app) as copy:
                assert call(copy, "POST", "/x", b"[1]", CONTENT_TYPE="text/plain").status == status


def test_cors_is_on_errors_of_every_kind() -> None:
    http = HttpRouter(cors=Cors(["https://a.example"]))
    http.route(path="/boom", method="GET", handler=lambda ctx, request: 1 / 0)
    http.route(path="/post", method="POST", handler=lambda ctx, request: {})
    app = App(http)
    for method, path, status in (("GET", "/boom", 500), ("GET", "/nothing", 404), ("GET", "/post", 405)):
        reply = call(app, method, path, HTTP_ORIGIN="https://a.example")
        assert reply.status == status
        assert reply.headers["access-control-allow-origin"] == "https://a.example"
        stranger = call(app, method, path, HTTP_ORIGIN="https://evil.example")
        assert "access-control-allow-origin" not in stranger.headers
        assert "Origin" in stranger.headers["vary"]
    preflight = {"HTTP_ORIGIN": "https://a.example", "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "POST"}
    assert call(app, "OPTIONS", "/post", **preflight).status == 204
    assert call(app, "OPTIONS", "/nothing", **preflight).status == 404
    assert call(app, "OPTIONS", "/post").status == 204, "no preflight, but answered by the rule"


def test_a_preflight_is_answered_by_the_rule_of_the_method_that_is_asked_for() -> None:
    http = HttpRouter(cors=Cors(["*"]))
    for method, cors in (("GET", None), ("POST", None), ("PUT", Cors(["https://a.example"]))):
        http.route(path="/x", method=method, handler=lambda ctx, request: {}, cors=cors)

    def ask(method: str, origin: str) -> tuple[str | None, str]:
        asked = {"HTTP_ORIGIN": origin, "HTTP_ACCESS_CONTROL_REQUEST_METHOD": method}
        headers = call(App(http), "OPTIONS", "/x", **asked).headers
        return headers.get("access-control-allow-origin"), headers["access-control-allow-methods"]

    assert ask("PUT", "https://a.example") == ("https://a.example", "GET, HEAD, POST, PUT")
    assert ask("GET", "https://a.example") == ("https://a.example", "GET, HEAD, POST, PUT")
    assert ask("PUT", "https://evil.example")[0] is None, "not by the rule of GET or of the router"
    for method in ("POST", "DELETE"):
        assert ask(method, "https://b.example") == ("https://b.example", "GET, HEAD, POST")


def test_a_preflight_lists_what_the_origin_may_use() -> None:
    http = HttpRouter()
    rules = {
        "GET": Cors(["https://a.example"]),
        "POST": Cors(["https://a.example", "https://b.example"]),
        "PUT": Cors(["https://a.example"], methods=["DELETE"]),
        "DELETE": None,
    }
    for method, cors in rules.items():
        http.route(path="/x", method=method, handler=lambda ctx, request: {}, cors=cors)

    def ask(method: str, origin: str) -> str:
        asked = {"HTTP_ORIGIN": origin, "HTTP_ACCESS_CONTROL_REQUEST_METHOD": method}
        return call(App(http), "OPTIONS", "/x", **asked).headers["access-control-allow-methods"]

    assert ask("POST", "https://a.example") == ask("GET", "https://a.example") == "GET, HEAD, POST"
    assert ask("POST", "https://b.example") == "POST"
    assert ask("PUT", "https://a.example") == "DELETE", "the rule names the methods itself"


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_a_405_is_readable_for_pages_that_may_use_the_path(method: str) -> None:
    http = HttpRouter(cors=Cors(["https://router.example"]))
    http.route(path="/x", method="POST", handler=lambda c, r: {}, cors=Cors(["https://a.example"]))
    http.route(path="/x", method="PUT", handler=lambda c, r: {}, cors=Cors(["https://b.example"]))

    def allowed(origin: str | None) -> str | None:
        response = call(App(http), method, "/x", **({"HTTP_ORIGIN": origin} if origin else {}))
        assert response.status == 405 and "Origin" in response.headers["vary"]
        return response.headers.get("access-control-allow-origin")

    assert allowed("https://a.example") == "https://a.example"
    assert allowed("https://b.example") == "https://b.example"
    assert allowed("https://router.example") is allowed("https://evil.example") is allowed(None) is None


def test_a_catch_all_does_not_hide_the_methods_of_own_routes() -> None:
    app = answering(lambda ctx, request: Response("page"), path=None, path_prefix="/")
    asked = {"HTTP_ORIGIN": "https://a.example", "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "POST"}
    headers = call(app, "OPTIONS", "/api/query", **asked).headers
    assert headers["access-control-allow-methods"] == "GET, HEAD, POST"


def test_files_of_a_form_are_freed_after_the_reply() -> None:
    kept = []

    def handler(ctx: Any, request: Any) -> Response:
        part = request.form().get("file")
        kept.append(part)
        return Response(part)  # the reply reads it after the handler has returned

    content = os.urandom(2_000_000)
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
    body = head + content + b"\r\n--b--\r\n"
    app = answering(handler, method="POST")
    reply = call(app, "POST", "/x", body, CONTENT_TYPE="multipart/form-data; boundary=b")
    assert reply.body == content
    with pytest.raises(ValueError):
        kept[0].read()


def streamed() -> Iterator[bytes]:
    yield b"one "
    yield b"two"


def test_an_iterable_is_streamed() -> None:
    reply = call(answering(lambda ctx, request: Response(streamed())), "GET", "/x")
    assert (reply.body, "content-length" in reply.headers) == (b"one two", False)


def test_an_app_that_only_routes_makes_no_data_directory(tmp_path: Path) -> None:
    app = answering(lambda ctx, request: Response("ok"))
    app.configure(data=tmp_path / "data")
    assert call(app, "GET", "/x").status == 200
    assert not app.is_open
    assert list(tmp_path.iterdir()) == []


def test_settings_are_checked(tmp_path: Path) -> None:
    app = App(schema=schema, modules=[__name__], workers=0)
    with pytest.raises(ConfigurationError, match="'dat' is not a setting"):
        app.configure(dat="x")
    app.configure(data=tmp_path / "data", origin="https://example.com")
    with app:
        assert app.run_mutation(add, text="x")
        with pytest.raises(ConfigurationError, match="open already"):
            app.configure(data="elsewhere")
    with pytest.raises(ConfigurationError, match="takes an HttpRouter"):
        App("http")  # type: ignore[arg-type]


@pytest.mark.sqlite  # others may open a shared store
def test_a_second_process_or_app_may_not_open_the_same_directory(tmp_path: Path) -> None:
    with App(schema=schema, data=tmp_path / "data", workers=0):
        with pytest.raises(DataDirectoryError, match=f"process {os.getpid()}"):
            App(schema=schema, data=tmp_path / "data", workers=0).open()
    with App(schema=schema, data=tmp_path / "data", workers=0) as again:
        assert again.is_open


def test_a_start_that_fails_lets_go_of_the_directory(tmp_path: Path) -> None:
    crons = Crons()
    crons.hourly("nothing", function="no:such")
    failing = App(schema=schema, modules=[__name__], crons=crons, data=tmp_path / "data")
    with pytest.raises(ConfigurationError, match="no:such"):
        failing.open()
    unknown = App(modules=["no_such_module"], data=tmp_path / "data")
    with pytest.raises(ConfigurationError, match="no_such_module"):
        unknown.open()
    with App(schema=schema, data=tmp_path / "data", workers=0) as app:
        assert app.is_open


def test_closing_and_opening_again(tmp_path: Path) -> None:
    app = App(schema=schema, modules=[__name__], data=tmp_path / "data")
    with app:
        note = app.run_mutation(add, text="kept")
    with app:
        assert app.database.read(lambda transaction: transaction.db.get(note))["text"] == "kept"
    app.close()  # a second time does nothing


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="there is no list of open files")
@pytest.mark.parametrize("files", ["filesystem", "sqlite"])
def test_a_closed_app_has_no_file_open(tmp_path: Path, files: str) -> None:
    def opened() -> list[str]:
        links = (os.path.join("/proc/self/fd", name) for name in os.listdir("/proc/self/fd"))
        return [
            target
            for link in links
            if os.path.islink(link) and str(tmp_path) in (target := os.readlink(link))
        ]

    with App(schema=schema, modules=[__name__], data=tmp_path / "data", files=files) as app:
        app.run_mutation(add, text="kept")
        readers = [threading.Thread(target=app.run_query, args=("_app:tables",)) for _ in range(4)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        app.run_action("_app:check")
        assert opened()
    assert opened() == []


def test_a_catch_all_of_the_user_leaves_the_own_routes_alone(tmp_path: Path) -> None:
    http = HttpRouter()
    for method in ("GET", "POST"):
        http.route(path_prefix="/", method=method, handler=lambda ctx, request: Response("the user's"))
    limits = Limits(max_body_bytes=1_000, max_upload_bytes=5_000)
    with App(http, data=tmp_path / "data", workers=0, limits=limits) as app:
        assert call(app, "GET", "/_/health").json() == {"status": "ok"}
        assert call(app, "GET", "/api/storage/x").json()["code"] == "InvalidStoragePath"
        assert call(app, "GET", "/other").text == "the user's"
        url = app.files.outside().generate_upload_url()
        assert plan(app, url) == (5_000, app.files.backend.spool_folder)
        assert plan(app, url + "x") is None
        assert plan(app, "/other") == (1_000, None)


def plan(app: App, target: str, method: str = "POST", **fields: str) -> tuple[int, str | None] | None:
    """What becomes of the body of a request with this head."""
    query = target.partition("?")[2]
    return app.plan_body(
        {"REQUEST_METHOD": method, "REQUEST_URI": target, "QUERY_STRING": query, "HTTP_HOST": "a", **fields}
    )


def test_the_head_says_whether_a_body_is_wanted_and_how_much_of_it() -> None:
    http = HttpRouter()
    http.route(path="/in", method="POST", handler=lambda ctx, request: {})
    http.route(path="/wide", method="POST", max_body=9_000_000, handler=lambda ctx, request: {})
    http.webhook("/hook", stripe.provider(secret="SECRET"), handler=None)
    app = App(http, data=":memory:", workers=0, environment={"SECRET": "whsec_of-some-length"})
    limits = app.limits
    assert plan(app, "/in") == (limits.max_body_bytes, None)
    assert plan(app, "/in", CONTENT_TYPE="application/json; charset=utf-8") == (limits.max_json_bytes, None)
    assert plan(app, "/wide", CONTENT_TYPE="application/json") == (9_000_000, None)
    for target, method in (("/nothing", "POST"), ("/in", "PUT"), ("/in", "GET"), ("/%zz", "POST")):
        assert plan(app, target, method) is None
    assert plan(app, "/hook") is None
    assert plan(app, "/hook", HTTP_STRIPE_SIGNATURE="t=1") is not None
    assert app.find_pattern("POST", "/in?secret") == "/in" and app.find_pattern("POST", "/secret") is None
